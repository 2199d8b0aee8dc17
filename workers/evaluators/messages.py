"""A short call of `score` by messages that go straight to the workers, beside the scheduler's tasks.

A task costs ten milliseconds, from the client over the scheduler's records to a worker and back in as many hops; a
message and its answer take half of one. Nothing is done here about what goes wrong: units without an answer are left to
tasks.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, cast

from distributed import Client

from ruleforge.family import Scores
from workers.cluster.connection import Connection
from workers.evaluators.cutting import Costs, pairs
from workers.evaluators.interface import Request
from workers.evaluators.packed import unpacked
from workers.evaluators.remote import OPERATION, PlainCall, UnitResult, part_of
from workers.evaluators.tasks import POLL_SECONDS, end
from workers.evaluators.threads import Unit

_log = logging.getLogger(__name__)

# A worker that has not answered an empty message by then is not reached from here, or knows nothing of messages.
GREETING_SECONDS = 3.0


async def _ask(client: Client, address: str, unit: str | None) -> UnitResult | None:
    """What a worker answers; None if it could not score the unit. Raises OSError or RuntimeError if it is gone.

    unit: as JSON, because of anything else Dask would measure every part, which takes longer than to send it.
    """
    worker: Any = client.rpc(address)
    return cast("UnitResult | None", await getattr(worker, OPERATION)(unit=unit))


class Messages:
    """Sends units to workers, to each the next one when it is about done with the last; safe between threads."""

    def __init__(self, connection: Connection, costs: Costs) -> None:
        self._connection, self._costs = connection, costs
        # Both by worker, and touched by the client's loop alone.
        self._answers: dict[str, bool] = {}  # whether messages reach it
        self._flying: Counter[str] = Counter()  # rules × keys on their way, of all calls

    def score(self, request: Request, plain: PlainCall, units: Sequence[Unit]) -> list[list[Scores] | None]:
        """Scores per key of each unit; None where there was no answer. Raises JobStopped once the request is."""
        client = self._connection.client
        if client.status != "running":
            return [None] * len(units)
        call = _Call(client, plain, units, self._flying)
        loop = cast(Any, client.loop).asyncio_loop
        present = dict(self._connection.present())
        sent: Future[list[UnitResult | None]] = asyncio.run_coroutine_threadsafe(self._send(call, present), loop)
        try:
            while not sent.done():
                request.refuse_if_stopped()
                try:
                    sent.result(POLL_SECONDS)
                except TimeoutError:
                    self._connection.refresh()
                    loop.call_soon_threadsafe(call.keep_to, {address for address, _ in self._connection.present()})
        except BaseException:
            sent.cancel()
            end(client, plain["call"])
            raise
        found: list[list[Scores] | None] = []
        for unit, result in zip(units, sent.result(), strict=True):
            scores = None if result is None else result["scores"]
            if result is not None and scores is not None and not result["first"]:
                self._costs.note_unit(plain["family"]["digest"], unit, result["seconds"])
            found.append(None if scores is None else unpacked(scores))
        return found

    async def _send(self, call: _Call, threads: dict[str, int]) -> list[UnitResult | None]:
        await asyncio.gather(*(self._greet(call.client, address) for address in threads))
        # Where one is not reached, tasks are better: nobody who could help is left out.
        return await call.run(threads) if all(self._answers[address] for address in threads) else call.results

    async def _greet(self, client: Client, address: str) -> None:
        if address in self._answers:
            return
        try:
            await asyncio.wait_for(_ask(client, address, None), GREETING_SECONDS)
        except (OSError, RuntimeError, TimeoutError) as error:
            _log.debug("%s does not answer messages: %s", address, error)
            self._answers[address] = False
        else:
            self._answers[address] = True


class _Call:
    """The units of one call, and who was asked for them; lives in the client's loop."""

    def __init__(self, client: Client, plain: PlainCall, units: Sequence[Unit], flying: Counter[str]) -> None:
        self.client, self._flying = client, flying
        self._parts = [json.dumps(part_of(plain, unit)) for unit in units]
        self._sizes = [pairs(unit) for unit in units]
        self.results: list[UnitResult | None] = [None] * len(units)
        self._waiting = deque(range(len(units)))
        self._asked: dict[asyncio.Task[bool], str] = {}

    async def run(self, threads: dict[str, int]) -> list[UnitResult | None]:
        """Results of the units; None where there was no answer."""
        left = dict(threads)
        try:
            self._give(left)
            while self._asked:
                done, _ = await asyncio.wait(self._asked, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    address = self._asked.pop(task)
                    if task.cancelled() or not task.result():
                        left.pop(address, None)
                self._give(left)
        finally:
            for task in self._asked:
                task.cancel()
        return self.results

    def keep_to(self, present: set[str]) -> None:
        """Wait no longer for workers that have left the cluster, be it that they only hang."""
        for task, address in self._asked.items():
            if address not in present:
                task.cancel()

    def _give(self, threads: dict[str, int]) -> None:
        """Send what the workers can take: as much as they have threads, and one more while the others go short of
        nothing, which is there when they are done.
        """
        taken = Counter(self._asked.values())
        while self._waiting:
            ahead = 1 if len(self._waiting) > sum(threads.values()) else 0
            free = [address for address, n in threads.items() if taken[address] < n + ahead]
            if not free:
                return
            address = min(free, key=lambda address: self._flying[address] / threads[address])
            self._send(address, self._waiting.popleft())
            taken[address] += 1

    def _send(self, address: str, index: int) -> None:
        size = self._sizes[index]
        self._flying[address] += size
        task = asyncio.create_task(self._score(address, index))
        task.add_done_callback(lambda _: self._flying.subtract({address: size}))
        self._asked[task] = address

    async def _score(self, address: str, index: int) -> bool:
        try:
            self.results[index] = await _ask(self.client, address, self._parts[index])
        except (OSError, RuntimeError) as error:  # the worker is gone, or this client is
            _log.debug("no answer from %s: %s", address, error)
        return self.results[index] is not None
