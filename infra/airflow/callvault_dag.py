"""Plans recordings of Genesys Cloud each day, by the jobs API of callvault: start -> check_prev -> download.

A run of the day D downloads the day D-3, since recordings come late, and checks the one before it: what is not complete is run again.
Runs that were missed are made up for by the next one. The work itself is callvault's, and so is telling how a day ended
(NOTIFY_URL, NOTIFY_TOPIC_ARN); a task here fails when it could not be asked for.

All it needs is the Airflow connection `callvault` (any type), and no provider:

  host      the API's address, https://ABC.execute-api.eu-west-1.amazonaws.com (output JobsApiAddress) or http://127.0.0.1:8911
  password  JOBS_TOKEN of `callvault serve`, or a JWT. Empty: requests are signed for AWS
  extra     {"timezone": "America/Lima", "lag_days": 3, "region": "eu-west-1", "aws_conn_id": "aws_default"}, each of them optional:
            timezone   the one callvault counts days in (UTC)
            region     of the API; its address says so by itself, unless it has a name of its own
            aws_conn_id  of the Amazon provider; without it AWS's own search for credentials, the machine's role for instance

By hand: trigger it with {"day": "YYYY-MM-DD"} for one day. Must never log a token, nor send one without TLS but to this machine.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import logging
import re
import urllib.error
import urllib.parse
import urllib.request
import zoneinfo

from airflow.sdk import Connection, Param, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

CONNECTION = "callvault"
DOWNLOAD = "/genesys/scheduled-jobs/download_recordings"
CHECK = "/genesys/scheduled-jobs/check_recordings"
# The API takes a leap year at once.
MOST_DAYS = 366
# API Gateway gives up after 30 s.
TIMEOUT = 60
log = logging.getLogger(__name__)


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """The API redirects nobody, and a token is for one host."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        return None


def _base(connection):
    """The API's address: https, or this machine."""
    host = (connection.host or "").rstrip("/")
    url = host if "://" in host else f"{connection.schema or 'https'}://{host}"
    if connection.port and not urllib.parse.urlsplit(url).port:
        url = f"{url}:{connection.port}"
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise AirflowFailException(f"the connection {CONNECTION} has no address as its host: expected https://...")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise AirflowFailException(f"the connection {CONNECTION} is not https: a token would be readable on its way")
    return url


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _signed(url, body, headers, extra):
    """The headers of a request that is signed with Signature Version 4."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest

    named = re.search(r"\.execute-api\.([a-z0-9-]+)\.amazonaws\.com", urllib.parse.urlsplit(url).hostname)
    region = extra.get("region") or (named and named[1])
    if not region:
        raise AirflowFailException(f"the connection {CONNECTION} does not say in which region the API is: set `region` in its extra")
    if extra.get("aws_conn_id"):
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

        credentials = AwsBaseHook(aws_conn_id=extra["aws_conn_id"], client_type="sts").get_credentials(region_name=region)
    else:
        import botocore.session

        credentials = botocore.session.Session().get_credentials()
    if credentials is None:
        raise AirflowException("AWS has no credentials here: give the worker a role, or name aws_conn_id in the connection's extra")
    request = AWSRequest(method="POST", url=url, data=body, headers=headers)
    SigV4Auth(credentials, "execute-api", region).add_auth(request)
    return dict(request.headers.items())


def ask(path, order):
    """Asks the API; what will be refused again is not tried again."""
    connection = Connection.get(CONNECTION)
    extra = connection.extra_dejson
    url, body = _base(connection) + path, json.dumps(order).encode()
    headers = {"Content-Type": "application/json"}
    if connection.password:
        headers["Authorization"] = f"Bearer {connection.password}"
    else:
        headers = _signed(url, body, headers, extra)
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.build_opener(NoRedirects).open(request, timeout=TIMEOUT) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        try:
            problem = json.load(error)
            why = f"{problem.get('code', '')} {problem.get('detail') or problem.get('message') or ''}".strip()
        except (ValueError, AttributeError):
            why = error.reason
        # A refusal is the same the next time; these are not.
        passing = error.code >= 500 or error.code in (408, 429)
        kind = AirflowException if passing else AirflowFailException
        raise kind(f"the jobs API answered {error.code}: {why}") from None
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise AirflowException(f"the jobs API cannot be reached or understood ({type(error).__name__})") from None


def wanted(context, extra):
    """The first and last day that a run downloads."""
    if day := (context.get("params") or {}).get("day"):
        one = datetime.date.fromisoformat(day)
        return one, one
    zone = zoneinfo.ZoneInfo(extra.get("timezone") or "UTC")
    lag = datetime.timedelta(days=int(extra.get("lag_days") or 3))

    def day_of(moment):
        return moment.astimezone(zone).date() - lag

    run = context["dag_run"]
    last = day_of(run.logical_date or run.run_after)
    # Since the last run that went well: none is left out however long nothing ran.
    before = context.get("prev_data_interval_end_success")
    first = min(last, day_of(before) + datetime.timedelta(days=1)) if before else last
    return max(first, last - datetime.timedelta(days=MOST_DAYS - 1)), last


def midnight(day, zone):
    """The first instant of a day, with its offset."""
    return datetime.datetime.combine(day, datetime.time(), zone).isoformat()


@dag(
    dag_id="callvault",
    description="Recordings of Genesys Cloud: plan the day, check the one before",
    # After the day's own work everywhere; which days it is about is counted in the connection's time zone.
    schedule="0 9 * * *",
    start_date=datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc),
    # The run after a gap asks for all of it.
    catchup=False,
    max_active_runs=1,
    params={"day": Param(None, type=["null", "string"], format="date", description="One day instead of the schedule's")},
    default_args={
        "retries": 5,
        "retry_delay": datetime.timedelta(minutes=2),
        "retry_exponential_backoff": True,
        "max_retry_delay": datetime.timedelta(minutes=30),
        "execution_timeout": datetime.timedelta(minutes=5),
    },
    tags=["callvault", "genesys"],
    doc_md=__doc__,
)
def callvault():
    @task
    def start():
        """Which days this run is about."""
        extra = Connection.get(CONNECTION).extra_dejson
        first, last = wanted(get_current_context(), extra)
        log.info("the days %s to %s", first, last)
        return {"first": first.isoformat(), "last": last.isoformat(), "timezone": extra.get("timezone") or "UTC"}

    @task
    def check_prev(days):
        """Has the day before checked; what is missing of it is run again."""
        day = datetime.date.fromisoformat(days["first"]) - datetime.timedelta(days=1)
        answer = ask(CHECK, {"recordingDay": day.isoformat()})
        if answer["outcome"] != "complete":
            log.warning("the day %s is not complete (%s): it is run again where it is not under way", day, answer["outcome"])
        return {name: answer[name] for name in ("day", "outcome", "state", "marker", "stored", "parked")}

    @task
    def download(days):
        """Has the days planned."""
        zone = zoneinfo.ZoneInfo(days["timezone"])
        first, last = (datetime.date.fromisoformat(days[name]) for name in ("first", "last"))
        order = {"startTime": midnight(first, zone), "endTime": midnight(last + datetime.timedelta(days=1), zone)}
        planned = ask(DOWNLOAD, order)["days"]
        log.info("planned %s", ", ".join(planned))
        return planned

    days = start()
    days >> check_prev(days) >> download(days)


callvault()
