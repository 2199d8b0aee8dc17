"""A short call of `score` by messages to the workers, beside the scheduler's tasks.

A task costs ten milliseconds, from the client over the scheduler's records to a worker and back in as many hops; a
message and its answer take two. Nothing is done here about what goes wrong: units without an answer are left to tasks.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, cast

from distributed import Client

from ruleforge.family import Scores
from workers.cluster.connection import Connection
from workers.evaluators.cutting import Costs
from workers.evaluators.interface import Request
from workers.evaluators.packed import unpacked
from workers.evaluators.remote import PlainCall, UnitResult, part_of, score_message
from workers.evaluators.tasks import POLL_SECONDS, end
from workers.evaluators.threads import Unit

_log = logging.getLogger(__name__)


class Messages:
    """Sends units to workers, to each the next one when it is done with the last; safe between threads."""

    def __init__(self, connection: Connection, costs: Costs) -> None:
        self._connection, self._costs = connection, costs
        self._flying: Counter[str] = Counter()  # units on their way, by worker; touched by the client's loop alone

    def score(self, request: Request, plain: PlainCall, units: Sequence[Unit]) -> list[list[Scores] | None]:
        """Scores per key of each unit; None where there was no answer. Raises JobStopped once the request is."""
        client = self._connection.client
        if client.status != "running":
            return [None] * len(units)
        parts = [part_of(plain, unit) for unit in units]
        sending = self._send(client, parts, dict(self._connection.present()))
        loop = cast(Any, client.loop).asyncio_loop
        sent: Future[list[UnitResult | None]] = asyncio.run_coroutine_threadsafe(sending, loop)
        try:
            while not sent.done():
                request.refuse_if_stopped()
                try:
                    sent.result(POLL_SECONDS)
                except TimeoutError:
                    continue
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

    async def _send(
        self, client: Client, parts: Sequence[PlainCall], threads: dict[str, int]
    ) -> list[UnitResult | None]:
        results: list[UnitResult | None] = [None] * len(parts)
        waiting = deque(range(len(parts)))

        async def ask(address: str, index: int) -> bool:
            self._flying[address] += 1
            try:
                asking = client.run(
                    score_message, parts[index], workers=[address], on_error="return", asynchronous=True
                )
                answer = (await asking)[address]
            except OSError as error:  # the scheduler is gone
                answer = error
            finally:
                self._flying[address] -= 1
            if isinstance(answer, Exception):  # the worker is gone
                _log.debug("no answer from %s: %s", address, answer)
                return False
            results[index] = answer
            return answer is not None

        async def serve(address: str) -> None:
            """Keep one worker busy: one more unit than it has threads, unless the others would go short of them."""
            asked: set[asyncio.Task[bool]] = set()
            try:
                while True:
                    ahead = 1 if len(waiting) > sum(threads.values()) else 0
                    while waiting and len(asked) < threads[address] + ahead:
                        asked.add(asyncio.create_task(ask(address, waiting.popleft())))
                    if not asked:
                        return
                    done, asked = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
                    if not all(task.result() for task in done):
                        return
            finally:
                for task in asked:
                    task.cancel()

        # Those that have least to do come first: there may be more workers than units.
        await asyncio.gather(*(serve(address) for address in sorted(threads, key=self._flying.__getitem__)))
        return results
