"""One call of `score` as tasks of a Dask scheduler, which finds workers for them and gives lost ones to others."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError

from distributed import Client, Future, KilledWorker

from ruleforge.errors import EvaluationError
from ruleforge.family import Scores
from workers.cluster.connection import Connection
from workers.evaluators.cutting import Costs
from workers.evaluators.interface import Request
from workers.evaluators.packed import unpacked
from workers.evaluators.remote import PlainCall, UnitResult, end_call, part_of, score_plain
from workers.evaluators.threads import Unit

# How soon a stop is noticed while units are running, and how long the workers may take to confirm theirs.
POLL_SECONDS = 0.1
CONFIRM_SECONDS = 2.7


class TaskCall:
    """The units of one call of `score`, from submission to results. found: what is known of them already, or None."""

    def __init__(
        self,
        connection: Connection,
        costs: Costs,
        request: Request,
        plain: PlainCall,
        units: Sequence[Unit],
        found: Sequence[list[Scores] | None],
    ) -> None:
        self.connection, self.costs, self.stop, self.plain, self.units = connection, costs, request.stop, plain, units
        self.refuse_if_stopped = request.refuse_if_stopped
        self.results: list[list[Scores] | Exception | None] = [*found]
        self.futures: dict[int, Future[UnitResult]] = {}  # of the units on their way
        self.released: list[Future[UnitResult]] = []  # of those that have ended
        self.attempts = 0
        self.ended: queue.SimpleQueue[tuple[int, Future[UnitResult]]] = queue.SimpleQueue()
        self.client: Client = connection.client
        self.confined: list[str] | None = None

    def begin(self) -> None:
        """Send the units."""
        if self.client.status == "running":
            self._submit(self._missing())
        else:
            self._start_again()

    def finish(self) -> list[list[Scores]]:
        """Scores per key of each unit. A fault of a unit is raised after the others have ended."""
        try:
            while any(result is None for result in self.results):
                self.refuse_if_stopped()
                if ended := self._ended():
                    self._take(ended)
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
            [part_of(self.plain, self.units[index]) for index in indices],
            key=[(f"score-{self.plain['call']}", index, self.attempts) for index in indices],
            workers=self.confined,
        )
        for index, future in zip(indices, futures, strict=True):
            self.futures[index] = future
            future.add_done_callback(lambda done, index=index: self.ended.put((index, done)))

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

    def _take(self, ended: dict[int, Future[UnitResult]]) -> None:
        finished = {}
        for index, future in ended.items():
            if future.status == "finished":
                finished[index] = future
            elif future.status == "error":
                self.results[index] = self._fault(future.exception())
                self.released.append(self.futures.pop(index))
            else:
                self._start_again()
                return
        try:
            results = self.client.gather(list(finished.values()))
        except (CancelledError, OSError):
            self._start_again()
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
        if not result["first"]:
            self.costs.note_unit(self.plain["family"]["digest"], self.units[index], result["seconds"])
        self.results[index] = unpacked(result["scores"])
        self.released.append(self.futures.pop(index))

    def _missing(self) -> list[int]:
        return [index for index, result in enumerate(self.results) if result is None]

    def _start_again(self) -> None:
        """The connection was lost, and with it all units that were on their way."""
        self.futures.clear()
        self.connection.reconnect(self.client, self.stop)
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
        end(self.client, self.plain["call"], futures)


def end(client: Client, call: str, futures: Sequence[Future[UnitResult]] = ()) -> None:
    """Tell the workers that a call was stopped, and wait a little for its units to end."""

    def tell() -> None:
        try:
            client.cancel(list(futures))
            client.run(end_call, call, on_error="ignore")
        except Exception as error:  # noqa: BLE001 - there is nobody left to be told
            logging.getLogger(__name__).debug("the workers could not be told to stop: %s", error)

    # In a thread, because a scheduler that is gone must not hold up the end.
    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    telling.join(CONFIRM_SECONDS)
