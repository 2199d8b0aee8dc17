"""What a worker does with a share of a call that a client sends it straight, beside the tasks of Dask.

A share is some of the units of a call. Its results go back together, because a message takes as long as a short unit;
what the worker has not begun can be taken back from it, and is given to one that has nothing to do.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import deque
from collections.abc import Mapping
from functools import cached_property
from typing import cast

from distributed import Worker

from workers.evaluators.cutting import pairs
from workers.evaluators.packed import as_json, from_json
from workers.evaluators.remote import PlainCall, PlainShare, Received, UnitResult, score_part
from workers.evaluators.threads import Unit

# What a client asks of a worker that hears messages.
SCORE, TAKE_BACK = "ruleforge_score", "ruleforge_take_back"


def share_text(plain: PlainCall, units: Mapping[int, Unit]) -> str:
    """Some units of a call, by their places, for the way to a worker: anything but a text Dask would measure in every
    part.
    """
    needed: tuple[set[int], set[int]] = set(), set()
    for unit in units.values():
        for places, part in zip(needed, unit, strict=True):
            places.update(range(part.start, part.stop))
    rules, keys = needed
    return json.dumps(
        {
            **plain,
            "rules": {place: plain["rules"][place] for place in rules},
            "keys": {place: plain["keys"][place] for place in keys},
            "units": [
                [place, rules.start, rules.stop, keys.start, keys.stop] for place, (rules, keys) in units.items()
            ],
        }
    )


def share_of(text: str) -> PlainShare:
    """What `share_text` was made of."""
    share = json.loads(text)
    for name in ("rules", "keys"):
        share[name] = {int(place): item for place, item in share[name].items()}
    share["units"] = {place: (slice(*ends[:2]), slice(*ends[2:])) for place, *ends in share["units"]}
    return cast("PlainShare", share)


def results_text(results: Mapping[int, UnitResult]) -> str:
    """Results by the place of their unit in the call, for the way back."""
    return json.dumps(
        [
            [place, {**result, "scores": None if result["scores"] is None else as_json(result["scores"])}]
            for place, result in results.items()
        ]
    )


def results_of(text: str) -> dict[int, UnitResult]:
    """What `results_text` was made of."""
    found: dict[int, UnitResult] = dict(json.loads(text))
    for result in found.values():
        result["scores"] = None if result["scores"] is None else from_json(result["scores"])
    return found


class _Share:
    """Some units of a call, scored one after another by each thread of a worker."""

    def __init__(self, worker: Worker, plain: PlainShare) -> None:
        self._worker, self._plain, self._units = worker, plain, plain["units"]
        self._waiting = deque(self._units)
        self._results: dict[int, UnitResult] = {}
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._lock = threading.Lock()
        self._running = min(worker.state.nthreads, len(self._units))

    @cached_property
    def _call(self) -> Received:
        return Received(self._plain)

    async def results(self) -> dict[int, UnitResult]:
        """Results by place, when none is left; after one without scores (it failed, or was stopped) none is begun."""
        for _ in range(self._running):
            self._worker.executor.submit(self._next)
        try:
            await self._ended
        finally:
            self._waiting.clear()
        return self._results

    def take_back(self) -> list[int]:
        """Places of units that nobody has begun: the last ones, half of the work that is left."""
        left = sum(pairs(self._units[place]) for place in list(self._waiting))
        taken: list[int] = []
        size = 0
        while 2 * size < left:
            try:
                taken.append(self._waiting.pop())
            except IndexError:  # a thread was faster
                break
            size += pairs(self._units[taken[-1]])
        return sorted(taken)  # the longest first

    def _next(self) -> None:
        """Score a unit, and come again behind what other calls have here."""
        try:
            place = self._waiting.popleft()
        except IndexError:
            self._end()
            return
        try:
            result = score_part(self._call, self._units[place], self._worker.address)
        except Exception as error:  # noqa: BLE001 - it is raised again when the unit is tried as a task
            logging.getLogger(__name__).debug("a unit failed: %s", error)
            result = UnitResult(scores=None, refused="", worker=self._worker.address, seconds=0.0, first=True)
        self._results[place] = result
        if result["scores"] is None:
            self._waiting.clear()
        if self._waiting:
            self._worker.executor.submit(self._next)
        else:
            self._end()

    def _end(self) -> None:
        with self._lock:
            self._running -= 1
            if self._running:
                return
        self._loop.call_soon_threadsafe(self._set_ended)

    def _set_ended(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


def hear_messages(worker: Worker) -> None:
    """Let a worker take shares from clients."""
    shares: dict[str, _Share] = {}

    async def hear(name: str, share: str) -> str:
        """The results of a share. Of an empty one nothing is said, and only an answer is wanted."""
        if not share:
            return ""
        taken_on = shares[name] = _Share(worker, share_of(share))
        try:
            return results_text(await taken_on.results())
        finally:
            del shares[name]

    async def take_back(name: str) -> list[int]:
        """Places of units of a share that are not scored here any more."""
        return shares[name].take_back() if name in shares else []

    worker.handlers[SCORE] = hear
    worker.handlers[TAKE_BACK] = take_back
