#!/usr/bin/env python3
"""A server of the websocket's shapes (requirements R-5.4, R-5.5) and of the page, for working on the page without a build."""

import asyncio
import http
import json
import pathlib
import threading
import uuid
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import broadcast, serve
from websockets.datastructures import Headers
from websockets.http11 import Response

WEB = pathlib.Path(__file__).resolve().parents[2] / "web"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; "
          "form-action 'none'; frame-ancestors 'none'")
STATES = {f"call.{state.lower()}": state for state in ["NEW", "STANDBY", "WAITING", "ONGOING", "FINISHED"]}


class Stub:
    def __init__(self, token):
        self.token, self.events, self.calls, self.port, self.most = token, [], {}, 0, 100
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.up()

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def up(self):
        async def start():
            self.server = await serve(self.talk, "127.0.0.1", self.port, process_request=self.request)
            self.port = self.server.sockets[0].getsockname()[1]
        self._do(start())
        self.address = f"http://127.0.0.1:{self.port}"

    def down(self):
        async def stop():
            self.server.close()
            await self.server.wait_closed()
        self._do(stop())

    def post(self, *events):
        async def all_of_them():
            for event in events:
                await self._post(event)
        self._do(all_of_them())

    post_away = post

    async def _post(self, event):
        self.events.append({"id": len(self.events) + 1, "aggregate_id": event["call_id"], "uuid": str(uuid.uuid4()), "event": event,
                            **({} if event["type"].startswith(("call.", "actor.")) else {"type": "unknown"})})
        at = event["timestamp"]
        row = self.calls.setdefault(event["call_id"], {"id": len(self.calls) + 1, "aggregate_id": event["call_id"], "state": "unknown",
                                                       "created_at": at, "updated_at": at})
        row["updated_at"] = max(row["updated_at"], at)
        row["state"] = STATES.get(event["type"], row["state"])
        broadcast(self.server.connections, json.dumps({"data": row, "event": "DataChanged", "status": "Ok"}))

    async def request(self, connection, request):
        parts = urlsplit(request.path)
        if parts.path == "/ws":
            if parse_qs(parts.query).get("token") == [self.token]:
                return None
            return self.plain(401, b"refused\n", "text/plain")
        path = WEB / (parts.path.lstrip("/") or "index.html")
        if not path.is_file():
            return self.plain(404, b"nothing here\n", "text/plain")
        return self.plain(200, path.read_bytes(), TYPES[path.suffix])

    @staticmethod
    def plain(status, body, kind):
        headers = Headers({"Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": POLICY,
                           "X-Content-Type-Options": "nosniff", "Connection": "close"})
        return Response(status, http.HTTPStatus(status).phrase, headers, body)

    async def talk(self, socket):
        await socket.send(json.dumps({"data": "Welcome", "event": "Welcome", "status": "Ok"}))
        async for message in socket:
            await socket.send(json.dumps(self.answer(message)))

    def answer(self, message):
        fails = lambda event, words: {"data": {"success": False, "error": words}, "event": event, "status": "Failed"}
        try:
            asked = json.loads(message)
            event, data = asked["event"], asked["data"]
        except (ValueError, TypeError, KeyError):
            return fails("InvalidMessage", "invalid body")
        if event == "ListCalls":
            params = data.get("params", {})
            rows = [row for row in self.calls.values() if row["state"] == params.get("state", row["state"]) and row["id"] > params.get("after", 0)]
            rows = rows[:min(params.get("limit", self.most), self.most)]
        elif event == "ListCallEvents":
            rows = [row for row in self.events if row["aggregate_id"] == data["call_id"]]
        else:
            return fails("InvalidEvent", "no suitable eventHandler for this event")
        return {"data": rows, "event": event, "status": "Ok"}

    def stop(self):
        self.down()
        self.loop.call_soon_threadsafe(self.loop.stop)
