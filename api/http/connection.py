"""A connection as the server keeps it: a request has to arrive within some time, and what is none is told so."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.http.problems import MEDIA_TYPE, problem_content

# How long a request may take to arrive, in seconds, from its first byte to the last of its body, however it trickles.
ARRIVAL_SECONDS = 60.0


class Connection(H11Protocol):
    """Closed where a request, or the first one, does not arrive: a client that says nothing holds nothing."""

    arrival_seconds = ARRIVAL_SECONDS
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A first request is expected."""
        super().connection_made(transport)
        self._expect()

    def data_received(self, data: bytes) -> None:
        """A piece of a request, or several."""
        super().data_received(data)
        self._expect()

    def on_response_complete(self) -> None:
        """A further request may have begun to arrive already."""
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is expected any more."""
        self._arrived()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is refused in the shape of every other error."""
        self._arrived()
        detail = f"expected a request of HTTP/1.1 with a head of at most 16 kB, and none came: {msg}"
        body = json.dumps(problem_content(HTTPStatus.BAD_REQUEST, detail, "")).encode()
        headers = [("Content-Type", MEDIA_TYPE), ("Content-Length", str(len(body))), ("Connection", "close")]
        status = HTTPStatus.BAD_REQUEST
        parts: tuple[Any, ...] = (
            h11.Response(status_code=status, headers=headers, reason=status.phrase.encode()),
            h11.Data(data=body),
            h11.EndOfMessage(),
        )
        for part in parts:
            self.transport.write(self.conn.send(part) or b"")
        self.transport.close()

    def _expect(self) -> None:
        """Wait for the rest of a request from now on, unless that has begun; not once it is all there."""
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._arrived()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.arrival_seconds, self._give_up)

    def _arrived(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        self.transport.close()
