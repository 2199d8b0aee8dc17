"""Everything that can go wrong, in one shape: problem details after RFC 9457."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from ruleforge.errors import AmbiguousError, Fault, InputError, SpecificationError, StoreError
from ruleforge.store import KeyReusedError

MEDIA_TYPE = "application/problem+json"
# How soon, in seconds, a client should ask again when the record is out of reach or a queue is full.
RETRY_AFTER = {"Retry-After": "2"}
# What a request has in the log and in the measurements whose client did not wait for the answer: nginx's number.
CLIENT_LEFT = 499
# Any route may find the record out of reach, or have a fault of its own.
ALWAYS = (HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)

# How a route describes that it has begun something.
ACCEPTED: dict[int | str, dict[str, Any]] = {
    HTTPStatus.ACCEPTED.value: {
        "headers": {"Location": {"schema": {"type": "string"}, "description": "where to ask for it"}}
    }
}


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(description="JSON pointer (RFC 6901) into the body, or /NAME of a query parameter")
    message: str = Field(description="what was expected, what came, what to do")


class ProblemDetails(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(description="about:blank: the status says of which type it is")
    title: str = Field(description="the status in words")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="what was expected, what came, what to do")
    instance: str = Field(description="the request's path")
    errors: list[FieldProblem] = Field(description="one for each refused field, maybe none")


class Problem(Exception):  # noqa: N818 (the word of RFC 9457)
    """An answer that is no success. errors: (JSON pointer, sentence) pairs."""

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.errors, self.headers = status, detail, errors, dict(headers or {})


def problem_content(status: int, detail: str, instance: str, errors: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    """The one shape of all errors. errors: (JSON pointer, sentence) pairs."""
    return {
        "type": "about:blank",
        "title": "Client Closed Request" if status == CLIENT_LEFT else HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": instance,
        "errors": [{"pointer": pointer, "message": message} for pointer, message in errors],
    }


def problem_response(request: Request, problem: Problem) -> Response:
    """The problem as it is sent."""
    content = problem_content(problem.status, problem.detail, request.url.path, problem.errors)
    return JSONResponse(content, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


@contextmanager
def conflicts() -> Iterator[None]:
    """What the record refuses in this block is not wrong in itself, but does not fit the state that it is in: 409."""
    try:
        yield
    except (StoreError, SpecificationError, KeyReusedError):  # which is wrong in whatever state
        raise
    except InputError as error:
        raise Problem(HTTPStatus.CONFLICT, str(error)) from None


@contextmanager
def not_found(what: str) -> Iterator[None]:
    """What the record refuses in this block is not there: 404, which names the candidates if there are several."""
    try:
        yield
    except StoreError:
        raise
    except AmbiguousError as error:
        raise Problem(HTTPStatus.NOT_FOUND, str(error)) from None
    except InputError:
        raise Problem(HTTPStatus.NOT_FOUND, what) from None


def responses(*statuses: int, content: bool = True) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for its description; content: whether it answers with any."""
    if content:
        statuses = (*statuses, HTTPStatus.NOT_ACCEPTABLE)
    schema = {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in sorted({*statuses, *ALWAYS})
    }


_OF_FAULT = {
    Fault.transient: HTTPStatus.SERVICE_UNAVAILABLE,
    Fault.permanent: HTTPStatus.INTERNAL_SERVER_ERROR,
    Fault.foreign: HTTPStatus.CONFLICT,
}


def _of_input(error: InputError) -> Problem:
    if isinstance(error, StoreError):
        # Only what passes by itself is worth asking again.
        status = _OF_FAULT[error.fault]
        return Problem(status, str(error), headers=RETRY_AFTER if status == HTTPStatus.SERVICE_UNAVAILABLE else None)
    if isinstance(error, SpecificationError):
        count = f"{len(error.errors)} fields are" if len(error.errors) > 1 else "one field is"
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{count} refused: see errors", error.errors)
    reason = str(error)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, reason, [(error.pointer, getattr(error, "reason", reason))])


def _of_validation(error: RequestValidationError) -> Problem:
    """Of query parameters and headers; bodies are read elsewhere."""
    found = []
    for item in error.errors():
        path = [str(part) for part in item["loc"][1:]]
        if item["type"] == "extra_forbidden":
            message = f"there is no query parameter {path[-1]!r}: /docs lists those of this path"
        else:
            message = f"{item['msg'][:1].lower()}{item['msg'][1:].removeprefix('alue error, ')}"
            message += "" if item["type"] == "missing" else f", and {str(item['input'])[:100]!r} came"
        found.append(("/" + "/".join(path), message))
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "the query is refused: see errors", found)


def _of_http(request: Request, error: HTTPException) -> Problem:
    """What the framework says by itself: no such path, no such method."""
    headers = dict(error.headers or {})
    sentence = error.detail
    if error.status_code == HTTPStatus.NOT_FOUND:
        sentence = "there is nothing at this path: /docs lists what there is"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        # The framework names the methods of the first route that it finds at the path, and there may be several.
        headers["Allow"] = ", ".join(methods_at(request.app, request.url.path)) or headers.get("Allow", "")
        sentence = f"expected {headers['Allow'].replace(', ', ' or ')} at this path, and {request.method} came"
    return Problem(error.status_code, sentence, (), headers)


def methods_at(app: FastAPI, path: str) -> list[str]:
    """The methods that are described for a path, and HEAD, which comes with GET."""
    found: set[str] = set()
    for template, operations in app.openapi()["paths"].items():
        pattern = "[^/]+".join(re.escape(part) for part in re.split(r"\{[^}]*\}", template))
        if re.fullmatch(pattern, path):
            found.update(name.upper() for name in operations)
    if "GET" in found:
        found.add("HEAD")
    return sorted(found)


def client_left(error: BaseException | None) -> bool:
    """Whether the client broke the connection off, which is nobody's fault here: seen in an error or in its causes."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(client_left, error.exceptions))
    return error is not None and (isinstance(error, ClientDisconnect) or client_left(error.__cause__))


def _of_fault(error: Exception) -> Problem:
    if client_left(error):
        return _of_client()
    structlog.get_logger().error("unexpected_fault", exc_info=error)
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the service has a fault: its log tells more under this request's X-Request-ID",
    )


def _of_client() -> Problem:
    structlog.get_logger().info("client_left")
    return Problem(CLIENT_LEFT, "the client broke the connection off")


def install(app: FastAPI) -> None:
    """Let every error of the application be answered as a problem."""
    kinds: list[tuple[type[Exception], Callable[[Request, Any], Problem]]] = [
        (Problem, lambda _, problem: problem),
        (InputError, lambda _, error: _of_input(error)),
        (RequestValidationError, lambda _, error: _of_validation(error)),
        (HTTPException, _of_http),
        (ClientDisconnect, lambda *_: _of_client()),
        (Exception, lambda _, error: _of_fault(error)),
    ]
    for kind, explain in kinds:

        def answer(
            request: Request, error: Exception, explain: Callable[[Request, Any], Problem] = explain
        ) -> Response:
            return problem_response(request, explain(request, error))

        app.add_exception_handler(kind, answer)
