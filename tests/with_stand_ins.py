#!/usr/bin/env python3
"""Runs a command with stand-ins of the clouds beside it, each named in a variable of its environment.

usage: with_stand_ins.py COMMAND [ARGUMENT...]

One of each for all tests: starting one takes as long as many tests do. They are stopped when the command ends.
CALLVAULT_TEST_MOTO: S3, DynamoDB, Secrets Manager. CALLVAULT_TEST_AZURITE: Azure. CALLVAULT_TEST_GCS: Google Cloud.
"""

import os
import pathlib
import subprocess
import sys
import threading


def start_moto():
    program = pathlib.Path(sys.executable).with_name("moto_server")
    command = [str(program), "-H", "127.0.0.1", "-p", "0"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def url_of(moto):
    url = next((line.split("Running on ")[1].strip() for line in moto.stderr if "Running on " in line), None)
    if url is None:
        sys.exit("moto ended before it was ready")
    # Whoever writes to a full pipe stops: somebody reads on.
    threading.Thread(target=lambda: [None for _ in moto.stderr], daemon=True).start()
    return url


def start(name):
    script = pathlib.Path(__file__).with_name("stand_in.py")
    command = [sys.executable, "-B", str(script), name]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def main():
    # All at once, since each of them takes a second or two.
    moto, others = start_moto(), {name: start(name) for name in ("azurite", "gcs")}
    try:
        named = {"CALLVAULT_TEST_MOTO": url_of(moto)}
        for name, process in others.items():
            url = process.stdout.readline().strip()
            if not url:
                sys.exit(f"{name} ended before it was ready")
            named[f"CALLVAULT_TEST_{name.upper()}"] = url
        return subprocess.run(sys.argv[1:], env={**os.environ, **named}).returncode
    finally:
        moto.kill()
        moto.wait()
        for process in others.values():
            # They end with their stdin, and stop what they started.
            process.stdin.close()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
