"""Holding a job while it runs: a heartbeat beside the work, the news whether others want it to stop, and what becomes
of the job when something ends its work.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress

from ruleforge.errors import Fault, JobStopped, StoreError, fault_of
from ruleforge.store import JobHeldError, LeaseLostError, Store
from workers.evaluators.interface import never
from workers.patience import PatientStore

# Between two heartbeats, in seconds; a request to pause or cancel is seen as soon.
HEARTBEAT_SECONDS = 1.0
# How long a job that was just paused elsewhere may take to be let go of.
HANDOVER_SECONDS = 10.0
# How long to wait for a record that is away to say what becomes of a job; later the silence says it.
LEAVE_SECONDS = 15.0

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
        patient = PatientStore(self._store, seconds=LEAVE_SECONDS)
        with suppress(LeaseLostError):
            patient.set_state(self._job_id, state, reason, lease=self.token)

    def release(self) -> None:
        """End the heartbeat and let go of the job, in whatever state it is."""
        self._released.set()
        self._heart.join()
        with suppress(StoreError):  # whoever cannot say so is noticed by the silence
            self._store.release(self._job_id, self.token)

    def _beat(self) -> None:
        while not self._released.wait(HEARTBEAT_SECONDS):
            try:
                state = self._store.renew(self._job_id, self.token)
            except StoreError:
                # The record may come back. Should another process have taken the job until then, nothing can be
                # committed under this lease; and where the record is away for all, nobody takes it.
                continue
            if state != "running":
                self._lost.set()
                return


@contextmanager
def leased(
    store: Store,
    job_id: str,
    reason: str,
    allowed: Collection[str] = RESUMABLE,
    stop: Callable[[], bool] = never,
    say: Callable[[str], None] | None = None,
) -> Iterator[Lease]:
    """Run a job: from here on nobody else can, until the block ends. The job is "running" then.

    Raises InputError if the job is in no allowed state, JobHeldError if another process runs it. One that was told to
    stop is waited for, and so is a record that is away, until `stop`; `say` is told.
    """
    lease = Lease(store, job_id, _taken(PatientStore(store, stop, say), job_id, reason, allowed))
    try:
        yield lease
    finally:
        lease.release()


@contextmanager
def attended(
    store: Store,
    job_id: str,
    reason: str,
    when_stopped: str,
    allowed: Collection[str] = RESUMABLE,
    stop: Callable[[], bool] = never,
    say: Callable[[str], None] | None = None,
) -> Iterator[Lease]:
    """As `leased`; what ends the block before its end decides about the job by its kind of fault.

    Foreign: a request to stop ends the block without an error, the job in the state `when_stopped`; a job that others
    have decided about stays as they left it. Transient: the job is in the state `when_stopped`, to be tried again.
    Permanent: it has failed, unless it is the record that fails, of which the job is not to blame: it is paused then.
    """
    with leased(store, job_id, reason, allowed, stop, say) as lease:
        try:
            yield lease
        except JobStopped:
            lease.leave(when_stopped, "stopped on request")
        except LeaseLostError:
            pass  # the record says who decided what about the job
        except KeyboardInterrupt:
            with suppress(StoreError):
                lease.leave("paused", "interrupted")
            raise
        except Exception as error:  # whatever it was, the record must not go on saying "running"
            state, said = "failed", f"{type(error).__name__}: {error}"
            if fault_of(error) is Fault.transient:
                state, said = when_stopped, str(error)
            elif isinstance(error, StoreError):
                state, said = "paused", str(error)
            # A record that is out of reach goes on saying "running", until the silence ends it.
            with suppress(StoreError):
                lease.leave(state, said)
            raise


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
