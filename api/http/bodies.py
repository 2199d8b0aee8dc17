"""Request bodies: read up to a limit, as strict JSON, into a model that refuses what it does not know."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from api.http.connection import ARRIVAL_SECONDS
from api.http.negotiation import JSON
from api.http.problems import Problem
from ruleforge.nesting import MAX_NESTING, pointer_part, refuse_deep
from ruleforge.validation import explain

MAX_BODY = 1_000_000  # bytes
# What is read, and thrown away, of a larger one: a client that is still sending would not see the answer.
MOST_READ = 20 * MAX_BODY
# How long a body may take to come; the connection is closed some time after that.
BODY_SECONDS = ARRIVAL_SECONDS / 2
# Of several of these one would count, and nobody could tell which.
ONCE = ("Content-Type", "Idempotency-Key")
_NO_TEXT = "expected text without the character NUL and lone surrogates"
Model = TypeVar("Model", bound=BaseModel)


class Body(Generic[Model]):
    """A validated body. given: what the client wrote, nothing filled in; model: the same, validated."""

    def __init__(self, given: dict[str, Any], model: Model) -> None:
        self.given, self.model = given, model


def body_of(model: type[Model], *media_types: str) -> Callable[[Request], Coroutine[Any, Any, Body[Model]]]:
    """A dependency: the request's body as this model, whose arrays are tuples; 400, 408, 413, 415 or 422 if not."""
    taken = (JSON, *media_types)

    async def read(request: Request) -> Body[Model]:
        for name in ONCE:
            if len(request.headers.getlist(name)) > 1:
                raise Problem(HTTPStatus.BAD_REQUEST, f"expected the header {name} once, and it came more often")
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in taken:
            raise Problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"expected Content-Type {' or '.join(taken)}, and {media_type or 'none'!r} came",
                headers={"Accept": ", ".join(taken)},
            )
        coding = ", ".join(request.headers.getlist("content-encoding")).strip().lower()
        if coding not in ("", "identity"):
            raise Problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"expected a body as it is, without Content-Encoding, and {coding!r} came: send it uncompressed",
                headers={"Accept-Encoding": "identity"},
            )
        given = _parsed(await _limited(request))
        try:
            # JSON's own types are told apart strictly: the text "3" is no number.
            return Body(given, model.model_validate(_frozen(given), strict=True))
        except ValidationError as error:
            found = explain(error, model)
            count = f"{len(found)} fields are" if len(found) > 1 else "one field is"
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{count} refused: see errors", found) from None

    return read


def described(model: type[BaseModel], *media_types: str) -> dict[str, Any]:
    """The same for the description of a route (`openapi_extra`)."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    content = {name: {"schema": schema} for name in (JSON, *media_types)}
    return {"requestBody": {"required": True, "content": content}}


async def _limited(request: Request) -> bytes:
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size <= MAX_BODY:
                    parts.append(part)
                elif size > MOST_READ:
                    break
    except TimeoutError:
        raise Problem(
            HTTPStatus.REQUEST_TIMEOUT,
            f"expected the whole body within {BODY_SECONDS:g} s, and {size} bytes came: send it again",
            headers={"Connection": "close"},
        ) from None
    if size > MAX_BODY:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected a body of at most {MAX_BODY} bytes")
    return b"".join(parts)


class _Object(dict[str, Any]):
    """A JSON object, and the names that came twice in it."""

    twice: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> _Object:
    made = _Object(pairs)
    if len(made) < len(pairs):
        made.twice = tuple(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)
    return made


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_object)
    except RecursionError:
        raise Problem(HTTPStatus.BAD_REQUEST, f"expected JSON that is nested at most {MAX_NESTING} deep") from None
    except ValueError as error:  # no UTF-8, or no JSON
        raise Problem(HTTPStatus.BAD_REQUEST, f"expected a body in JSON: {error}") from None
    if not isinstance(given, dict):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "expected a JSON object", [("", "expected a JSON object")])
    refuse_deep(given)
    if refused := list(_unusable(given)):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the body has parts that cannot be kept: see errors", refused)
    return given


def _frozen(value: Any) -> Any:
    """The same JSON with tuples for arrays."""
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def usable_text(text: str) -> bool:
    """Whether every database can keep the text: PostgreSQL has no NUL, and nobody can encode half a character."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _unusable(value: Any, pointer: str = "") -> Iterator[tuple[str, str]]:
    """What no model would see: texts that cannot be kept, and names of which only the last would count."""
    if isinstance(value, str) and not usable_text(value):
        yield pointer, _NO_TEXT
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unusable(item, f"{pointer}/{index}")
    elif isinstance(value, _Object):
        for name in value.twice:
            if usable_text(name):
                yield f"{pointer}/{pointer_part(name)}", "expected each name once, and this one came more often"
        for name, item in value.items():
            if not usable_text(name):
                yield pointer, _NO_TEXT
            else:
                yield from _unusable(item, f"{pointer}/{pointer_part(name)}")
