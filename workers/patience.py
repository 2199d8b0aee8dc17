"""Waiting for a record that is away: held by another process, its server restarting, its disk full."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from ruleforge.errors import Fault, InputError, StoreError
from ruleforge.store import GenerationRecord, Store
from workers.evaluators.interface import never

Answer = TypeVar("Answer")

# How long a record may be away before a job that needs it is put aside, in seconds.
PATIENCE_SECONDS = 600.0
# Pauses between two tries double from the first to the longest, in seconds; how soon a stop is noticed meanwhile.
FIRST_PAUSE, LONGEST_PAUSE, POLL_SECONDS = 0.1, 5.0, 0.1


class PatientStore(Store):
    """The same record, each of whose methods waits while the record is away, and raises what does not pass by itself.

    stop: ends the waiting, with the error that was waited for; say: told once each time that it waits. A method is one
    transaction, so that what failed has changed nothing and is done anew.
    """

    def __init__(
        self,
        store: Store,
        stop: Callable[[], bool] = never,
        say: Callable[[str], None] | None = None,
        seconds: float = PATIENCE_SECONDS,
    ) -> None:
        super().__init__(store._database)
        self._impatient, self._stop, self._say, self._seconds = store, stop, say, seconds

    def _insist(self, name: str, *arguments: Any, **named: Any) -> Any:
        pause, began = FIRST_PAUSE, time.monotonic()
        told = False
        for attempt in itertools.count():
            try:
                return getattr(self._impatient, name)(*arguments, **named)
            except InputError as error:
                if not isinstance(error, StoreError):
                    if attempt and name == "commit_generation" and self._is_committed(*arguments):
                        return None  # the connection was lost between the commit and the answer to it
                    raise
                if error.fault is not Fault.transient or self._stop() or time.monotonic() - began >= self._seconds:
                    raise
                if self._say is not None and not told:
                    told = True
                    with suppress(Exception):  # whoever is told decides nothing
                        self._say(f"{error}. Trying again for up to {self._seconds / 60:.0f} minutes")
            until = time.monotonic() + pause
            while time.monotonic() < until and not self._stop():
                time.sleep(POLL_SECONDS)
            pause = min(2 * pause, LONGEST_PAUSE)
        raise AssertionError("it is tried until it works or raises")

    def _is_committed(self, job_id: str, generation: GenerationRecord, *_: Any) -> bool:
        """Whether the job's last generation is this one."""
        job = self._impatient.job(job_id)
        return (job.generation, job.history) == (generation.number + 1, generation.history)


def _patient(method: Callable[..., Answer]) -> Callable[..., Answer]:
    @functools.wraps(method)
    def call(self: PatientStore, *arguments: Any, **named: Any) -> Answer:
        answer: Answer = self._insist(method.__name__, *arguments, **named)
        return answer

    return call


# A heartbeat that comes late is none, and the next one follows anyway.
_AT_ONCE = ("close", "renew")
for _name, _method in list(vars(Store).items()):
    if callable(_method) and not _name.startswith("_") and _name not in _AT_ONCE:
        setattr(PatientStore, _name, _patient(_method))
