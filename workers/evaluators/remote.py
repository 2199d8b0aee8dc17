"""What runs on a worker of a cluster: plain data in, plain data out.

A worker rebuilds the family by its installed name, and the rules from their tokens as strictly as from any text from
outside. It keeps families and instances, and knows which calls were stopped.
"""

from __future__ import annotations

import asyncio
import functools
import json
import threading
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from typing import TypedDict

from distributed import get_worker

from ruleforge.errors import InputError
from ruleforge.family import InstanceKey, Scores, TaskFamily, checked_split, family, family_class
from ruleforge.kernel.version import kernel_version
from ruleforge.language.rule import Rule
from workers.cluster.compatibility import REFUSED, facts, refusals
from workers.evaluators.cutting import Costs
from workers.evaluators.interface import Request
from workers.evaluators.packed import Packed, packed
from workers.evaluators.threads import Unit
from workers.evaluators.units import joined, score_unit

# Calls that were stopped and whose units may still be on their way to a worker.
MAX_STOPPED_CALLS = 1000
# How long a worker waits for its units to end before it says that they were told to.
END_SECONDS = 2.5
END_POLL_SECONDS = 0.01

# So long may a piece of a unit take before the next look for a stop.
PIECE_SECONDS = 0.3

PlainRule = Sequence[Sequence[str | float]]
PlainKey = tuple[str, str, int, int]


class FamilyDescription(TypedDict):
    """A bound family as plain data, with what must be the same on both sides."""

    name: str
    parameters: str  # JSON
    digest: str
    kernel: str
    facts: dict[str, str]


class _Common(TypedDict):
    call: str
    family: FamilyDescription
    give_up_below: float | None


class PlainCall(_Common):
    """Rules, as tokens per slot, to be scored on the instances of some keys: a call, or a unit of it."""

    rules: Sequence[PlainRule]
    keys: Sequence[PlainKey]


class PlainShare(_Common):
    """The rules and keys that some units of a call need, by their places in the call; and those units."""

    rules: Mapping[int, PlainRule]
    keys: Mapping[int, PlainKey]
    units: Mapping[int, Unit]


class UnitResult(TypedDict):
    """What a worker gives back: scores per key, or why it does not fit, or nothing if the call was stopped."""

    scores: Packed | None
    refused: str
    worker: str
    seconds: float
    first: bool


def described(bound: TaskFamily) -> FamilyDescription:
    """A family for the way to a worker. Raises InputError for one that no worker could find by its name."""
    if family_class(bound.name) is not type(bound):
        raise InputError(
            f"{type(bound).__qualname__} is not the installed family {bound.name!r}: workers of a cluster find "
            "a family by its entry point alone, so install it there and here"
        )
    return {
        "name": bound.name,
        "parameters": json.dumps(bound.parameters.model_dump(mode="json"), sort_keys=True),
        "digest": bound.parameters_digest,
        "kernel": kernel_version(type(bound).__module__),
        "facts": {name: facts()[name] for name in REFUSED},
    }


def plain_call(request: Request) -> PlainCall:
    """A request for the way to a worker, under a new name. Raises InputError if no worker could find the family."""
    return {
        "call": uuid.uuid4().hex,
        "family": described(request.family),
        "rules": [rule.to_tokens() for rule in request.rules],
        "keys": [(key.source, key.split, key.seed, key.index) for key in request.keys],
        "give_up_below": request.give_up_below,
    }


def part_of(call: PlainCall, unit: Unit) -> PlainCall:
    """One unit of a call."""
    rules, keys = unit
    return {**call, "rules": call["rules"][rules], "keys": call["keys"][keys]}


class _Calls:
    """Which calls were stopped, and how many units of each are running in this process."""

    def __init__(self) -> None:
        self._stopped: OrderedDict[str, None] = OrderedDict()
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    def begin(self, call: str) -> None:
        with self._lock:
            self._running[call] += 1

    def end(self, call: str) -> None:
        with self._lock:
            self._running[call] -= 1
            if not self._running[call]:
                del self._running[call]

    def stop(self, call: str) -> None:
        with self._lock:
            self._stopped[call] = None
            while len(self._stopped) > MAX_STOPPED_CALLS:
                self._stopped.popitem(last=False)

    def stopped(self, call: str) -> bool:
        return call in self._stopped

    def running(self, call: str) -> bool:
        return call in self._running


_calls = _Calls()


async def end_call(call: str) -> None:
    """Let the units of a call end between two instances, now and when they arrive later; waits until they have."""
    _calls.stop(call)
    deadline = time.monotonic() + END_SECONDS
    while _calls.running(call) and time.monotonic() < deadline:
        await asyncio.sleep(END_POLL_SECONDS)


@functools.lru_cache(maxsize=64)
def _rebuilt(name: str, parameters: str) -> tuple[TaskFamily, str]:
    bound = family(name, json.loads(parameters))
    return bound, kernel_version(type(bound).__module__)


def _mismatch(description: FamilyDescription, bound: TaskFamily, kernel: str) -> list[str]:
    found = refusals(description["facts"], facts())
    if kernel != description["kernel"]:
        found.append(f"the kernels of {bound.name} are {description['kernel']} here and {kernel} there")
    if bound.parameters_digest != description["digest"]:
        found.append(f"the version or the parameters of {bound.name} differ")
    return found


# How long pieces took in this process.
_costs = Costs()
# Families that this process has already scored with: the first unit loads kernels, which says nothing of its cost.
_used: set[str] = set()


class Received:
    """A call as a worker has it; its rules are rebuilt as they are needed, each once."""

    def __init__(self, plain: PlainCall | PlainShare) -> None:
        self.name, self.give_up_below = plain["call"], plain["give_up_below"]
        description = plain["family"]
        self.family, kernel = _rebuilt(description["name"], description["parameters"])
        self.refused = "; ".join(_mismatch(description, self.family, kernel))
        self._plain_rules, self._plain_keys = plain["rules"], plain["keys"]
        self._rules: dict[int, Rule] = {}

    def rules(self, part: slice) -> list[Rule]:
        """Those of a unit. Raises InputError for one that is none of the family."""
        places = range(part.start, part.stop)
        for place in places:
            if place not in self._rules:
                self._rules[place] = Rule.from_tokens(self._plain_rules[place], type(self.family))
        return [self._rules[place] for place in places]

    def keys(self, part: slice) -> list[InstanceKey]:
        """Those of a unit."""
        plain = [self._plain_keys[place] for place in range(part.start, part.stop)]
        return [InstanceKey(source, checked_split(split), seed, index) for source, split, seed, index in plain]


def score_plain(unit: PlainCall) -> UnitResult:
    """Score a unit, as a task of Dask. Between instances it looks whether the call was stopped.

    Raises what the family raises.
    """
    whole = slice(0, len(unit["rules"])), slice(0, len(unit["keys"]))
    return score_part(Received(unit), whole, get_worker().address)


def score_part(call: Received, unit: Unit, worker: str) -> UnitResult:
    """Score a unit of a call, on the worker of this address. Raises what the family raises."""
    _calls.begin(call.name)
    try:
        if call.refused:
            return {"scores": None, "refused": call.refused, "worker": worker, "seconds": 0.0, "first": True}
        rules, keys = call.rules(unit[0]), call.keys(unit[1])
        first = call.family.name not in _used
        _used.add(call.family.name)
        begin = time.perf_counter()
        scores = _in_pieces(call.name, call.family, rules, keys, call.give_up_below)
        seconds = time.perf_counter() - begin
        return {
            "scores": None if scores is None else packed(scores),
            "refused": "",
            "worker": worker,
            "seconds": seconds,
            "first": first,
        }
    finally:
        _calls.end(call.name)


def _in_pieces(
    call: str,
    bound: TaskFamily,
    rules: Sequence[Rule],
    keys: Sequence[InstanceKey],
    give_up_below: float | None,
) -> list[Scores] | None:
    """Scores per key, in pieces that are short enough to stop soon; None once the call was stopped."""
    scores: list[Scores] = []
    digest = bound.parameters_digest
    for first_key in range(0, len(keys), bound.instances_per_batch):
        some = keys[first_key : first_key + bound.instances_per_batch]
        parts: list[list[Scores]] = [[] for _ in some]
        first_rule = 0
        while first_rule < len(rules):
            if _calls.stopped(call):
                return None
            # The first piece that this process scores is the smallest that wastes no lane.
            cost = _costs.of(digest)
            batches = 1 if cost is None else int(PIECE_SECONDS / (cost * bound.rules_per_batch * len(some)))
            piece = rules[first_rule : first_rule + max(batches, 1) * bound.rules_per_batch]
            begin = time.perf_counter()
            for place, part in zip(parts, score_unit(bound, piece, some, give_up_below), strict=True):
                place.append(part)
            _costs.note(digest, len(piece) * len(some), time.perf_counter() - begin)
            first_rule += len(piece)
        scores.extend(joined(place) for place in parts)
    return scores
