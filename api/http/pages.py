"""Lists in pages: cursors, limits, Link headers."""

from __future__ import annotations

from typing import Annotated

from fastapi import Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.http.bodies import usable_text


def _usable(text: str) -> str:
    if not usable_text(text):
        raise ValueError("expected text without the character NUL")
    return text


Text = Annotated[str, Field(max_length=1000), AfterValidator(_usable)]


class Query(BaseModel):
    """The query of a list; a parameter that it does not know is refused."""

    model_config = ConfigDict(extra="forbid")


class Listing(Query):
    """What every list takes."""

    cursor: Text | None = Field(None, description="`next` of the page before")
    limit: int = Field(50, ge=1, le=200, description="items of a page")


def link_next(request: Request, response: Response, cursor: str | None) -> None:
    """The Link header (RFC 8288) to the next page, if there is one."""
    if cursor is not None:
        following = request.url.include_query_params(cursor=cursor)
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
