"""Holding a job while it runs: a heartbeat beside the work, and the news whether others want it to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from ruleforge.errors import StoreError
from ruleforge.store import LEASE_SECONDS, JobHeldError, LeaseLostError, Store

# Between two heartbeats, in seconds; a request to pause or cancel is seen as soon.
HEARTBEAT_SECONDS = 1.0
# How long a job that was just paused elsewhere may take to be let go of.
HANDOVER_SECONDS = 10.0

RESUMABLE = ("queued", "running", "paused")


class Lease:
    """A job that this process runs; `token` is what the record knows it by."""

    def __init__(self, store: Store, job_id: str, token: str) -> None:
        self.token = token
        self._store, self._job_id = store, job_id
        self._released = threading.Event()
        self._lost = threading.Event()
        self._heart = threading.Thread(target=self._beat, name=f"heartbeat-{job_id}", daemon=True)
        self._heart.start()

    def lost(self) -> bool:
        """Whether the job was paused, cancelled or taken over, so that this process has to leave it."""
        return self._lost.is_set()

    def leave(self, state: str, reason: str) -> None:
        """Let go of the job in another state; if somebody else has decided about it already, that stays."""
        with suppress(LeaseLostError):
            self._store.set_state(self._job_id, state, reason, lease=self.token)

    def release(self) -> None:
        """End the heartbeat and let go of the job, in whatever state it is."""
        self._released.set()
        self._heart.join()
        with suppress(StoreError):  # whoever cannot say so is noticed by the silence
            self._store.release(self._job_id, self.token)

    def _beat(self) -> None:
        last = time.monotonic()
        while not self._released.wait(HEARTBEAT_SECONDS):
            try:
                state = self._store.renew(self._job_id, self.token)
            except StoreError:
                # The record may come back. Until then others must assume that nobody works on the job.
                if time.monotonic() - last >= LEASE_SECONDS:
                    self._lost.set()
                continue
            last = time.monotonic()
            if state != "running":
                self._lost.set()
                return


@contextmanager
def leased(store: Store, job_id: str, reason: str, allowed: Collection[str] = RESUMABLE) -> Iterator[Lease]:
    """Run a job: from here on nobody else can, until the block ends. The job is "running" then.

    Raises InputError if the job is in no allowed state, JobHeldError if another process runs it. One that was told to
    stop is waited for.
    """
    lease = Lease(store, job_id, _taken(store, job_id, reason, allowed))
    try:
        yield lease
    finally:
        lease.release()


def _taken(store: Store, job_id: str, reason: str, allowed: Collection[str]) -> str:
    deadline = time.monotonic() + HANDOVER_SECONDS
    while True:
        try:
            return store.take(job_id, reason, allowed=allowed)
        except JobHeldError as error:
            if not error.stopping or time.monotonic() >= deadline:
                raise
        time.sleep(0.1)


def fruitless_takeovers(store: Store, job_id: str) -> int:
    """How often in a row a job was taken over from a process that had died, with no generation committed since."""
    count = 0
    for event in reversed(store.events(job_id)):
        if event["kind"] == "state" and event["payload"]["state"] == event["payload"]["previous"] == "running":
            count += 1
        elif event["kind"] in ("state", "generation"):
            break
    return count
