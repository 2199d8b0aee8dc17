"""Sharing one evaluator between jobs: whoever has had the least of it scores next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ruleforge.errors import JobStopped
from ruleforge.family import Scores
from workers.evaluators.interface import Evaluator, Request, never

# How soon a job that waits for its turn notices that it is to stop.
POLL_SECONDS = 0.1
# A second job scores while the last units of the first are running, so that no worker is idle; and one more for each so
# many workers, because a generation is too small a piece of work for hundreds of them.
AT_ONCE, WORKERS_PER_FURTHER = 2, 32


def jobs_at_once(workers: int) -> int:
    """How many jobs may score at the same time on so many workers."""
    return min(workers, AT_ONCE + workers // WORKERS_PER_FURTHER)


class Turns:
    """Who scores next: the highest priority, then the least time so far.

    at_once: how many jobs may score at the same time, asked for each turn; clock: seconds.
    """

    def __init__(self, at_once: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._at_once, self._clock = at_once, clock
        self._changed = threading.Condition()
        self._priority: dict[str, int] = {}
        self._used: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._scoring = 0
        self._loaded: set[str] = set()

    @property
    def used(self) -> dict[str, float]:
        """Seconds of scoring by job, of those that are taking part."""
        with self._changed:
            return dict(self._used)

    def join(self, job: str, priority: int = 0) -> None:
        """Let a job take part. It begins level with whoever has had the least, or it would have all turns for long."""
        with self._changed:
            self._used[job] = min(self._used.values(), default=0.0)
            self._priority[job] = priority

    def leave(self, job: str) -> None:
        """The job has ended."""
        with self._changed:
            del self._used[job], self._priority[job]
            self._changed.notify_all()

    @contextmanager
    def turn(self, job: str, stop: Callable[[], bool] = never, *, loads: str = "") -> Iterator[None]:
        """Wait until it is the job's turn, and hold it for the block. Raises JobStopped once `stop` is true.

        loads: what the first turns that need it load for all that come later. Their time is nobody's: whoever happened
        to come first would else wait until all the others have had as much.
        """
        with self._changed:
            self._waiting.add(job)
            try:
                while not self._is_next(job):
                    if stop():
                        raise JobStopped("the job was stopped while it waited for its turn")
                    self._changed.wait(POLL_SECONDS)
            finally:
                self._waiting.discard(job)
            self._scoring += 1
            self._changed.notify_all()
            loaded = not loads or loads in self._loaded
        began = self._clock()
        try:
            yield
        finally:
            with self._changed:
                if loaded:
                    self._used[job] += self._clock() - began
                self._loaded.add(loads)
                self._scoring -= 1
                self._changed.notify_all()

    def _is_next(self, job: str) -> bool:
        if self._scoring >= self._at_once():
            return False
        return job == min(self._waiting, key=lambda item: (-self._priority[item], self._used[item], item))


class SharedEvaluator(Evaluator):
    """The evaluator as one of the jobs that share it sees it; closing it is left to its owner."""

    def __init__(self, evaluator: Evaluator, turns: Turns, job: str) -> None:
        self._evaluator, self._turns, self._job = evaluator, turns, job
        self.workers = evaluator.workers

    def answer(self, request: Request) -> list[Scores]:
        """Scores of all rules on each instance, when it is this job's turn."""
        with self._turns.turn(self._job, request.stop, loads=request.family.name):
            self.workers = self._evaluator.workers  # those of a cluster come and go
            return self._evaluator.score(*request)

    def close(self) -> None:
        """Nothing: the others go on."""
