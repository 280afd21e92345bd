#!/usr/bin/env python3
"""Runs one stand-in of a cloud on a free port of this machine until its stdin ends, and prints where it listens.

usage: stand_in.py azurite|gcs

azurite: Azure Blob Storage, with the container `recordings`. gcs: Google Cloud Storage, with the bucket `recordings`.
"""

import base64
import datetime
import hashlib
import hmac
import pathlib
import re
import subprocess
import sys
import threading
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAME = "recordings"
# Of every Azurite, from its documentation.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


def azurite():
    main = ROOT / "target/azurite/node_modules/azurite/dist/src/blob/main.js"
    options = ["--inMemoryPersistence", "--blobHost", "127.0.0.1", "--blobPort", "0", "--skipApiVersionCheck"]
    command = ["node", str(main), "--silent", "--disableTelemetry", *options]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd=ROOT / "target")
    lines = (re.search(r"successfully listens on (http://\S+)", line) for line in process.stdout)
    found = next((line for line in lines if line), None)
    if found is None:
        sys.exit("azurite ended before it was ready")
    # Whoever writes to a full pipe stops: somebody reads on.
    threading.Thread(target=lambda: [None for _ in process.stdout], daemon=True).start()
    create_container(found[1])
    return found[1], process.kill


def create_container(url):
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
    resource = f"/{ACCOUNT}/{ACCOUNT}/{NAME}\nrestype:container"
    text = "PUT" + "\n" * 12 + f"x-ms-date:{date}\nx-ms-version:2021-12-02\n{resource}"
    signed = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
    request = urllib.request.Request(f"{url}/{ACCOUNT}/{NAME}?restype=container", method="PUT")
    for name, value in [("x-ms-date", date), ("x-ms-version", "2021-12-02"), ("Authorization", f"SharedKey {ACCOUNT}:{signed}")]:
        request.add_header(name, value)
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201, answer.status


def gcs():
    import http.server

    # It takes one connection after the other: the others must be able to wait.
    http.server.HTTPServer.request_queue_size = 128
    from gcp_storage_emulator.server import create_server

    server = create_server("127.0.0.1", 0, True, default_bucket=NAME)
    server.start()
    server._api.is_running.wait()
    return f"http://127.0.0.1:{server._api._httpd.server_address[1]}", server.stop


def main():
    url, stop = {"azurite": azurite, "gcs": gcs}[sys.argv[1]]()
    try:
        print(url, flush=True)
        sys.stdin.read()
    finally:
        stop()


if __name__ == "__main__":
    main()
