#!/usr/bin/env python3
"""Runs the DAG of infra/airflow under a real Airflow, against a real `callvault serve`. Run by `make airflow-test`.

usage: airflow_check.py [CALLVAULT]

Airflow's home, its database and callvault's ledger are in a folder that goes away with the test.
"""

import datetime
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
CALLVAULT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/debug/callvault").resolve()
TOKEN = secrets.token_hex(24)
ZONE = "America/Lima"


def prepare(home):
    """The environment in which Airflow is imported, and its database."""
    for name in [name for name in os.environ if name.startswith(("AIRFLOW", "AWS_"))]:
        del os.environ[name]
    os.environ |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "infra/airflow"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    airflow = pathlib.Path(sys.executable).parent / "airflow"
    subprocess.run([airflow, "db", "migrate"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def served(folder):
    """A `callvault serve` on a fresh ledger, and its address."""
    environment = {"JOBS_TOKEN": TOKEN, "TIMEZONE": ZONE}
    server = subprocess.Popen([CALLVAULT, "serve"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    return server, server.stdout.readline().strip().removeprefix("listening on ")


def days_of(folder):
    said = subprocess.run([CALLVAULT, "status", "--json"], cwd=folder, env={"TIMEZONE": ZONE}, check=True, capture_output=True)
    return [day["day"] for day in json.loads(said.stdout)["days"]]


def connect(host, password, **extra):
    connection = {"conn_type": "generic", "host": host, "password": password, "extra": {"timezone": ZONE, **extra}}
    os.environ["AIRFLOW_CONN_CALLVAULT"] = json.dumps(connection)


def imported():
    """The DAG, as Airflow's own loader finds it."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(ROOT / "infra/airflow")
    assert not bag.import_errors, bag.import_errors
    assert list(bag.dags) == ["callvault"], list(bag.dags)
    dag = bag.dags["callvault"]
    assert {task.task_id: task.downstream_task_ids for task in dag.tasks} == {
        "start": {"check_prev", "download"},
        "check_prev": {"download"},
        "download": set(),
    }
    return dag


def ran(dag, moment, **conf):
    """How a run ended, and its tasks' states."""
    run = dag.test(logical_date=moment, run_conf=conf or None)
    return str(run.state), {one.task_id: str(one.state) for one in run.get_task_instances()}


def a_run_plans_its_day(dag, folder, url):
    connect(url, TOKEN)
    # 09:00 UTC is 04:00 in Lima: the same date there.
    moment = datetime.datetime(2026, 2, 10, 9, tzinfo=datetime.timezone.utc)
    state, tasks = ran(dag, moment)
    assert (state, set(tasks.values())) == ("success", {"success"}), tasks
    assert days_of(folder) == ["2026-02-06", "2026-02-07"], days_of(folder)
    # 03:00 UTC is still the day before in Lima. Nothing ran for ten days: none of them is left out.
    state, tasks = ran(dag, moment.replace(day=20, hour=3))
    assert state == "success", tasks
    assert days_of(folder) == [f"2026-02-{day:02}" for day in range(6, 17)], days_of(folder)


def a_day_by_hand(dag, folder, url):
    connect(url, TOKEN)
    state, tasks = ran(dag, datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc), day="2024-02-29")
    assert state == "success", tasks
    assert days_of(folder)[:2] == ["2024-02-28", "2024-02-29"], days_of(folder)


def a_refusal_fails_at_once(dag, folder, url):
    before = days_of(folder)
    connect(url, "not-the-token")
    state, tasks = ran(dag, datetime.datetime(2026, 4, 1, 9, tzinfo=datetime.timezone.utc))
    assert (state, tasks["check_prev"], tasks["download"]) == ("failed", "failed", "upstream_failed"), tasks
    connect("http://callvault.example.com", TOKEN)
    state, tasks = ran(dag, datetime.datetime(2026, 4, 2, 9, tzinfo=datetime.timezone.utc))
    assert (state, tasks["check_prev"]) == ("failed", "failed"), tasks
    assert days_of(folder) == before


def gaps_are_made_up_for(dag):
    """The window of a run, by what the last good one was."""
    module = sys.modules[dag.tasks[0].python_callable.__module__]
    day = datetime.date

    class Run:
        logical_date = datetime.datetime(2026, 2, 10, 9, tzinfo=datetime.timezone.utc)

    def window(before, **extra):
        return module.wanted({"dag_run": Run, "prev_data_interval_end_success": before}, extra)

    assert window(None) == (day(2026, 2, 7), day(2026, 2, 7))
    assert window(Run.logical_date - datetime.timedelta(days=1)) == (day(2026, 2, 7), day(2026, 2, 7))
    assert window(Run.logical_date - datetime.timedelta(days=9)) == (day(2026, 1, 30), day(2026, 2, 7))
    assert window(Run.logical_date) == (day(2026, 2, 7), day(2026, 2, 7)), "the same day again"
    assert window(Run.logical_date - datetime.timedelta(days=4000))[0] == day(2025, 2, 7), "a year at most"
    assert window(None, lag_days=1) == (day(2026, 2, 9), day(2026, 2, 9))


def requests_are_signed_for_aws(dag):
    """By the rules of Signature Version 4, computed here once more."""
    got = []

    class Api(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, dict(self.headers.items()), body))
            content = json.dumps({"days": ["2026-02-07"]}).encode()
            self.send_response(202)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    module = sys.modules[dag.tasks[0].python_callable.__module__]
    os.environ |= {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "planted", "AWS_SESSION_TOKEN": "session"}
    connect(f"http://127.0.0.1:{server.server_port}", "", region="eu-west-1")
    assert module.ask(module.DOWNLOAD, {"startTime": "a", "endTime": "b"}) == {"days": ["2026-02-07"]}
    server.shutdown()
    (path, headers, body), headers = got[0], {name.lower(): value for name, value in got[0][1].items()}
    scheme, fields = headers["authorization"].split(" ", 1)
    fields = dict(one.strip().split("=", 1) for one in fields.split(","))
    assert scheme == "AWS4-HMAC-SHA256" and "host" in fields["SignedHeaders"], headers["authorization"]
    assert headers["x-amz-security-token"] == "session"
    key, date, region, service, _ = fields["Credential"].split("/")
    assert (key, region, service) == ("AKID", "eu-west-1", "execute-api")
    signed = "".join(f"{name}:{headers[name]}\n" for name in fields["SignedHeaders"].split(";"))
    digest = hashlib.sha256(body).hexdigest()
    canonical = "\n".join(["POST", path, "", signed, fields["SignedHeaders"], digest])
    scope = f"{date}/{region}/{service}/aws4_request"
    text = "\n".join([scheme, headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    secret = b"AWS4planted"
    for part in (date, region, service, "aws4_request"):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    assert hmac.new(secret, text.encode(), hashlib.sha256).hexdigest() == fields["Signature"]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        prepare(folder / "airflow")
        server, url = served(folder)
        try:
            dag = imported()
            gaps_are_made_up_for(dag)
            requests_are_signed_for_aws(dag)
            a_run_plans_its_day(dag, folder, url)
            a_day_by_hand(dag, folder, url)
            a_refusal_fails_at_once(dag, folder, url)
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(timeout=60)
        assert code == 0, code
    print("airflow: the DAG imports, plans its days, makes up for gaps, signs for AWS, and fails at once where it is refused")


if __name__ == "__main__":
    main()
