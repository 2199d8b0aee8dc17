"""Events of jobs as they happen. The record is the queue: a client is a position in it, and holds nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog
from anyio.to_thread import run_sync

from ruleforge.errors import StoreError
from ruleforge.store import END_STATES, Store

# Between two looks for news, in seconds, and after the record was out of reach.
LOOK_SECONDS, RETRY_SECONDS = 0.2, 1.0
# Events that are read at once: what a client holds in memory.
BATCH = 100
# Clients that may watch at the same time.
MAX_CLIENTS = 500

Answer = TypeVar("Answer")


class Watched:
    """A job that somebody watches: its newest event that is known of, and who waits for a newer one."""

    def __init__(self) -> None:
        self.watchers = 0
        self.newest = 0
        self.changed = asyncio.Event()

    def tell(self, newest: int) -> None:
        """What the newest event is."""
        if newest > self.newest:
            self.newest = newest
            self.wake()

    def wake(self) -> None:
        """Let everybody look who waits."""
        self.changed.set()
        self.changed = asyncio.Event()


class EventHub:
    """Looks for new events on behalf of all clients: one short question per watched job in each round."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._watched: dict[str, Watched] = {}
        self._somebody = asyncio.Event()
        self.closing = False
        self._fault = ""

    @property
    def clients(self) -> int:
        """How many streams are open."""
        return sum(job.watchers for job in self._watched.values())

    @property
    def full(self) -> bool:
        """Whether no more clients can be taken."""
        return self.clients >= MAX_CLIENTS

    def close(self) -> None:
        """End all streams; clients come back with the id of their last event."""
        self.closing = True
        for job in self._watched.values():
            job.wake()

    async def run(self) -> None:
        """Look for news until cancelled."""
        while True:
            await self._somebody.wait()
            if not self._watched:
                self._somebody.clear()
                continue
            found = await self._reach(self._newest, list(self._watched))
            for id, newest in (found or {}).items():
                if id in self._watched:
                    self._watched[id].tell(newest)
            await asyncio.sleep(LOOK_SECONDS if found is not None else RETRY_SECONDS)

    def _newest(self, ids: list[str]) -> dict[str, int]:
        return {id: self._store.newest_event(id) for id in ids}

    async def _reach(self, question: Callable[..., Answer], *arguments: Any) -> Answer | None:
        """Ask the record in a thread; None while it is out of reach, which is logged once."""
        try:
            answer = await run_sync(question, *arguments)
        except StoreError as error:
            if str(error) != self._fault:
                self._fault = str(error)
                structlog.get_logger().warning("record_out_of_reach", reason=self._fault)
            return None
        self._fault = ""
        return answer

    @contextmanager
    def watching(self, job_id: str) -> Iterator[Watched]:
        """Have the news of a job looked for."""
        job = self._watched.setdefault(job_id, Watched())
        job.watchers += 1
        self._somebody.set()
        try:
            yield job
        finally:
            job.watchers -= 1
            if not job.watchers:
                del self._watched[job_id]

    async def follow(self, job_id: str, after: int, job: Watched) -> AsyncIterator[dict[str, Any]]:
        """The events of a job with an id above `after`, as they are recorded, until the job ends.

        job: of `watching`. Nothing is to be done at the end here: a stream that nobody reads is given up in the middle,
        and who knows when.
        """
        at_an_end = False  # which is the last one if nothing follows: a job may have been taken further
        while not self.closing:
            changed, known = job.changed, job.newest
            batch = await self._reach(self._store.events, job_id, after, BATCH)
            for event in batch or ():
                after, at_an_end = event["id"], is_end(event)
                yield event
            if batch is None:
                await asyncio.sleep(RETRY_SECONDS)
            elif not batch and at_an_end:
                return
            elif not batch and known <= after:
                await changed.wait()


def is_end(event: dict[str, Any]) -> bool:
    """Whether the job ended with this event: nothing follows, unless somebody takes it further."""
    return event["kind"] == "state" and event["payload"].get("state") in END_STATES
