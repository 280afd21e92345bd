"""What schemathesis does not know by itself: dates that are worth trying, and what a refusal must look like.

Loaded by schemathesis (SCHEMATHESIS_HOOKS); JOBS_API_COUNTS names the file in which it leaves how many answers of each status
there were.
"""

import atexit
import collections
import datetime
import json
import os
import threading

import schemathesis
from hypothesis import strategies

COUNTS = collections.Counter()
LOCK = threading.Lock()
OFFSETS = strategies.sampled_from([datetime.timezone(datetime.timedelta(minutes=30 * n)) for n in range(-24, 29)])
# Around what may be planned, and not only anywhere in the calendar: few stretches of any two instants are short.
NEAR = strategies.datetimes(datetime.datetime(2024, 1, 1), datetime.datetime(2024, 12, 31), timezones=OFFSETS)
ANY = strategies.datetimes(timezones=OFFSETS)
schemathesis.openapi.format("date-time", strategies.one_of(NEAR, ANY).map(datetime.datetime.isoformat))
DATES = strategies.one_of(strategies.dates(datetime.date(2000, 1, 1), datetime.date(2030, 1, 1)), strategies.dates())
schemathesis.openapi.format("date", DATES.map(datetime.date.isoformat))


@schemathesis.check
def refusals_are_problems(ctx, response, case):
    """Every answer of the API is JSON; every refusal says what RFC 9457 wants, and its code."""
    code = None
    if response.status_code >= 400:
        assert response.headers["content-type"] == ["application/problem+json"], response.headers.get("content-type")
        if case.method != "HEAD":
            problem = response.json()
            assert problem["status"] == response.status_code, problem
            assert problem["code"] and problem["detail"], problem
            code = problem["code"]
    with LOCK:
        COUNTS[f"{response.status_code} {code or ''}".strip()] += 1
    generated = case.meta.generation.mode if case.meta else None
    if generated == schemathesis.GenerationMode.POSITIVE:
        assert code != "body-malformed", f"a body as the description wants it is refused: {response.text}"


@atexit.register
def leave():
    if path := os.environ.get("JOBS_API_COUNTS"):
        with open(path, "w", encoding="ascii") as file:
            json.dump(COUNTS, file)
