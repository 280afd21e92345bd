#!/usr/bin/env python3
"""Computes the tables of COST.md from prices.json and measured.json.

usage: cost.py [--check]

Without arguments it rewrites what stands between the marks in COST.md; with `--check` it says whether that would change anything.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
BEGIN, END = "<!-- computed by infra/cost.py -->", "<!-- end -->"
GB = 1e9


def items(price, m):
    """(group, what, formula in words, dollars) of a month in which the recordings are exported."""
    recordings = m["recordings"]
    gb_seconds = {
        "upload-recordings": recordings * m["upload_seconds"] * m["upload_gb"],
        "poll-batches": recordings * m["describe_seconds"] * m["other_gb"],
        "query, submit, close": recordings * (m["query_seconds"] + m["submit_seconds"] + m["close_seconds"]) * m["other_gb"],
        "timers with nothing to do": m["timers"] * m["idle_seconds"] * m["other_gb"],
    }
    invocations = m["timers"] + m["stream_invocations"]
    media_gb = recordings * m["recording_bytes"] / GB
    metadata_gb = recordings * m["metadata_bytes"] / GB
    table_gb = recordings * m["row_bytes"] / GB
    puts, gets = recordings * m["objects"], recordings * m["gets"]
    log_gb = (recordings * m["log_bytes_recording"] + invocations * m["log_bytes_invocation"]) / GB
    kms = (puts + gets) * m["kms_share"] + m["kms_table"]
    writes, reads = recordings * m["write_units"], recordings * m["read_units"] + m["timers"] * m["idle_read_units"]

    for name, amount in gb_seconds.items():
        yield "once", f"Lambda, {name}", f"{amount:,.0f} GB-s", amount * price["lambda_gb_second_arm64"]
    yield "once", "Lambda, invocations", f"{invocations:,}", invocations * price["lambda_million_requests"] / 1e6
    yield "once", "DynamoDB, writes", f"{writes / 1e6:,.1f} million units", writes * price["dynamodb_million_write_units"] / 1e6
    yield "once", "DynamoDB, reads", f"{reads / 1e6:,.1f} million units", reads * price["dynamodb_million_read_units"] / 1e6
    yield "once", "S3, PUT", f"{puts:,.0f}", puts * price["s3_thousand_puts"] / 1e3
    yield "once", "S3, GET and HEAD", f"{gets:,.0f}", gets * price["s3_thousand_gets"] / 1e3
    yield "once", "KMS, requests", f"{kms:,.0f}", kms * price["kms_ten_thousand_requests"] / 1e4
    yield "once", "CloudWatch, logs written", f"{log_gb:,.2f} GB", log_gb * price["logs_gb_ingested"]
    yield "once", "Transfer from Genesys Cloud", f"{media_gb:,.0f} GB", media_gb * price["transfer_in_gb"]

    yield "always", "EventBridge Scheduler", f"{m['timers']:,} timers", m["timers"] * price["scheduler_million"] / 1e6
    yield "always", "CloudWatch, metrics", f"{m['metrics']}", m["metrics"] * price["metric_month"]
    yield "always", "CloudWatch, alarms", f"{m['alarm_metrics']} metrics", m["alarm_metrics"] * price["alarm_metric_month"]
    yield "always", "CloudWatch, dashboard", "1", price["dashboard_month"]
    yield "always", "KMS, key", "1", price["kms_key_month"]
    secret = price["secret_month"] + m["secret_reads"] * price["secret_ten_thousand_reads"] / 1e4
    yield "always", "Secrets Manager", f"1 secret, {m['secret_reads']:,} reads", secret

    yield "kept", "S3, STANDARD", f"{media_gb + metadata_gb:,.1f} GB", (media_gb + metadata_gb) * price["s3_gb_month_standard"]
    yield "kept", "DynamoDB, table", f"{table_gb:,.1f} GB", table_gb * price["dynamodb_gb_month"]
    yield "kept", "DynamoDB, point in time recovery", f"{table_gb:,.1f} GB", table_gb * price["dynamodb_pitr_gb_month"]
    yield "kept", "CloudWatch, logs kept", f"{log_gb:,.2f} GB", log_gb * price["logs_gb_month"]


GROUPS = {
    "once": "Exporting them, once",
    "always": "Each month, whatever is exported",
    "kept": "Each month that they are kept",
}


def tables(prices, measured):
    """The computed part of COST.md."""
    m = {name: one["value"] for name, one in measured["values"].items()}
    regions = {name: list(items(price, m)) for name, price in prices["regions"].items()}
    first = next(iter(regions.values()))
    lines = []
    for group, title in GROUPS.items():
        lines += ["", f"### {title}", "", f"| | amount | {' | '.join(regions)} |", f"|---|---|{'---:|' * len(regions)}"]
        for place, (one, what, amount, _) in enumerate(first):
            if one == group:
                dollars = " | ".join(f"{rows[place][3]:,.2f}" for rows in regions.values())
                lines.append(f"| {what} | {amount} | {dollars} |")
        sums = " | ".join(f"**{sum(row[3] for row in rows if row[0] == group):,.2f}**" for rows in regions.values())
        lines.append(f"| **sum, $** | | {sums} |")
    media_gb = m["recordings"] * m["recording_bytes"] / GB
    lines += ["", "The recordings in GLACIER_IR instead (`TransitionDays`, `TransitionClass`):", ""]
    for name, price in prices["regions"].items():
        move = m["recordings"] * price["s3_thousand_transitions_glacier_ir"] / 1e3
        lines.append(f"- {name}: {media_gb * price['s3_gb_month_glacier_ir']:,.2f} $ a month, {move:,.2f} $ once for moving them")
    lines += ["", "### What it is computed from", "", "| | value | from | |", "|---|---:|---|---|"]
    for one in measured["values"].values():
        lines.append(f"| {one['unit']} | {one['value']:,} | {one['from']} | {one['how']} |")
    lines += ["", f"Prices: `infra/prices.json`, written {prices['written']}."]
    lines += [f"{name}: {price['how']}." for name, price in prices["regions"].items()]
    return "\n".join(lines)


def main():
    document = HERE / "COST.md"
    prices, measured = (json.loads((HERE / name).read_text()) for name in ("prices.json", "measured.json"))
    text = document.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    now = f"{before}{BEGIN}\n{tables(prices, measured)}\n\n{END}{after}"
    if "--check" in sys.argv:
        print("cost: COST.md is as computed" if now == text else "cost: COST.md is older than its figures, run infra/cost.py")
        return now != text
    document.write_text(now)
    return False


if __name__ == "__main__":
    sys.exit(main())
