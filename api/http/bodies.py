"""Request bodies: read up to a limit, as strict JSON, into a model that refuses what it does not know."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Iterator
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from api.http.negotiation import JSON
from api.http.problems import Problem
from ruleforge.family import explain

MAX_BODY = 1_000_000  # bytes
# What is read, and thrown away, of a larger one: a client that is still sending would not see the answer.
MOST_READ = 20 * MAX_BODY
Model = TypeVar("Model", bound=BaseModel)


class Body(Generic[Model]):
    """A validated body. given: what the client wrote, nothing filled in; model: the same, validated."""

    def __init__(self, given: dict[str, Any], model: Model) -> None:
        self.given, self.model = given, model


def body_of(model: type[Model], *media_types: str) -> Callable[[Request], Coroutine[Any, Any, Body[Model]]]:
    """A dependency: the request's body as this model, whose arrays are tuples. 400, 413, 415 or 422 if it cannot be."""
    taken = (JSON, *media_types)

    async def read(request: Request) -> Body[Model]:
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in taken:
            raise Problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                f"expected Content-Type {' or '.join(taken)}, and {media_type or 'none'!r} came",
                headers={"Accept": ", ".join(taken)},
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
    async for part in request.stream():
        size += len(part)
        if size <= MAX_BODY:
            parts.append(part)
        elif size > MOST_READ:
            break
    if size > MAX_BODY:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected a body of at most {MAX_BODY} bytes")
    return b"".join(parts)


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:  # no UTF-8, no JSON, or nested beyond what can be read
        raise Problem(HTTPStatus.BAD_REQUEST, f"expected a body in JSON: {error}") from None
    if not isinstance(given, dict):
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "expected a JSON object", [("", "expected a JSON object")])
    unusable = [
        (pointer, "expected text without the character NUL and lone surrogates") for pointer in _unusable(given)
    ]
    if unusable:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the body has text that cannot be kept: see errors", unusable)
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


def _unusable(value: Any, pointer: str = "") -> Iterator[str]:
    if isinstance(value, str) and not usable_text(value):
        yield pointer
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unusable(item, f"{pointer}/{index}")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not usable_text(key):
                yield pointer
            else:
                yield from _unusable(item, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
