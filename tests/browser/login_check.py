#!/usr/bin/env python3
"""`callvault login` in a real browser, against the simulator's sign-in page. Run by `make browser-test`.

Drives an installed Chromium (CHROMIUM names it, or the usual names are looked for) without a window. Where there is none,
says so and fails; --is-there asks for no more than that. Ends what it started, by process id.
"""

import json
import os
import pathlib
import pty
import select
import shutil
import stat
import subprocess
import sys
import tempfile
import termios
import time

CALLVAULT = pathlib.Path(__file__).resolve().parents[2] / "target/debug/callvault"
NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
# Without a sandbox of its own, which root may not use; and without the questions Chromium asks elsewhere when it starts.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]
PATIENCE = 60


class Program:
    """A running callvault, with the lines of its stdout as they come."""

    def __init__(self, *args, folder, **environment):
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **environment}
        self.process = subprocess.Popen([CALLVAULT, *args], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said = ""

    def line(self, wanted):
        for line in self.process.stdout:
            self.said += line
            if wanted in line:
                return line.strip()
        raise AssertionError(f"it did not say `{wanted}`: {self.said}{self.process.stderr.read()}")

    def ended(self):
        out, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, self.said + out + errors

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


def browser():
    named = os.environ.get("CHROMIUM")
    return named or next((path for path in map(shutil.which, NAMES) if path), None)


def login(simulator, folder, *args):
    return Program("login", "--no-browser", "--port", "0", "--file", "user.json", *args, folder=folder,
                   GENESYS_URL=simulator, GENESYS_CLIENT_ID="demo", GENESYS_CLIENT_SECRET="demo")


def signs_in(context, simulator, folder, screenshot):
    """A person fills in the page, allows, and reads that it worked; the address shows no token."""
    program = login(simulator, folder)
    try:
        page = context.new_page()
        faults = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.goto(program.line("/oauth/authorize"))
        assert page.title() == "Sign in", page.title()
        page.get_by_label("User name").fill("ana@example.com")
        page.get_by_role("button", name="Allow").click()
        page.get_by_role("heading", name="You are signed in").wait_for()
        shown = page.inner_text("main")
        page.screenshot(path=screenshot)
        code, said = program.ended()
        assert code == 0, said
        assert "ana@example.com" in shown and "You can close this page" in shown, shown
        secret = json.loads((folder / "user.json").read_text())
        for name in ["accessToken", "refreshToken", "clientSecret"]:
            value = secret[name]
            assert value == "demo" or value not in shown + said + page.content() + page.url, name
        assert stat.S_IMODE((folder / "user.json").stat().st_mode) == 0o600
        assert not [fault for fault in faults if "favicon" not in fault and "404" not in fault], faults
        page.close()
    finally:
        program.stop()


def denies(context, simulator, folder):
    """A person says no: the page and the terminal both say so, and nothing is written."""
    program = login(simulator, folder)
    try:
        page = context.new_page()
        page.goto(program.line("/oauth/authorize"))
        page.get_by_role("button", name="Deny").click()
        page.get_by_role("heading", name="The sign-in did not work").wait_for()
        assert "denied" in page.inner_text("main"), page.inner_text("main")
        code, said = program.ended()
        assert code == 3 and "access_denied" in said, said
        assert not (folder / "user.json").exists()
        page.close()
    finally:
        program.stop()


def closes(context, simulator, folder):
    """A person closes the page: the program gives up by itself."""
    program = login(simulator, folder, "--timeout", "2")
    try:
        page = context.new_page()
        page.goto(program.line("/oauth/authorize"))
        page.close()
        code, said = program.ended()
        assert code == 3 and "nobody came back" in said, said
    finally:
        program.stop()


def another_state(context, simulator, folder):
    """The page was begun elsewhere, with a state of its own."""
    program = login(simulator, folder)
    try:
        page = context.new_page()
        address = program.line("/oauth/authorize")
        page.goto(address.replace("state=", "state=not-"))
        page.get_by_role("button", name="Allow").click()
        page.get_by_role("heading", name="The sign-in did not work").wait_for()
        code, said = program.ended()
        assert code == 3 and "wrong state" in said, said
        assert not (folder / "user.json").exists()
        page.close()
    finally:
        program.stop()


def asks_at_the_terminal(context, simulator, folder):
    """What is set nowhere is asked for at a terminal, the secret without showing it."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GENESYS_URL": simulator, "TERM": "xterm"}
        os.execve(CALLVAULT, ["callvault", "login", "--no-browser", "--port", "0", "--file", "user.json"], environment)
    said, deadline = "", time.monotonic() + PATIENCE

    def until(wanted):
        nonlocal said
        while wanted not in said:
            ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"it did not say `{wanted}`: {said}"
            try:
                said += os.read(terminal, 65536).decode(errors="replace")
            except OSError:
                raise AssertionError(f"it ended without saying `{wanted}`: {said}") from None

    try:
        until("Code Authorization")
        os.write(terminal, b"other\n")
        until("not shown")
        # A terminal that still echoes throws away what it has when it is told not to: people are slower than this.
        while termios.tcgetattr(terminal)[3] & termios.ECHO:
            assert time.monotonic() < deadline, f"it still echoes: {said}"
            time.sleep(0.005)
        os.write(terminal, b"other\n")
        until("/oauth/authorize")
        until("Waiting for it")
        after = said.split("not shown", 1)[1]
        assert "other" not in after.split("Signing in", 1)[0], after
        page = context.new_page()
        page.goto(next(line for line in said.split() if "/oauth/authorize" in line))
        page.get_by_role("button", name="Allow").click()
        page.get_by_role("heading", name="You are signed in").wait_for()
        until("Signed in as")
        assert json.loads((folder / "user.json").read_text())["clientId"] == "other"
        page.close()
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def main():
    executable = browser()
    if executable is None:
        print("browser-test: left out, there is no Chromium: install it, or name one in CHROMIUM")
        return 1
    if "--is-there" in sys.argv:
        return 0
    from playwright.sync_api import sync_playwright

    shots = CALLVAULT.parents[1] / "browser"
    shots.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="callvault-browser") as folder:
        folder = pathlib.Path(folder)
        simulator = Program("simulator", "--conversations", "1", folder=folder)
        try:
            address = simulator.line("listening on ").removeprefix("listening on ")
            with sync_playwright() as playwright:
                chromium = playwright.chromium.launch(executable_path=executable, headless=True, args=FLAGS)
                context = chromium.new_context()
                context.set_default_timeout(PATIENCE * 1000)
                # Every one in a folder of its own.
                for number, check in enumerate([signs_in, denies, closes, another_state, asks_at_the_terminal]):
                    own = folder / str(number)
                    own.mkdir()
                    more = [shots / "signed-in.png"] if check is signs_in else []
                    check(context, address, own, *more)
                    print(f"browser-test: {check.__name__} ok")
                chromium.close()
        finally:
            simulator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
