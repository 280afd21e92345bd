#!/usr/bin/env python3
"""The live page of `callvault serve` in a real browser. Run by `make browser-test`.

Live updates, reconnecting after the server was away, search, states, a call's events, the keyboard alone, wrong tokens, hostile
texts, thousands of calls, a websocket elsewhere, and how it looks at desktop and phone widths, light and dark. No check may leave a
violation of the page's policy behind, nor a request to another origin. Screenshots are left in target/browser.
"""

import json
import pathlib
import re
import sys
import tempfile
from urllib.parse import urlsplit

from live_looks import filled, looks_right
from live_page import TOKEN, Serve, actor, at, call, opened, whole
from login_check import CALLVAULT, FLAGS, PATIENCE, browser
from report_check import WIDTHS

HOSTILE = '<img src=x onerror="document.title=\'taken\'"><script>document.title="taken"</script>'


def rules(context, server):
    """What needs no server: pauses, which row is the newer one, orders, search, sums of events, times, addresses."""
    with opened(context, server) as it:
        it.page.goto(server.address + "/")
        told = it.page.evaluate("""async () => {
          const m = await import("/live.js");
          const row = (id, state, updated, more) => ({...m.call({id, aggregate_id: `c${id}`, state, created_at: `2019-10-15T00:30:0${id}.000Z`, updated_at: updated}), ...more});
          const early = "2019-10-15T00:30:26.000Z", late = "2019-10-15T00:30:27.000Z";
          const over = (known, fresh) => m.replaces({round: 1, turn: 5, live: true, ...known}, {round: 1, turn: 6, live: true, ...fresh});
          const event = (id, event) => ({id, uuid: `u${id}`, event});
          const about = m.summary([event(2, {type: "actor.left", actor: "ana@x", timestamp: late}), event(1, {type: "call.new", their_number: "+55 11 9", our_number: 7, direction: "inbound", timestamp: early}),
            event(3, {type: "actor.entered", actor: "ana@x", timestamp: early}), event(4, {type: "actor.entered", actor: "bia@x", queue: "q", timestamp: late}), event(5, null), null, event(6, {type: ["odd"], actor: {}})]);
          const finds = query => m.matches({id: "1463.30041"}, {where: "+5511987654321 900 ana@example.com", digits: "5511987654321 "}, m.wanted(query));
          const where = (config, page = "https://a.example/x/") => { try { return m.endpoint(config, page).href; } catch (fault) { return "refused"; } };
          return {
            pauses: [0, 1, 2, 3, 6, 40].map(n => [m.backOff(n, 0), m.backOff(n, 1)]),
            spread: new Set(Array.from({length: 50}, () => m.backOff(5))).size,
            none: [null, 3, "x", {}, {aggregate_id: 7}, {aggregate_id: ""}].map(m.call),
            odd: m.call({aggregate_id: "c", state: {}, id: "x"}).group,
            merge: [m.replaces(undefined, {}), over(row(1, "WAITING", late), row(1, "NEW", early)), over(row(1, "NEW", early), row(1, "WAITING", late)),
              over(row(1, "NEW", late), row(1, "ONGOING", late)), over(row(1, "ONGOING", late), row(1, "NEW", late, {live: false, turn: 9})),
              over(row(1, "ONGOING", late), row(1, "FINISHED", late, {live: false, turn: 4})), over(row(1, "FINISHED", late), row(1, "NEW", early, {round: 2}))],
            orders: Object.entries(m.ORDERS).map(([name, order]) => [name, [row(2, "NEW", late), row(3, "NEW", early), row(1, "NEW", late)].sort(order).map(one => one.number)]),
            finds: ["", "30041", "ANA 900", "(55) 11 98765-4321", "98765", "bia", "12", "ana bia"].map(finds),
            about: [about.theirs, about.ours, about.direction, about.queue, about.agents, about.now, about.digits],
            lengths: [0, 7999, 760000, 3729000, -5, 172800000, NaN].map(m.length),
            addresses: [where(null), where({}), where(null, "http://127.0.0.1:8080/#token=x"), where({websocket: "wss://b.example/prod"}),
              where({websocket: "ws://b.example/"}), where({websocket: "https://b.example/"}), where({websocket: "wss://u:p@b.example/"}), where({websocket: 5})],
          };
        }""")
        assert told["pauses"] == [[250, 500], [500, 1000], [1000, 2000], [2000, 4000], [15000, 30000], [15000, 30000]], told["pauses"]
        assert told["spread"] > 10, "pauses have no chance in them"
        assert told["none"] == [None] * 6 and told["odd"] == "OTHER", told
        assert told["merge"] == [True, False, True, True, False, False, True], told["merge"]
        assert dict(told["orders"]) == {"newest": [3, 2, 1], "oldest": [1, 2, 3], "changed": [2, 1, 3]}, told["orders"]
        assert told["finds"] == [True, True, True, True, True, False, False, False], told["finds"]
        assert told["about"] == ["+55 11 9", "7", "inbound", "q", ["bia@x", "ana@x"], 1, "55119 7"], told["about"]
        assert told["lengths"] == ["0:00", "0:07", "12:40", "1:02:09", "0:00", "2 days", ""], told["lengths"]
        assert told["addresses"] == ["wss://a.example/x/ws", "wss://a.example/x/ws", "ws://127.0.0.1:8080/ws", "wss://b.example/prod",
                                     "refused", "refused", "refused", "refused"], told["addresses"]


def asks_for_the_token(context, server):
    """A wrong token is refused in words, and forgotten; the right one opens, also from the address, where it does not stay."""
    with opened(context, server) as it:
        it.enter("not the token")
        it.expect(it.page.get_by_role("alert")).to_contain_text("refused this token")
        stored = "() => JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])"
        assert "not the token" not in it.page.evaluate(stored)
        assert it.page.get_by_label("Access token").input_value() == ""
        it.page.get_by_label("Access token").fill(TOKEN)
        it.page.keyboard.press("Enter")
        it.live()
        assert TOKEN not in it.page.url + it.page.content()
        kept = json.loads(it.page.evaluate(stored))
        assert list(kept[0].values()) == [TOKEN] and kept[1:] == [{}, ""], kept
        it.page.reload()
        it.live()
        it.page.get_by_role("button", name="Sign out").click()
        it.expect(it.page.get_by_label("Access token")).to_be_focused()
        assert it.page.evaluate("() => sessionStorage.length") == 0
    with opened(context, server) as it:
        it.page.goto(server.address + "/#token=" + "".join(f"%{ord(letter):02x}" for letter in TOKEN))
        it.live()
        assert it.page.url == server.address + "/", it.page.url
        it.page.go_back()
        assert "token" not in it.page.url


def says_when_there_is_nothing(context, server):
    with opened(context, server) as it:
        it.enter().live()
        it.sees(it.page.locator("#empty-words"), "No calls yet")
        it.sees(it.count("ALL"), "0")


def updates_without_reload(context, server):
    """A call goes through its states before the eyes of who watches."""
    with opened(context, server) as it:
        it.enter().live()
        it.page.evaluate("() => { window.same = true; }")
        events = whole(100, 0)
        server.post(events[0])
        it.sees(it.row(100).locator(".pill"), "New")
        it.sees(it.count("NEW"), "1")
        it.sees(it.row(100).locator(".theirs"), "+5511987654321")
        server.post(events[1], events[2])
        it.sees(it.row(100).locator(".pill"), "Waiting")
        it.sees(it.count("NEW"), "0")
        it.sees(it.count("WAITING"), "1")
        it.expect(it.page).to_have_title(re.compile("^1 waiting, 0 ongoing"))
        server.post(events[3], events[4])
        it.sees(it.row(100).locator(".pill"), "Ongoing")
        it.sees(it.row(100).locator(".agent"), "ana")
        server.post(events[5], events[6])
        it.sees(it.row(100).locator(".pill"), "Finished")
        it.sees(it.row(100).locator(".lasts"), "1:11")
        since = it.row(100).locator(".since time")
        assert since.get_attribute("title").startswith(at(0)[:19]), since.get_attribute("title")
        # An event of a call that is over, and one of a type that nobody knows, change no state.
        server.post({"type": "call.recording-available", "call_id": "1463669263.100", "url": "https://example.com/a.mp3", "timestamp": at(100)},
                    {"type": "survey.answered", "call_id": "1463669263.100", "timestamp": at(101)})
        it.expect(it.row(100).locator(".updated time")).to_have_attribute("title", re.compile(re.escape(at(101)[:19])))
        it.sees(it.row(100).locator(".lasts"), "1:11")
        # Newest first, whatever came first.
        server.post(*whole(102, 40)[:3], *whole(101, 20)[:1])
        it.expect(it.row(101)).to_be_visible()
        assert it.rows() == [102, 101, 100], it.rows()
        it.page.get_by_label("Order").select_option("oldest")
        assert it.rows() == [100, 101, 102], it.rows()
        assert it.page.evaluate("() => window.same") is True


def shows_a_timeline(context, server):
    """A chosen call shows its events in their order, and each one that comes."""
    with opened(context, server) as it:
        it.enter().live()
        it.row(100).click()
        it.sees(it.page.locator("#detail-title"), "1463669263.100")
        items = it.page.locator("#events > li")
        it.expect(items).to_have_count(9)
        it.expect(items.locator("strong")).to_have_text(["Call began", "Put on standby", "Waits in the queue", "Agent joined", "Conversation began",
                                                        "Agent left", "Call ended", "Recording available", "survey.answered"])
        it.expect(items.nth(8).locator(".tag")).to_have_text("unknown type")
        it.expect(items.nth(6).locator(".after")).to_have_text("+1:11")
        items.nth(3).locator("summary").click()
        assert json.loads(items.nth(3).locator("pre").inner_text()) == actor(100, "entered", 9)
        for fact in ["Finished", "inbound", "+551148585000", "ana@example.com", "900"]:
            it.expect(it.page.locator("#facts")).to_contain_text(fact)
        # One that comes late has its place by its own time; what is open stays open.
        server.post(actor(100, "ringing", 5))
        it.expect(items).to_have_count(10)
        it.sees(items.nth(3).locator("strong"), "Agent’s telephone rings")
        it.expect(items.nth(4).locator("pre")).to_be_visible()
        it.row(102).click()
        it.expect(items).to_have_count(3)
        it.page.get_by_role("button", name="Close").click()
        it.expect(it.page.locator("#detail-none")).to_be_visible()


def searches_and_filters(context, server):
    with opened(context, server) as it:
        server.post(*whole(110, 60, "+5521333344444", "bia@example.com"), call(111, "new", 70, direction="outbound"), call(111, "ongoing", 71))
        it.enter().live()
        it.expect(it.row(110).locator(".theirs")).to_have_text("+5521333344444")
        it.expect(it.row(102).locator(".theirs")).not_to_be_empty()
        search = it.page.get_by_label("Search by call")
        for query, found in {"30": [110], "bia": [110], "(21) 3333-4": [110], "263.11": [111, 110], "1463669263.102": [102]}.items():
            search.fill(query if query != "30" else "+552133")
            it.expect(it.page.locator("#shown")).to_have_text(f"{len(found)} of 5 calls")
            assert it.rows() == found, (query, it.rows())
        search.fill("nobody of this name")
        it.sees(it.page.locator("#empty-words"), "No call matches")
        it.page.get_by_role("button", name="Show all calls").click()
        assert len(it.rows()) == 5 and search.input_value() == ""
        for state, found in {"Ongoing": [111], "Waiting": [102], "New": [101], "Finished": [110, 100], "Standby": []}.items():
            it.page.get_by_role("radio", name=re.compile(f"^{state}")).check()
            assert it.rows() == found, (state, it.rows())
            it.sees(it.count(state.upper()), str(len(found)))
        it.sees(it.page.locator("#empty-words"), "No call is in state Standby now")
        # It comes by itself into the state that is looked at, and goes.
        server.post(call(101, "standby", 80))
        it.expect(it.row(101)).to_be_visible()
        server.post(call(101, "waiting", 81))
        it.expect(it.row(101)).to_have_count(0)


def works_by_keyboard_alone(context, server):
    with opened(context, server) as it:
        it.page.goto(server.address + "/")
        it.page.keyboard.type(TOKEN)
        it.page.keyboard.press("Enter")
        it.live()
        press, focused = it.page.keyboard.press, lambda wanted: it.is_on(wanted)
        it.expect(it.row(111)).to_be_visible()
        press("/")
        focused("search")
        press("ArrowDown")
        focused("1463669263.111")
        outline = it.page.evaluate("() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle + ' ' + parseFloat(s.outlineWidth); }")
        assert outline == "solid 2", outline
        press("End")
        focused("1463669263.100")
        press("ArrowUp")
        focused("1463669263.101")
        press("Enter")
        focused("detail-title")
        it.expect(it.page.locator("#events > li")).to_have_count(3)
        press("Escape")
        focused("1463669263.101")
        it.expect(it.page.locator("#detail-one")).to_be_hidden()
        press(" ")
        focused("1463669263.101")
        it.expect(it.row(101)).to_have_attribute("aria-selected", "true")
        press("Home")
        focused("1463669263.111")
        # The focus stays on its call while others come in above it.
        server.post(call(112, "new", 90))
        it.expect(it.row(112)).to_be_visible()
        focused("1463669263.111")
        press("/")
        it.page.keyboard.type("100")
        it.sees(it.page.locator("#shown"), "1 of 6 calls")
        it.sees(it.page.locator("#spoken"), "1 call shown.")
        press("Escape")
        it.sees(it.page.locator("#shown"), "6 calls")
        press("Shift+Tab")
        press("ArrowRight")
        it.expect(it.page.get_by_role("radio", name=re.compile("^New"))).to_be_checked()
        it.sees(it.page.locator("#shown"), "1 of 6 calls")
        press("ArrowLeft")
        for wanted in ["search", "sort", "hold"]:
            press("Tab")
            focused(wanted)
        press("Enter")
        server.post(call(112, "ongoing", 91))
        it.sees(it.page.locator("#shown"), "Paused, 1 change since")
        it.sees(it.row(112).locator(".pill"), "New")
        press("Enter")
        it.sees(it.row(112).locator(".pill"), "Ongoing")
        press("?")
        it.expect(it.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
        press("Escape")
        it.expect(it.page.locator("#keys")).to_be_hidden()


def comes_back(context, server):
    """The server goes and comes again: the page says so, tries again by itself, and knows what it missed."""
    with opened(context, server) as it:
        it.enter().live()
        it.row(102).click()
        it.expect(it.page.locator("#events > li")).to_have_count(3)
        it.page.evaluate("() => { window.same = true; }")
        server.down()
        it.sees(it.page.locator("#link"), "Disconnected")
        it.expect(it.page.locator("#banner")).to_contain_text("What you see is from")
        it.expect(it.page).to_have_title(re.compile("^Disconnected"))
        it.sees(it.row(102).locator(".pill"), "Waiting")
        server.post_away(call(102, "finished", 200), call(120, "new", 210))
        server.up()
        it.live()
        it.expect(it.page.locator("#banner")).to_be_hidden()
        it.sees(it.row(102).locator(".pill"), "Finished")
        it.expect(it.row(120)).to_be_visible()
        it.expect(it.page.locator("#events > li")).to_have_count(4)
        server.post(call(120, "waiting", 211))
        it.sees(it.row(120).locator(".pill"), "Waiting")
        assert it.page.evaluate("() => window.same") is True


def keeps_hostile_text_text(context, server):
    """What a telephone system, or who pretends to be one, writes into an event is shown and does nothing."""
    with opened(context, server) as it:
        it.enter().live()
        server.post({"type": HOSTILE, "call_id": "1463669263.130", "timestamp": at(300), "actor": HOSTILE, "queue": HOSTILE, "their_number": HOSTILE,
                     "our_number": "\u202e\u0000" + "W" * 4000, "direction": HOSTILE, "code": {"__proto__": [HOSTILE]}, "url": "javascript:document.title='taken'"},
                    {"type": "__proto__", "call_id": "1463669263.130", "timestamp": at(301), "constructor": 1},
                    call(130, "new", 299, HOSTILE), actor(130, "entered", 302, HOSTILE, HOSTILE))
        it.expect(it.row(130).locator(".theirs")).to_contain_text("<img src=x")
        it.row(130).click()
        items = it.page.locator("#events > li")
        it.expect(items).to_have_count(4)
        for number in range(4):
            items.nth(number).locator("summary").click()
        it.expect(items.filter(has_text="onerror").locator("pre").first).to_contain_text("<script>")
        assert it.page.locator("#app img, #app script, #app a, #app [onerror]").count() == 0
        assert it.page.title() != "taken"
        assert it.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def stands_thousands(context, server):
    """Thousands of calls: only those in view are in the document; what is looked at stays where it is while others come."""
    server.post(*[call(number, "new", 400 + number % 7) for number in range(1000, 4000)])
    with opened(context, server) as it:
        it.enter().live()
        it.sees(it.count("NEW"), "3,001")
        assert it.page.locator("#rows > .row").count() < 60
        it.page.get_by_label("Search by call").focus()
        it.page.keyboard.press("ArrowDown")
        it.page.keyboard.press("End")
        it.expect(it.row(100)).to_be_focused()
        it.page.keyboard.press("Home")
        for _ in range(40):
            it.page.keyboard.press("PageDown")
        here = it.focused()
        before = it.page.evaluate("() => document.activeElement.getBoundingClientRect().top")
        server.post(*[call(number, "new", 500) for number in range(4000, 4050)])
        it.sees(it.count("NEW"), "3,051")
        assert it.focused() == here
        after = it.page.evaluate("() => document.activeElement.getBoundingClientRect().top")
        assert abs(after - before) < 1, (before, after)
        it.page.get_by_label("Search by call").fill("1463669263.2345")
        it.sees(it.page.locator("#shown"), "1 of 3,058 calls")
        it.expect(it.page.locator("#more")).to_contain_text("have not been read yet")
        it.page.get_by_label("Search by call").fill("+5521333344444")
        it.page.get_by_role("button", name="Read those of 200 more").click()
        it.expect(it.page.get_by_role("button", name="Read those of 200 more")).to_be_visible()


def page_of(rows, params):
    """What a server answers to ListCalls, whole."""
    if "before" in params:
        rows = [row for row in reversed(rows) if row["id"] < params["before"]]
    else:
        rows = [row for row in rows if row["id"] > params.get("after", 0)]
    return [row for row in rows if row["state"] == params.get("state", row["state"])]


def lists_the_newest_of_years(context, server):
    """More calls than a page keeps: it is live once it has those that go on, and asks for no more of the others than it keeps."""
    row = {"created_at": "2019-10-15T00:30:26.000Z", "updated_at": "2019-10-15T00:30:26.000Z"}
    rows = [{"id": number, "aggregate_id": f"1.{number}", "state": "FINISHED", **row} for number in range(1, 120_001)]
    rows[6]["state"] = "ONGOING"
    asked, held = [], []

    def answer(socket, params):
        socket.send(json.dumps({"data": page_of(rows, params)[:params["limit"]], "event": "ListCalls", "status": "Ok"}))

    def hears(socket, message):
        message = json.loads(message)
        if message["event"] != "ListCalls":
            socket.send(json.dumps({"data": [], "event": message["event"], "status": "Ok"}))
            return
        params = message["data"]["params"]
        asked.append(params)
        # The third page of the past waits until the page was looked at.
        if len([one for one in asked if "before" in one]) == 3 and not held:
            held.append((socket, params))
        else:
            answer(socket, params)

    with opened(context, server) as it:
        it.page.route_web_socket(re.compile("/ws"), lambda socket: socket.on_message(lambda message: hears(socket, message)))
        it.enter().live(whole=False)
        it.sees(it.count("ONGOING"), "1")
        it.sees(it.page.locator("#shown"), "Loading, 801 so far")
        assert it.rows()[:2] == [120_000, 119_999], it.rows()[:5]
        answer(*held[0])
        it.sees(it.page.locator("#shown"), "the newest 50,000 calls")
        of_the_past = [one for one in asked if "before" in one]
        assert of_the_past[0] == {"before": 1 << 53, "limit": 400} and len(of_the_past) == 125, (of_the_past[:2], len(of_the_past))
        it.sees(it.count("ONGOING"), "1")


def hears_a_gateway(context, server):
    """The deployed form: config.json names a websocket elsewhere, which answers in pages, welcomes nobody, fails, and falls silent."""
    rows = [{"id": number, "aggregate_id": f"1463669263.{number}", "state": "WAITING", "created_at": "2019-10-15T00:30:26.000Z",
             "updated_at": "2019-10-15T00:30:26.000Z"} for number in range(1, 8)]
    events = [{"id": number, "aggregate_id": "1463669263.7", "uuid": f"u{number}", "event": call(7, "new", number)} for number in range(1, 6)]
    asked, sockets, mood = [], [], {"answers": True, "fails": "none"}

    def gateway(socket):
        sockets.append(socket)
        assert urlsplit(socket.url)._replace(query="").geturl() == "wss://calls.example/prod", socket.url

        def hears(message):
            message = json.loads(message)
            asked.append(message)
            if not mood["answers"]:
                return
            params, event = message["data"].get("params", {}), message["event"]
            if message["data"].get("call_id") == mood.get("fails"):
                socket.send(json.dumps({"message": "Internal server error", "connectionId": "c", "requestId": "r"}))
            elif event == "ListCalls":
                socket.send(json.dumps({"data": page_of(rows, params)[:3], "event": event, "status": "Ok"}))
            else:
                after = [row for row in events if row["id"] > params.get("after", 0)]
                socket.send(json.dumps({"data": after[:2], "event": event, "status": "Ok", **({"next": after[1]["id"]} if len(after) > 2 else {})}))

        socket.on_message(hears)

    with opened(context, server) as it:
        it.page.route("**/config.json", lambda route: route.fulfill(json={"websocket": "wss://calls.example/prod"}))
        it.page.route_web_socket(re.compile("^wss://calls.example/"), gateway)
        it.page.clock.install()

        def later(is_so):
            """Lets the page's time go on, second by second, up to a minute."""
            for _ in range(60):
                if is_so():
                    return
                it.page.clock.run_for(1000)
            raise AssertionError("it did not happen within a minute")

        it.enter().live()
        assert it.rows() == [7, 6, 5, 4, 3, 2, 1], it.rows()
        it.row(7).click()
        it.expect(it.page.locator("#events > li")).to_have_count(5)
        # What is on screen has been looked into; nothing else is asked for now.
        it.expect(it.row(1).locator(".theirs")).not_to_be_empty()
        # The gateway fails once: the page says what it said, and asks again when it is told to.
        mood["fails"] = "1463669263.6"
        it.row(6).click()
        it.expect(it.page.locator("#events-words")).to_contain_text("Internal server error")
        mood["fails"] = "none"
        it.page.get_by_role("button", name="Try again").click()
        it.expect(it.page.locator("#events > li")).to_have_count(5)
        # Silence: the page asks whether anybody is there, and gives a connection up that does not answer.
        mood["answers"] = False
        had = len(asked)
        later(lambda: len(asked) > had)
        assert [one["data"] for one in asked[had:]] == [{"params": {"limit": 1}}], asked[had:]
        mood["answers"] = True
        later(lambda: len(sockets) == 2)
        it.live()
        it.row(7).click()
        it.expect(it.page.locator("#events > li")).to_have_count(5)
        # No calls of before are kept that the server does not know any more.
        rows.pop()
        sockets[1].close()
        later(lambda: len(sockets) == 3)
        it.live()
        it.expect(it.row(7)).to_have_count(0)
        it.sees(it.page.locator("#events-words"), "The server does not have this call any more.")
        # A change that something newer has overtaken changes nothing.
        for state, second in [("ONGOING", 40), ("NEW", 30)]:
            sockets[2].send(json.dumps({"data": {**rows[0], "state": state, "updated_at": f"2019-10-15T00:30:{second}.000Z"},
                                        "event": "DataChanged", "status": "Ok"}))
        it.sees(it.row(1).locator(".pill"), "Ongoing")
        it.sees(it.count("WAITING"), "5")
    with opened(context, server) as it:
        it.page.route("**/config.json", lambda route: route.fulfill(json={"websocket": "https://calls.example/"}))
        it.enter()
        it.expect(it.page.locator("#banner")).to_contain_text("config.json names no websocket")


CHECKS = [rules, asks_for_the_token, says_when_there_is_nothing, updates_without_reload, shows_a_timeline, searches_and_filters,
          works_by_keyboard_alone, comes_back, keeps_hostile_text_text, stands_thousands, lists_the_newest_of_years, hears_a_gateway]


def main():
    executable = browser()
    if executable is None:
        print("browser-test: left out, there is no Chromium: install it, or name one in CHROMIUM")
        return 1
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE * 1000)
    shots = CALLVAULT.parents[1] / "browser"
    shots.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="callvault-browser") as folder, sync_playwright() as playwright:
        server = Serve(pathlib.Path(folder))
        try:
            chromium = playwright.chromium.launch(executable_path=executable, headless=True, args=FLAGS)
            context = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
            context.set_default_timeout(PATIENCE * 1000)
            for check in CHECKS:
                check(context, server)
                print(f"browser-test: live, {check.__name__} ok", flush=True)
            filled(server)
            for name in WIDTHS:
                for scheme in ["light", "dark"]:
                    looks_right(chromium, server, name, scheme, shots)
                    print(f"browser-test: live, {name}, {scheme} ok", flush=True)
            chromium.close()
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
