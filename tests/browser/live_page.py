"""What the check of the live page is made of: the server, events as a telephone system sends them, and the page in a browser."""

import contextlib
import datetime
import http.client
import json
import re
from urllib.parse import urlsplit

from login_check import PATIENCE, Program

TOKEN, SECRET = "planted+/%&?#-token-of-the-page", "planted-webhook-secret"
# What a browser itself says of these, and no page can keep it from saying: there is no config.json, a token is refused, the
# server is away.
EXPECTED = re.compile(r"status of 40[14] |ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_CONNECTION_RESET|WebSocket connection to")


class Serve:
    """`callvault serve`, with a ledger that is there after a restart."""

    def __init__(self, folder):
        self.folder, self.listen = folder, "127.0.0.1:0"
        self.up()

    def _start(self, listen):
        return Program("serve", "--listen", listen, folder=self.folder, WEBHOOK_SECRET=SECRET, CALLS_TOKEN=TOKEN,
                       LEDGER="sqlite:ledger.sqlite", ARCHIVE=(self.folder / "archive").as_uri())

    def up(self):
        self.program = self._start(self.listen)
        self.address = self.program.line("listening on ").removeprefix("listening on ")
        self.listen = urlsplit(self.address).netloc

    def down(self):
        self.program.stop()

    def post(self, *events, to=None):
        connection = http.client.HTTPConnection(urlsplit(to or self.address).netloc, timeout=PATIENCE)
        for event in events:
            connection.request("POST", "/webhook", json.dumps(event), {"Authorization": f"Bearer {SECRET}", "Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200 and json.loads(body) == {"status": "ok"}, (answer.status, body)
        connection.close()

    def post_away(self, *events):
        """Events that come while the page cannot hear of them: to a server of the same ledger at another address."""
        other = self._start("127.0.0.1:0")
        try:
            self.post(*events, to=other.line("listening on ").removeprefix("listening on "))
        finally:
            other.stop()

    def stop(self):
        self.program.stop()


BEGAN = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(minutes=20)


def at(seconds):
    return (BEGAN + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def call(number, kind, seconds, theirs="+5511987654321", **more):
    return {"type": f"call.{kind}", "call_id": f"1463669263.{number}", "code": str(number), "direction": "inbound",
            "our_number": "+551148585000", "their_number": theirs, "timestamp": at(seconds), **more}


def actor(number, kind, seconds, who="ana@example.com", queue="900"):
    return {"type": f"actor.{kind}", "call_id": f"1463669263.{number}", "code": "201", "actor": who, "number": "201", "queue": queue,
            "timestamp": at(seconds)}


def whole(number, since, theirs="+5511987654321", who="ana@example.com"):
    """A call from its beginning to its end, as most are."""
    return [call(number, "new", since, theirs, their_number_type="mobile"), call(number, "standby", since + 1, theirs),
            call(number, "waiting", since + 2, theirs, queue="900"), actor(number, "entered", since + 9, who),
            call(number, "ongoing", since + 9, theirs), actor(number, "left", since + 70, who), call(number, "finished", since + 71, theirs)]


class Page:
    """The page in a browser, with everything it said and asked for, and words for what a person does and sees."""

    def __init__(self, context, server, known=()):
        from playwright.sync_api import expect

        self.expect, self.server = expect, server
        self.page = context.new_page()
        self.said, self.asked, self.known = [], [], [re.compile(one) for one in known]
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))
        self.page.add_init_script("window.refused = []; addEventListener('securitypolicyviolation', event => refused.push(event.violatedDirective + ' ' + event.blockedURI));")

    def enter(self, token=TOKEN):
        self.page.goto(self.server.address + "/")
        self.page.get_by_label("Access token").fill(token)
        self.page.get_by_role("button", name="Show calls").click()
        return self

    def live(self, whole=True):
        """Waits until it is live, and, if the list is to be `whole`, has the calls of the past too."""
        self.expect(self.page.locator("#link")).to_have_text("Live")
        if whole:
            self.expect(self.page.locator("#shown")).not_to_contain_text("Loading")
        return self

    def row(self, number):
        return self.page.locator(f'#rows > [data-id="1463669263.{number}"]')

    def rows(self):
        """Ids from the top down, without what they have in common."""
        return self.page.evaluate("""() => [...document.querySelectorAll("#rows > .row")]
            .sort((a, b) => a.ariaRowIndex - b.ariaRowIndex).map(row => Number(row.dataset.id.split(".")[1]))""")

    def count(self, state):
        return self.page.locator(f'.tile[data-state="{state}"] .count')

    def sees(self, locator, text):
        self.expect(locator).to_have_text(text)

    def focused(self):
        return self.page.evaluate("() => document.activeElement.dataset.id || document.activeElement.id || document.activeElement.tagName")

    def is_on(self, wanted):
        assert self.focused() == wanted, f"focus is on {self.focused()}, not on {wanted}"

    def leave(self):
        refused = self.page.evaluate("() => refused")
        assert not refused, refused
        faults = [one for one in self.said if not EXPECTED.search(one) and not any(known.search(one) for known in self.known)]
        assert not faults, faults
        assert not any(TOKEN in one for one in self.said), "the page said its token"
        own = urlsplit(self.server.address).netloc
        others = [url for url in self.asked if urlsplit(url).netloc not in ("", own) and not url.startswith("wss://calls.example/")]
        assert not others, others
        self.page.close()


@contextlib.contextmanager
def opened(context, server, known=()):
    page = Page(context, server, known)
    yield page
    page.leave()
