"""A short call of `score` by messages that go straight to the workers, beside the scheduler's tasks.

A task costs ten milliseconds, from the client over the scheduler's records to a worker and back in as many hops. Here
every worker gets its share of the units in one message, and when it is done some of what another has not begun. Nothing
is done about what goes wrong: units without an answer are left to tasks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, cast

from distributed import Client

from ruleforge.family import Scores
from workers.cluster.connection import Connection
from workers.evaluators.cutting import Costs, pairs
from workers.evaluators.interface import Request
from workers.evaluators.packed import unpacked
from workers.evaluators.remote import PlainCall
from workers.evaluators.shares import SCORE, TAKE_BACK, results_of, share_text
from workers.evaluators.tasks import POLL_SECONDS, end
from workers.evaluators.threads import Unit

_log = logging.getLogger(__name__)

# A worker that has not answered an empty message by then is not reached from here, or knows nothing of messages.
ANSWER_SECONDS = 3.0


class Messages:
    """Gives workers shares of short calls; safe between threads."""

    def __init__(self, connection: Connection, costs: Costs) -> None:
        self._connection, self._costs = connection, costs
        # Both by worker, and touched by the client's loop alone.
        self._answers: dict[str, bool] = {}  # whether messages reach it
        self._flying: Counter[str] = Counter()  # rules × keys on their way, of all calls

    def score(self, request: Request, plain: PlainCall, units: Sequence[Unit]) -> list[list[Scores] | None]:
        """Scores per key of each unit; None where there was no answer. Raises JobStopped once the request is."""
        client, present = self._connection.client, dict(self._connection.present())
        if client.status != "running" or not present:
            return [None] * len(units)
        call = _Call(client, plain, units, present, self._flying, self._costs)
        loop = cast(Any, client.loop).asyncio_loop
        sent: Future[None] = asyncio.run_coroutine_threadsafe(self._send(call), loop)
        try:
            while not sent.done():
                request.refuse_if_stopped()
                try:
                    sent.result(POLL_SECONDS)
                except TimeoutError:
                    self._connection.refresh()
                    loop.call_soon_threadsafe(call.keep_to, {address for address, _ in self._connection.present()})
            sent.result()
        except BaseException:
            sent.cancel()
            end(client, plain["call"])
            raise
        return call.found

    async def _send(self, call: _Call) -> None:
        if new := [address for address in call.threads if address not in self._answers]:
            await asyncio.gather(*(self._greet(call.client, address) for address in new))
        # Where one is not reached, tasks are better: nobody who could help is left out.
        if all(self._answers[address] for address in call.threads):
            await call.run()

    async def _greet(self, client: Client, address: str) -> None:
        asked = _worker(client, address, SCORE)(name="", share="")
        try:
            self._answers[address] = await asyncio.wait_for(asked, ANSWER_SECONDS) is not None
        except (OSError, RuntimeError, TimeoutError) as error:
            _log.debug("%s does not answer messages: %s", address, error)
            self._answers[address] = False


class _Call:
    """The units of one call, and who has which of them; but for its making it lives in the client's loop.

    threads: by the address of the workers that take part; found: scores per key of each unit, or None.
    """

    def __init__(
        self,
        client: Client,
        plain: PlainCall,
        units: Sequence[Unit],
        threads: dict[str, int],
        flying: Counter[str],
        costs: Costs,
    ) -> None:
        self.client, self.threads, self._units, self._flying, self._costs = client, threads, units, flying, costs
        self._plain = plain
        self.found: list[list[Scores] | None] = [None] * len(units)
        self._held: dict[str, set[int]] = {}  # by worker: its share, as far as it was not taken back
        self._asked: Counter[str] = Counter()  # by how many others a worker is being asked for some of it
        self._exhausted: set[str] = set()  # who had nothing to give
        self._serving: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Score the units. Where a worker does not answer, its share is left."""
        shares = self._dealt()
        self._serving = {address: asyncio.create_task(self._serve(address, share)) for address, share in shares.items()}
        try:
            await asyncio.wait(self._serving.values())
        finally:
            for task in self._serving.values():
                task.cancel()
        for task in self._serving.values():
            if not task.cancelled():
                task.result()  # raises what nobody has foreseen

    def keep_to(self, present: set[str]) -> None:
        """Wait no longer for workers that have left the cluster, be it that they only hang."""
        for address, task in self._serving.items():
            if address not in present:
                task.cancel()

    def _dealt(self) -> dict[str, list[int]]:
        """Each unit for who has the least to do, from the first on, which is the longest."""
        shares: dict[str, list[int]] = {address: [] for address in self.threads}
        load = Counter(self._flying)
        for place, unit in enumerate(self._units):
            address = min(shares, key=lambda address: load[address] / self.threads[address])
            shares[address].append(place)
            load[address] += pairs(unit)
        return shares

    async def _serve(self, address: str, share: list[int]) -> None:
        """Let a worker score its share, and then what others have not begun."""
        while share:
            if not await self._score(address, share):
                return
            share = await self._from_others(address)

    async def _score(self, address: str, share: list[int]) -> bool:
        """Whether a worker has scored its share, but for what was taken back."""
        self._held[address] = set(share)
        self._exhausted.discard(address)
        self._flying[address] += self._size(share)
        text = share_text(self._plain, {place: self._units[place] for place in share})
        asked = _worker(self.client, address, SCORE)(name=self._of(address), share=text)
        try:
            results = results_of(await asked)
        except (OSError, RuntimeError) as error:  # the worker is gone, or this client is
            _log.debug("no answer from %s: %s", address, error)
            return False
        finally:
            self._flying[address] -= self._size(self._held.pop(address))
        for place, result in results.items():
            if result["scores"] is not None:
                if not result["first"]:
                    self._costs.note_unit(self._plain["family"]["digest"], self._units[place], result["seconds"])
                self.found[place] = unpacked(result["scores"])
        return all(result["scores"] is not None for result in results.values())

    async def _from_others(self, address: str) -> list[int]:
        """Units that another worker has not begun; none if nobody has any."""

        def to_give(other: str) -> float:
            return self._size(self._held[other]) / self.threads[other] / (1 + self._asked[other])

        while rich := [other for other in self._held if other not in self._exhausted and self._may_have_more(other)]:
            other = max(rich, key=to_give)
            self._asked[other] += 1
            taken = await self._taken_back(other)
            self._asked[other] -= 1
            if taken:
                return taken
            self._exhausted.add(other)
        return []

    async def _taken_back(self, address: str) -> list[int]:
        """Units of a worker that it has not begun, and now leaves to others."""
        try:
            taken = await asyncio.wait_for(
                _worker(self.client, address, TAKE_BACK)(name=self._of(address)), ANSWER_SECONDS
            )
        except (OSError, RuntimeError, TimeoutError) as error:
            _log.debug("%s gives nothing back: %s", address, error)
            return []
        if address in self._held:
            self._held[address].difference_update(taken)
            self._flying[address] -= self._size(taken)
        return list(taken)

    def _may_have_more(self, address: str) -> bool:
        """Whether a worker may hold what it has not begun: each of its threads is at one, if not at other calls."""
        held = self._held[address]
        return len(held) > self.threads[address] or self._flying[address] > self._size(held)

    def _size(self, places: Iterable[int]) -> int:
        return sum(pairs(self._units[place]) for place in places)

    def _of(self, address: str) -> str:
        """The name of the share that a worker has."""
        return f"{self._plain['call']} at {address}"


def _worker(client: Client, address: str, operation: str) -> Callable[..., Awaitable[Any]]:
    """An operation of a worker, which raises OSError or RuntimeError if the worker is gone."""
    return cast("Callable[..., Awaitable[Any]]", getattr(client.rpc(address), operation))
