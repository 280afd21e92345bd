#!/usr/bin/env python3
"""Who may import whom (ARCHITECTURE.md), held against what cargo resolves. Run by `make lint`."""

import json
import subprocess
import sys

OURS = {
    "callvault-genesys": set(),
    "callvault-pipeline": {"callvault-genesys"},
    "callvault-local": {"callvault-pipeline"},
    "callvault-bootstrap": {"callvault-genesys", "callvault-pipeline"},
    "callvault-simulator": set(),
    "callvault": {
        "callvault-bootstrap",
        "callvault-genesys",
        "callvault-local",
        "callvault-pipeline",
        "callvault-simulator",
    },
}
# The pipeline does no I/O: none of these, not even through somebody else.
NOT_IN_PIPELINE = {"reqwest", "hyper", "rusqlite", "rustls", "mio", "aws-config", "aws-sdk-s3", "aws-sdk-dynamodb"}
# One HTTP stack, one TLS stack, one asynchronous runtime in what is shipped.
ONCE = {"hyper", "rustls", "reqwest", "tokio", "http"}


def tree(package):
    """Names and versions of everything a package is built from, by default features."""
    command = ["cargo", "tree", "--package", package, "--edges", "normal", "--prefix", "none", "--format", "{p}"]
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
        ours = {one["name"] for one in package["dependencies"] if one["kind"] is None and one["name"].startswith("callvault")}
        faults += [f"{package['name']} may not import {one}" for one in sorted(ours - allowed)]
    names = {name for name, _ in tree("callvault-pipeline")}
    faults += [f"callvault-pipeline is built with {one}" for one in sorted(names & NOT_IN_PIPELINE)]
    shipped = tree("callvault")
    for name in sorted(ONCE):
        versions = sorted(version for one, version in shipped if one == name)
        if len(versions) != 1:
            faults.append(f"{name} is there in {len(versions)} versions: {', '.join(versions)}")
    faults += [f"{one} is a second TLS stack" for one, _ in shipped if one in ("openssl", "native-tls", "ring")]
    print("\n".join(faults) or "rooms: every import is allowed")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
