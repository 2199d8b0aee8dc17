"""Keys and instances: stable, apart from each other, made of nothing but parameters and key."""

from __future__ import annotations

import dataclasses
import itertools
import json
from typing import Any

from ruleforge.conformance.promises import called, digest, require
from ruleforge.family import SPLITS, InstanceKey, TaskFamily

SEEDS = (0, 1, 2**40)
N_INSTANCES = 3


def check_keys(bound: TaskFamily) -> None:
    """Keys are stable, differ, and begin a longer list as they begin a shorter one."""
    seen: dict[InstanceKey, tuple[str, int, int]] = {}
    for split, seed in itertools.product(SPLITS, SEEDS):
        keys = bound.keys(split, N_INSTANCES, seed)
        where = f"for split {split!r} and seed {seed}"
        alike = len(keys) == N_INSTANCES and all(isinstance(key, InstanceKey) for key in keys)
        require(alike, f"keys(split, n, seed) is a list of n InstanceKey {where}", f"{keys!r} came")
        require(keys == bound.keys(split, N_INSTANCES, seed), f"keys are stable {where}", "a second call differs")
        shorter = bound.keys(split, N_INSTANCES - 1, seed)
        require(keys[:-1] == shorter, f"more instances begin with the same keys {where}", "a shorter list differs")
        for index, key in enumerate(keys):
            require(key.split == split, f"a key carries its split {where}", f"{key} came")
            called("a key can be sent to a worker as JSON", f"for {key}", json.dumps, dataclasses.asdict(key))
            here = (split, seed, index)
            require(key not in seen, "keys of splits, seeds and indices differ", f"{key} is {seen.get(key)} and {here}")
            seen[key] = here


def check_build(bound: TaskFamily, again: TaskFamily) -> list[Any]:
    """Instances depend on nothing but parameters and key. Returns those of the training split."""
    chosen = [key for split in SPLITS for key in bound.keys(split, N_INSTANCES, SEEDS[1])]
    chosen += bound.keys("training", N_INSTANCES, SEEDS[0])
    built = [called("build makes an instance of each key", f"for {key}", bound.build, key) for key in chosen]
    digests = [digest(instance) for instance in built]
    # The other way round, so that an instance that depends on what was built before it shows.
    for key, expected in reversed(list(zip(chosen, digests, strict=True))):
        same = digest(again.build(key)) == expected
        require(same, "build depends on nothing but parameters and key", f"a second build of {key} differs")
    for (one, first), (other, second) in itertools.combinations(zip(chosen, digests, strict=True), 2):
        require(first != second, "different keys are different problems", f"{one} and {other} are the same")
    return built[:N_INSTANCES]
