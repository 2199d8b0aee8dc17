"""What a client accepts, and what it has already: media types, ETags, 304."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from api.http.problems import Problem

JSON = "application/json"
CSV = "text/csv"
LATEX = "application/x-latex"
SVG = "image/svg+xml"
EVENTS = "text/event-stream"


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """The offered media type that an Accept header (RFC 9110, 12.5.1) prefers, None if it excludes all."""
    ranges = []
    for part in accept.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if name:
            ranges.append((name, quality))
    best, chosen = 0.0, None
    for media_type in offered:
        family = media_type.partition("/")[0]
        specific = {name: quality for name, quality in ranges if name in (media_type, f"{family}/*", "*/*")}
        quality = next((specific[name] for name in (media_type, f"{family}/*", "*/*") if name in specific), 0.0)
        if quality > best:
            best, chosen = quality, media_type
    return chosen


def offering(*offered: str) -> Callable[[Request], str]:
    """A dependency: the media type to answer with, the first one unless the client prefers another; 406 if none."""

    def choose(request: Request) -> str:
        accept = ", ".join(request.headers.getlist("accept")) or "*/*"
        chosen = preferred(accept, offered)
        if chosen is None:
            raise Problem(
                HTTPStatus.NOT_ACCEPTABLE, f"expected to be asked for {' or '.join(offered)}, and {accept!r} came"
            )
        return chosen

    return choose


def refuse_repeated(request: Request) -> None:
    """Of a query parameter that comes twice one would count, and nobody could tell which: 422."""
    count = Counter(name for name, _ in request.query_params.multi_items())
    repeated = [(f"/{name}", "expected once, and it came more often") for name, times in count.items() if times > 1]
    if repeated:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the query is refused: see errors", repeated)


def matches(headers: Sequence[str], etag: str, *, strong: bool = False) -> bool:
    """Whether If-None-Match headers name this ETag; strong: If-Match headers, where a weak one names none."""
    named = [item.strip() for item in ",".join(headers).split(",")]
    return etag in (named if strong else [item.removeprefix("W/") for item in named]) or "*" in named


class ConditionalRoute(APIRoute):
    """A route whose answers to GET carry an ETag, and are 304 for whoever has them already."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with that around it."""
        handler = super().get_route_handler()

        async def conditional(request: Request) -> Response:
            if HTTPStatus.UNPROCESSABLE_ENTITY in self.responses:
                refuse_repeated(request)
            response = await handler(request)
            body = getattr(response, "body", None)
            if request.method != "GET" or response.status_code != HTTPStatus.OK or not isinstance(body, bytes):
                return response
            etag = response.headers.get("etag") or f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
            # One address may have several media types; and whoever keeps an answer has to ask whether it still holds.
            kept = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept"}
            if matches(request.headers.getlist("if-none-match"), etag):
                return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=kept)
            response.headers.update(kept)
            return response

        return conditional
