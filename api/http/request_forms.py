"""Forms of requests that every server understands whatever its routes: HEAD, and targets with scheme and host."""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# The absolute form of a target (RFC 9112, 3.2.2), as proxies write it.
_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")
_EMPTY: Message = {"type": "http.response.body", "body": b"", "more_body": False}


class RequestForms:
    """Around the application: an absolute target is its path, and HEAD is answered as GET without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http":
            _use_path(scope)
            if scope["method"] == "HEAD":
                await self._head(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = {**scope, "method": "GET"}

        async def head_only(message: Message) -> None:
            if message["type"] != "http.response.body":
                await send(message)
            if message["type"] == "http.response.start":
                # The end comes at once: a stream of events, which might go on for hours, is told so by `receive`.
                await send(_EMPTY)

        try:
            await self._app(asked, receive, head_only)
        finally:
            if "route" in asked:
                scope["route"] = asked["route"]  # for the measurement around this


def _use_path(scope: Scope) -> None:
    raw: bytes = scope.get("raw_path") or b""
    if found := _ABSOLUTE.match(raw):
        scope["raw_path"] = raw[found.end() :] or b"/"
        head = found.group().decode("ascii", "replace")
        scope["path"] = scope["path"][len(unquote(head)) :] or "/"
