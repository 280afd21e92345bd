#!/usr/bin/env python3
"""Runs a command with a moto (S3, DynamoDB, Secrets Manager) beside it, named in CALLVAULT_TEST_MOTO.

usage: with_moto.py COMMAND [ARGUMENT...]

One moto for all tests: starting one takes as long as many tests do. It is stopped, by its id, when the command ends.
"""

import os
import pathlib
import subprocess
import sys
import threading


def main():
    program = pathlib.Path(sys.executable).with_name("moto_server")
    command = [str(program), "-H", "127.0.0.1", "-p", "0"]
    moto = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        url = next((line.split("Running on ")[1].strip() for line in moto.stderr if "Running on " in line), None)
        if url is None:
            sys.exit("moto ended before it was ready")
        # Whoever writes to a full pipe stops: somebody reads on.
        threading.Thread(target=lambda: [None for _ in moto.stderr], daemon=True).start()
        return subprocess.run(sys.argv[1:], env={**os.environ, "CALLVAULT_TEST_MOTO": url}).returncode
    finally:
        moto.kill()
        moto.wait()


if __name__ == "__main__":
    sys.exit(main())
