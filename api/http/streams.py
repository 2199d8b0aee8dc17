"""`GET /jobs/{id}/events`: server-sent events that can be taken up again at any id."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.http.events import Watched
from api.http.lookup import OneJob
from api.http.negotiation import EVENTS, offering
from api.http.present import PREFIX
from api.http.problems import RETRY_AFTER, Problem, responses
from api.http.service import Here
from ruleforge.store import END_STATES

router = APIRouter(prefix=PREFIX, tags=["jobs"])
# How long a client should wait before it comes back, in milliseconds.
RETRY = 1000


class NothingMore(Exception):  # noqa: N818 (no fault: 204 tells a client not to come back)
    """The job has ended, and the client has all its events."""


def _position(
    here: Here,
    job: OneJob,
    request: Request,
    last_event_id: Annotated[
        str | None, Header(description="go on after the event of this id [default: from the first]")
    ] = None,
) -> int:
    """Where the client goes on."""
    last_event_id = ", ".join(request.headers.getlist("last-event-id"))
    if last_event_id and not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"Last-Event-ID: expected the id of an event, and {last_event_id[:100]!r} came",
            [("/Last-Event-ID", "expected the id of an event")],
        )
    after = int(last_event_id or 0)
    if job.state in END_STATES and after >= here.store.newest_event(job.id):
        raise NothingMore
    if here.hub.full:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "too many clients watch jobs: try again", headers=RETRY_AFTER)
    return after


async def _watched(here: Here, job: OneJob, _: Annotated[int, Depends(_position)]) -> AsyncIterator[Watched]:
    """The job, watched until the answer has ended in whatever way."""
    with here.hub.watching(job.id) as watched:
        yield watched


@router.get(
    "/jobs/{id}/events",
    response_class=EventSourceResponse,
    responses=responses(404, 422) | {204: {"description": "the job has ended, and there is nothing after this id"}},
    dependencies=[Depends(offering(EVENTS))],
)
async def watch_job(
    here: Here,
    job: OneJob,
    after: Annotated[int, Depends(_position)],
    watched: Annotated[Watched, Depends(_watched)],
) -> AsyncIterator[ServerSentEvent]:
    """The events of a job, from the first or after Last-Event-ID, until it ends.

    `state`: {state, previous, reason}; `generation`: {number, evaluations, best, median, n_distinct, seconds};
    `front`: {generation, items}, when the front has changed. Each has `time`. A comment now and then shows that the
    connection lives.
    """
    yield ServerSentEvent(retry=RETRY)
    async for event in here.hub.follow(job.id, after, watched):
        yield ServerSentEvent(
            id=str(event["id"]), event=event["kind"], data={**event["payload"], "time": event["time"].isoformat()}
        )
