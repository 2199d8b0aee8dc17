"""A job of a service, to be watched and steered."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import httpx

from api.client.connection import LONGEST_PAUSE, SILENCE_SECONDS, Connection, Pauses
from api.client.events import Event, parsed
from ruleforge import checked
from ruleforge.errors import EvaluationError, InputError, JobStopped, WaitTimeoutError
from ruleforge.store import END_STATES
from workers.interface import Evaluation, FoundRule, Result, as_evaluation, as_found, as_result

# The shortest time to listen for, in seconds: what a timeout may be missed by.
SHORTEST_SILENCE = 0.1
# For how long a stream of events is taken up again after the last sign of life of the service, in seconds.
PATIENCE_SECONDS = 120.0


class Job:
    """A live handle: `info` is the job as it was last seen (the service's JSON), `refresh` asks again.

    Every method raises InputError for what the service refuses and ServiceError if it cannot be reached.
    """

    def __init__(self, connection: Connection, info: Mapping[str, Any]) -> None:
        self._connection = connection
        self.info = info

    @property
    def id(self) -> str:
        """Id of the job."""
        return str(self.info["id"])

    @property
    def state(self) -> str:
        """queued, running, paused, succeeded, failed or cancelled, when last seen."""
        return str(self.info["state"])

    @property
    def created(self) -> datetime:
        """When it was submitted."""
        return datetime.fromisoformat(self.info["created"])

    @property
    def ended(self) -> bool:
        """Whether it was in an end state when last seen."""
        return self.state in END_STATES

    def __repr__(self) -> str:
        info = self.info
        return f"<Job {self.id} {info['task']} {self.state}, generation {info['generation']}, best {info['best']}>"

    def refresh(self) -> Job:
        """Ask how it stands; the same handle."""
        self.info = self._connection.json("GET", f"/jobs/{self.id}")
        return self

    def pause(self) -> Job:
        """Pause it where it stands; the generation in flight is dropped."""
        return self._asked("pause")

    def resume(self) -> Job:
        """Put it back into the queue."""
        return self._asked("resume")

    def extend(self, budget: int | Mapping[str, Any], *, idempotency_key: str | None = None) -> Job:
        """Queue it to go on to larger limits, as if it had had these from the first; it may have ended.

        budget: as in a specification, or a number of evaluations; it takes the place of all limits that the job had.
        The same request, sent again when the answer is lost, extends it once.
        """
        headers = {"Idempotency-Key": idempotency_key or secrets.token_hex(16)}
        body = {"budget": dict(budget) if isinstance(budget, Mapping) else budget}
        self.info = self._connection.json("POST", f"/jobs/{self.id}/extend", body=body, headers=headers)
        return self

    def cancel(self) -> Job:
        """End it without a result."""
        return self._asked("cancel")

    def _asked(self, action: str) -> Job:
        self.info = self._connection.json("POST", f"/jobs/{self.id}/{action}")
        return self

    def describe(self, **changes: Any) -> Job:
        """Change name, notes or tags; what is left out stays."""
        self.info = self._connection.json("PATCH", f"/jobs/{self.id}", body=checked.as_json("changes", changes))
        return self

    def delete(self) -> None:
        """Delete it, if it has ended; the rules that it found stay."""
        self._connection.request("DELETE", f"/jobs/{self.id}", repeatable=False)

    def events(self, after: int = 0, *, timeout: float | None = None) -> Iterator[Event]:
        """What happened and happens to the job, from the first event after the id `after`, until it has ended.

        A job that was taken further has states of an end before its last one. Each event comes once and in order: a
        connection that breaks is taken up again where it broke, also when the service was started anew meanwhile.
        Raises ServiceError if it stays away for two minutes, and WaitTimeoutError if the job has not ended after
        `timeout` seconds.
        """
        after = checked.whole_number("after", after, 0)
        timeout = checked.optional_number("timeout", timeout, 0, sys.float_info.max, of="seconds")
        return self._events(after, None if timeout is None else time.monotonic() + timeout)

    def _events(self, after: int, end: float | None) -> Iterator[Event]:
        pauses = Pauses(PATIENCE_SECONDS)
        while True:
            silence = self._silence(end)
            broken: httpx.TransportError | None = None
            at_an_end = False  # which is the last one if nothing more comes
            try:
                with self._connection.stream(f"/jobs/{self.id}/events", _headers(after), silence) as response:
                    if response.status_code == httpx.codes.NO_CONTENT:
                        return
                    if response.status_code != httpx.codes.SERVICE_UNAVAILABLE or pauses.over:
                        self._connection.check(response)
                        for event in parsed(_in_time(response.iter_bytes(), end, silence)):
                            if event.id <= after:
                                continue
                            after, pauses = event.id, Pauses(PATIENCE_SECONDS)
                            at_an_end = event.kind == "state" and event.data["state"] in END_STATES
                            yield event
                        if at_an_end:
                            return
            except httpx.TransportError as error:
                broken = error
            if pauses.over:
                raise self._connection.away(broken or httpx.RemoteProtocolError("the events ended before the job did"))
            if not isinstance(broken, httpx.ReadTimeout):  # which was a pause by itself
                pauses.wait(at_most=LONGEST_PAUSE if end is None else max(0.0, end - time.monotonic()))

    def _silence(self, end: float | None) -> float:
        """How long to listen to a stream that says nothing. Near the end it is short, so that the end is not missed."""
        if end is None:
            return SILENCE_SECONDS
        left = end - time.monotonic()
        if left <= 0:
            raise WaitTimeoutError(f"job {self.id} has not ended in the time given: it goes on, wait again")
        return min(SILENCE_SECONDS, max(left / 4, SHORTEST_SILENCE))

    def wait(
        self, *, progress: bool | Callable[[Event], None] = False, timeout: float | None = None
    ) -> Result | Evaluation:
        """Wait until the job has ended, and return its result.

        progress: True shows on standard error what `ruleforge evolve` shows; a callable is given every event.
        timeout: in seconds; a paused job is waited for until somebody resumes it. Raises WaitTimeoutError after that
        time, EvaluationError if the job failed, JobStopped if it was cancelled. The job goes on without us.
        """
        if not isinstance(progress, bool) and not callable(progress):
            raise InputError(f"progress: expected true, false or a function, and {checked.shown(progress)} came")
        if progress is True:
            from api.client.watching import Shown

            with Shown(self) as shown:
                return self._waited(shown, timeout)
        return self._waited(progress or None, timeout)

    def _waited(self, tell: Callable[[Event], None] | None, timeout: float | None) -> Result | Evaluation:
        reason, newest = "", 0
        end = None if timeout is None else time.monotonic() + timeout
        while True:  # once, unless somebody takes the job further just when it has ended
            for event in self.events(newest, timeout=None if end is None else max(0.0, end - time.monotonic())):
                newest = event.id
                if event.kind == "state":
                    reason = str(event.data.get("reason") or "")
                if tell is not None:
                    tell(event)
            if self.refresh().ended:
                break
        if self.state == "failed":
            raise EvaluationError(f"job {self.id} failed: {reason or 'nothing is recorded of why'}")
        return self.result()

    def result(self) -> Result | Evaluation:
        """The result of the job, if it has succeeded: of an evolution or of an evaluation."""
        if self.state == "cancelled":
            raise JobStopped(f"job {self.id} was cancelled: there is no result")
        raw = self.info.get("result")
        if raw is None:
            raise InputError(f"job {self.id} is {self.state}: there is no result yet, wait() for it")
        return as_evaluation(raw) if self.info["kind"] == "evaluation" else as_result(raw)

    def front(self) -> tuple[FoundRule, ...]:
        """The rules not beaten in both fitness and complexity so far, simplest first."""
        items = self._connection.json("GET", f"/jobs/{self.id}/front")["items"]
        return tuple(as_found(self.info["task"], item) for item in items)

    def history(self, points: int | None = None) -> list[dict[str, Any]]:
        """The generations, thinned to at most `points`."""
        items: list[dict[str, Any]] = self._connection.json(
            "GET", f"/jobs/{self.id}/history", query={"points": checked.optional_whole_number("points", points, 1)}
        )["items"]
        return items


def _headers(after: int) -> dict[str, str]:
    return {"Accept": "text/event-stream", **({"Last-Event-ID": str(after)} if after else {})}


def _in_time(chunks: Iterator[bytes], end: float | None, silence: float) -> Iterator[bytes]:
    """The chunks, until another silence would last beyond the end."""
    for chunk in chunks:
        yield chunk
        if end is not None and time.monotonic() + silence > end:
            return
