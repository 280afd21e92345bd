#!/usr/bin/env python3
"""Who may import whom (ARCHITECTURE.md), held against what cargo resolves. Run by `make lint`."""

import json
import subprocess
import sys

# What a function may import; it is made of little more than its handler.
FUNCTION = {"callvault-bootstrap", "callvault-aws", "callvault-pipeline", "callvault-genesys"}
FUNCTIONS = [
    "query-conversations",
    "submit-batches",
    "poll-batches",
    "upload-recordings",
    "close-days",
    "rotate-token",
    "move-voicemail",
    "jobs-api",
    "receive-calls",
    "list-calls",
    "push-calls",
]
OURS = {
    "crc-fast": set(),  # stands in for the crate of this name
    "callvault-genesys": set(),
    "callvault-pipeline": {"callvault-genesys"},
    "callvault-local": {"callvault-pipeline", "callvault-calls"},
    "callvault-aws": {"callvault-calls", "callvault-pipeline"},
    "callvault-clouds": {"callvault-pipeline"},
    "callvault-bootstrap": {
        "callvault-calls",
        "callvault-genesys",
        "callvault-pipeline",
        "callvault-aws",
        "callvault-clouds",
    },
    "callvault-http": set(),
    "callvault-jobs": {"callvault-http", "callvault-pipeline"},
    "callvault-calls": {"callvault-http"},
    "callvault-simulator": set(),
    "callvault": {
        "callvault-aws",
        "callvault-bootstrap",
        "callvault-calls",
        "callvault-genesys",
        "callvault-jobs",
        "callvault-local",
        "callvault-pipeline",
        "callvault-simulator",
    },
} | {name: FUNCTION for name in FUNCTIONS}
OURS["jobs-api"] = FUNCTION | {"callvault-jobs"}
OURS |= {name: FUNCTION | {"callvault-calls"} for name in ("receive-calls", "list-calls", "push-calls")}
# The pipeline does no I/O: none of these, not even through somebody else.
NOT_IN_PIPELINE = {"reqwest", "hyper", "rusqlite", "rustls", "mio", "aws-config", "aws-sdk-s3", "aws-sdk-dynamodb"}
# Neither is what is built without AWS and the other clouds, which `make demo` relies on; nor is a machine's ledger in a function.
NOT_WITHOUT_AWS = {"callvault-aws", "callvault-clouds", "object_store", "aws-config", "aws-sdk-s3", "aws-sdk-dynamodb", "lambda_runtime"}
NOT_IN_FUNCTIONS = {"callvault-local", "callvault-clouds", "object_store", "callvault-simulator", "rusqlite", "clap"}
# One HTTP stack, one TLS stack, one asynchronous runtime in what is shipped.
ONCE = {"hyper", "rustls", "reqwest", "tokio", "http"}


def tree(package, *options):
    """Names and versions of everything a package is built from, by default features unless `options` say otherwise."""
    command = ["cargo", "tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}", *options]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {tuple(line.split()[:2]) for line in lines if line.strip()}


def main():
    faults = []
    command = ["cargo", "metadata", "--format-version", "1", "--no-deps"]
    metadata = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for package in metadata["packages"]:
        allowed = OURS.get(package["name"])
        if allowed is None:
            continue  # tests and benches may import anything, and nobody imports them
        named = {one["name"] for one in package["dependencies"] if one["kind"] is None}
        ours = {name for name in named if name.startswith("callvault") or name in FUNCTIONS}
        faults += [f"{package['name']} may not import {one}" for one in sorted(ours - allowed)]
    names = {name for name, _ in tree("callvault-pipeline")}
    faults += [f"callvault-pipeline is built with {one}" for one in sorted(names & NOT_IN_PIPELINE)]
    names = {name for name, _ in tree("callvault", "--no-default-features")}
    faults += [f"callvault without AWS is built with {one}" for one in sorted(names & NOT_WITHOUT_AWS)]
    for package in ["callvault", *FUNCTIONS]:
        shipped = tree(package)
        for name in sorted(ONCE):
            versions = sorted(version for one, version in shipped if one == name)
            if len(versions) != 1:
                faults.append(f"{package}: {name} is there in {len(versions)} versions: {', '.join(versions)}")
        second = {"openssl", "native-tls", "ring"} & {one for one, _ in shipped}
        faults += [f"{package}: {one} is a second TLS stack" for one in sorted(second)]
        if package in FUNCTIONS:
            faults += [f"{package} is built with {one}" for one in sorted(NOT_IN_FUNCTIONS & {one for one, _ in shipped})]
    print("\n".join(faults) or "rooms: every import is allowed")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
