"""Scoring on a Dask cluster: somebody's scheduler, or an embedded cluster of processes on this machine.

What is sent is plain data (tokens, names, numbers) to one function of ours, and plain arrays come back. Results are
gathered by their place in the call, so neither the number of workers nor their comings and goings change a bit.
"""

from __future__ import annotations

import logging
import queue
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError

import numpy as np
from distributed import Client, Future, KilledWorker

from ruleforge.errors import EvaluationError, JobStopped
from ruleforge.family import InstanceKey, Scores, TaskFamily
from ruleforge.language.rule import Rule
from workers.cluster.connection import LOCAL, Connection
from workers.evaluators.cutting import Costs, Unit, cut
from workers.evaluators.interface import never
from workers.evaluators.remote import (
    FamilyDescription,
    PlainUnit,
    UnitResult,
    described,
    end_call,
    from_plain,
    score_plain,
)
from workers.evaluators.threads import joined

# How soon a stop is noticed while units are running, and how long the workers may take to confirm theirs.
POLL_SECONDS = 0.1
CONFIRM_SECONDS = 2.7


def _log(message: str) -> None:
    logging.getLogger("ruleforge").warning(message)


class DaskEvaluator:
    """Scores on the workers of a Dask scheduler.

    scheduler: an address or scheduler file, whose workers may come and go; None or "local" for an embedded cluster of
    `workers` processes. warn: told, in sentences, of what does not stop the work. Raises InputError if the scheduler
    cannot be reached or its workers run other versions.
    """

    def __init__(
        self, scheduler: str | None = None, workers: int | None = None, *, warn: Callable[[str], None] = _log
    ) -> None:
        self.connection = Connection(scheduler or LOCAL, workers, warn)
        self._costs = Costs()
        self.workers = self.connection.threads  # as of the last call
        # Kept while the next call begins: letting go of its units sends a message, behind which others have to wait.
        self._last: _Call | None = None

    def score(
        self,
        family: TaskFamily,
        rules: Sequence[Rule],
        keys: Sequence[InstanceKey],
        give_up_below: float | None = None,
        stop: Callable[[], bool] = never,
    ) -> list[Scores]:
        """Scores of all rules on each instance. Raises JobStopped once `stop` is true."""
        if not rules or not keys:
            return [Scores(np.empty(0), ()) for _ in keys]
        if stop():
            raise JobStopped("scoring was stopped on request")
        self.connection.refresh()
        workers = self.workers = self.connection.threads
        cost = self._costs.of(family.parameters_digest)
        units = cut(len(rules), len(keys), family.rules_per_batch, family.instances_per_batch, workers, cost)
        call = _Call(self.connection, self._costs, family, rules, keys, give_up_below, units)
        call.begin(stop)
        self._last = call
        results = call.finish(stop)
        by_key: list[list[Scores]] = [[] for _ in keys]
        for (_, key_slice), scores in zip(units, results, strict=True):
            for position, part in zip(range(key_slice.start, key_slice.stop), scores, strict=True):
                by_key[position].append(part)
        return [joined(parts) for parts in by_key]

    def close(self) -> None:
        """Leave the cluster; an embedded one ends."""
        self.connection.close()


class _Call:
    """The units of one call of `score`, from submission to results."""

    def __init__(
        self,
        connection: Connection,
        costs: Costs,
        family: TaskFamily,
        rules: Sequence[Rule],
        keys: Sequence[InstanceKey],
        give_up_below: float | None,
        units: Sequence[Unit],
    ) -> None:
        self.connection, self.costs, self.units, self.give_up_below = connection, costs, units, give_up_below
        self.name = uuid.uuid4().hex
        self.family: FamilyDescription = described(family)
        self.tokens = [rule.to_tokens() for rule in rules]
        self.keys = [(key.source, key.split, key.seed, key.index) for key in keys]
        self.results: list[list[Scores] | Exception | None] = [None] * len(units)
        self.futures: dict[int, Future[UnitResult]] = {}  # of the units on their way
        self.released: list[Future[UnitResult]] = []  # of those that have ended
        self.attempts = 0
        self.ended: queue.SimpleQueue[tuple[int, Future[UnitResult]]] = queue.SimpleQueue()
        self.client: Client = connection.client
        self.confined: list[str] | None = None

    def begin(self, stop: Callable[[], bool]) -> None:
        """Send the units."""
        if self.client.status == "running":
            self._submit(range(len(self.units)))
        else:
            self._start_again(stop)

    def finish(self, stop: Callable[[], bool]) -> list[list[Scores]]:
        """Scores per key of each unit. A fault of a unit is raised after the others have ended."""
        try:
            while any(result is None for result in self.results):
                if stop():
                    raise JobStopped("scoring was stopped on request")
                if ended := self._ended():
                    self._take(ended, stop)
                else:
                    self.connection.refresh()
                    self._leave_the_departed()
        except BaseException:
            self._end()
            raise
        found = []
        for result in self.results:
            if isinstance(result, Exception):
                raise result
            assert result is not None
            found.append(result)
        return found

    def _submit(self, indices: Sequence[int]) -> None:
        self.confined = self.connection.usable()
        if self.confined == []:
            return  # until a worker comes that can be used
        self.attempts += 1
        # One message for all of them: each further one would wait 10 ms in the client.
        futures = self.client.map(
            score_plain,
            [self._plain(index) for index in indices],
            key=[(f"score-{self.name}", index, self.attempts) for index in indices],
            workers=self.confined,
        )
        for index, future in zip(indices, futures, strict=True):
            self.futures[index] = future
            future.add_done_callback(lambda done, index=index: self.ended.put((index, done)))

    def _plain(self, index: int) -> PlainUnit:
        rules, keys = self.units[index]
        return {
            "call": self.name,
            "family": self.family,
            "rules": self.tokens[rules],
            "keys": self.keys[keys],
            "give_up_below": self.give_up_below,
        }

    def _ended(self) -> dict[int, Future[UnitResult]]:
        """The units that have ended in whatever way since the last look, by index; waits a little for the first."""
        ended: dict[int, Future[UnitResult]] = {}
        try:
            while True:
                index, future = self.ended.get(timeout=0 if ended else POLL_SECONDS)
                if self.futures.get(index) is future:
                    ended[index] = future
        except queue.Empty:
            return ended

    def _take(self, ended: dict[int, Future[UnitResult]], stop: Callable[[], bool]) -> None:
        finished = {}
        for index, future in ended.items():
            if future.status == "finished":
                finished[index] = future
            elif future.status == "error":
                self.results[index] = self._fault(future.exception())
                self.released.append(self.futures.pop(index))
            else:
                self._start_again(stop)
                return
        try:
            results = self.client.gather(list(finished.values()))
        except (CancelledError, OSError):
            self._start_again(stop)
            return
        for index, result in zip(finished, results, strict=True):
            self._keep(index, result)

    def _fault(self, error: BaseException) -> Exception:
        if isinstance(error, KilledWorker):
            return EvaluationError(
                f"a unit of work ended the workers of {self.connection.name} again and again ({error}): look at their "
                "logs, most often they ran out of memory"
            )
        assert isinstance(error, Exception)
        return error

    def _keep(self, index: int, result: UnitResult) -> None:
        if result["refused"]:
            self.connection.exclude(result["worker"], result["refused"])
            self._submit([index])
            return
        assert result["scores"] is not None, "only the end of a call stops its units"
        rules, keys = self.units[index]
        if not result["first"]:
            pairs = (rules.stop - rules.start) * (keys.stop - keys.start)
            self.costs.note(self.family["digest"], pairs, result["seconds"])
        self.results[index] = [from_plain(plain) for plain in result["scores"]]
        self.released.append(self.futures.pop(index))

    def _missing(self) -> list[int]:
        return [index for index, result in enumerate(self.results) if result is None]

    def _start_again(self, stop: Callable[[], bool]) -> None:
        """The connection was lost, and with it all units that were on their way."""
        self.futures.clear()
        self.connection.reconnect(self.client, stop)
        self.client = self.connection.client
        self._submit(self._missing())

    def _leave_the_departed(self) -> None:
        """Units confined to workers that have all left would wait forever."""
        usable = self.connection.usable()
        if self.confined is not None and (usable is None or (usable and not set(usable) & set(self.confined))):
            self.client.cancel(list(self.futures.values()))
            self.futures.clear()
            self._submit(self._missing())

    def _end(self) -> None:
        """Cancel what has not begun, and let what is running end between two instances."""
        futures = list(self.futures.values())
        self.futures.clear()

        def tell() -> None:
            self.client.cancel(futures)
            self.client.run(end_call, self.name, on_error="ignore")

        # In a thread, because a scheduler that is gone must not hold up the end.
        telling = threading.Thread(target=_ignoring_loss, args=(tell,), daemon=True)
        telling.start()
        telling.join(CONFIRM_SECONDS)


def _ignoring_loss(act: Callable[[], object]) -> None:
    try:
        act()
    except Exception as error:  # noqa: BLE001 - there is nobody left to be told
        logging.getLogger(__name__).debug("the workers could not be told to stop: %s", error)
