#!/usr/bin/env python3
"""The simulator's media, read by tools that are not ours: mutagen for Ogg Opus, the standard library for the rest.

Run by `make test`, inside the project's virtual environment. Starts `callvault simulator` on a free port, downloads a
day by the documented API, and reads every file. Exit 0 only if every file is what its content type says.
"""

import base64
import collections
import io
import json
import pathlib
import subprocess
import sys
import time
import urllib.request
import wave
import zipfile

from mutagen.oggopus import OggOpus

ROOT = pathlib.Path(__file__).resolve().parent.parent
API = "/api/v2"


def call(base, path, token, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(base + path, data, headers), timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def sign_in(base):
    headers = {"Authorization": "Basic " + base64.b64encode(b"demo:demo").decode()}
    request = urllib.request.Request(f"{base}/oauth/token", b"grant_type=client_credentials", headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["access_token"]


def results(base, token):
    """Every result with a URL of the first day's conversations."""
    with urllib.request.urlopen(f"{base}/_sim/truth", timeout=60) as answer:
        ids = json.load(answer)["days"][0]["conversations"]
    for start in range(0, len(ids), 100):
        items = [{"conversationId": one} for one in ids[start:start + 100]]
        job = call(base, f"{API}/recording/batchrequests", token, {"batchDownloadRequestList": items})["id"]
        while (status := call(base, f"{API}/recording/batchrequests/{job}", token)).get("status") != "Completed":
            time.sleep(1.1)
        yield from (one for one in status.get("results", []) if one.get("resultUrl"))


def fault_of(content_type, content):
    """What is wrong with a file, or None."""
    if not content:
        return None  # an empty recording is one of the org's oddities
    try:
        if content_type == "audio/ogg":
            sound = OggOpus(io.BytesIO(content))
            return None if sound.info.channels >= 1 and sound.info.length > 0 else "no sound in it"
        if content_type == "application/zip":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return archive.testzip() or (None if archive.namelist() else "nothing in it")
        if content_type == "application/json":
            json.loads(content)
            return None
        if content_type in ("audio/wav", "audio/x-wav"):
            with wave.open(io.BytesIO(content)) as sound:
                return None if sound.getframerate() > 0 else "no frame rate"
        if content_type == "video/webm":
            return None if content.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in content[:64] else "no EBML header"
        return None  # the unknown type means nothing to anybody
    except Exception as error:  # noqa: BLE001 - whatever a reader says is a fault of the file
        return f"{type(error).__name__}: {error}"


def main():
    program = [ROOT / "target/debug/callvault", "simulator", "--conversations", "120", "--rate", "3000"]
    simulator = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    try:
        base = simulator.stdout.readline().removeprefix("listening on ").strip()
        token, seen, faults = sign_in(base), collections.Counter(), []
        for result in results(base, token):
            with urllib.request.urlopen(result["resultUrl"], timeout=60) as media:
                content = media.read()
            seen[result["contentType"]] += 1
            fault = fault_of(result["contentType"], content)
            if fault:
                faults.append(f"{result['contentType']} {result['recordingId']}: {fault}")
    finally:
        simulator.terminate()
        simulator.wait()
    for kind in ("audio/ogg", "application/zip", "application/json", "video/webm"):
        if not seen[kind]:
            faults.append(f"no {kind} among the media")
    print("\n".join(faults), end="\n" if faults else "")
    print(f"media: {sum(seen.values())} files read, {len(faults)} faults")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
