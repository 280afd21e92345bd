#!/usr/bin/env python3
"""Fuzzes the jobs API of a running `callvault serve` against infra/jobs-api/openapi.yaml. Run by `make api-test`.

usage: jobs_api_fuzz.py [CALLVAULT]

FUZZ_REQUESTS says how many requests there are at least (1000). Fails on any 5xx, any answer that the description does not have,
any refusal that is no problem+json, any body that is taken and should not be, or the other way round.
"""

import collections
import json
import os
import pathlib
import secrets
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DESCRIPTION = ROOT / "infra/jobs-api/openapi.yaml"
# Cases of one operation and round; hypothesis keeps what it has tried in mind, and slows down with it.
MOST_CASES = 2000


def started(callvault, folder, token):
    """A server on a fresh ledger, and where it listens."""
    environment = {
        "LEDGER": f"sqlite:{folder}/ledger.sqlite",
        "ARCHIVE": f"{folder}/archive",
        "TIMEZONE": "America/Lima",
        "JOBS_TOKEN": token,
    }
    server = subprocess.Popen([callvault, "serve"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    line = server.stdout.readline().strip()
    if not line.startswith("listening on "):
        server.kill()
        sys.exit(f"`callvault serve` did not start: {line}")
    return server, line.removeprefix("listening on ")


def fuzzed(url, token, folder, round_, cases, phases):
    """One run of schemathesis: whether all was well, and how many answers of each kind there were."""
    counts = folder / f"counts-{round_}.json"
    command = [
        pathlib.Path(sys.executable).parent / "schemathesis",
        "--config-file",
        ROOT / "tests/jobs_api_fuzz.toml",
        "run",
        DESCRIPTION,
        f"--url={url}",
        f"--header=Authorization: Bearer {token}",
        "--checks=all",
        f"--phases={phases}",
        f"--max-examples={cases}",
        f"--seed={round_}",
        "--generation-database=none",
        "--suppress-health-check=all",
        "--warnings=off",
        "--no-color",
    ]
    environment = os.environ | {
        "SCHEMATHESIS_HOOKS": "jobs_api_hooks",
        "PYTHONPATH": str(ROOT / "tests"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "JOBS_API_COUNTS": str(counts),
    }
    ended = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if ended.returncode != 0:
        print(ended.stdout)
    return ended.returncode == 0, collections.Counter(json.loads(counts.read_text()) if counts.exists() else {})


def main():
    wanted = int(os.environ.get("FUZZ_REQUESTS") or 1000)
    callvault = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/debug/callvault").resolve()
    token, began, counts, fine, round_ = secrets.token_hex(24), time.monotonic(), collections.Counter(), True, 0
    with tempfile.TemporaryDirectory() as name:
        server, url = started(callvault, name, token)
        try:
            while fine and counts.total() < wanted:
                round_ += 1
                cases = min(MOST_CASES, max(50, (wanted - counts.total()) // 2))
                # What the description's own borders give is the same in every round.
                phases = "examples,coverage,fuzzing" if round_ == 1 else "fuzzing"
                fine, more = fuzzed(url, token, pathlib.Path(name), round_, cases, phases)
                fine = fine and more.total() > 0
                counts += more
            alive = server.poll() is None
        finally:
            server.send_signal(signal.SIGTERM)
            code = server.wait(timeout=60)
    failed = sorted(answer for answer in counts if answer.startswith("5"))
    for answer, n in sorted(counts.items()):
        print(f"{n:>7}  {answer}")
    print(f"jobs API: {counts.total()} requests in {round_} rounds, {time.monotonic() - began:.0f} s")
    if failed or not alive or code != 0:
        print(f"jobs API: answers {failed}, still running {alive}, exit code {code}")
        return 1
    # Without these the fuzzing did not get to where days are planned.
    return 0 if fine and counts["202"] and counts["200"] else 1


if __name__ == "__main__":
    sys.exit(main())
