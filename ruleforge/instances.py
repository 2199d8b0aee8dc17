"""Instances of learning problems: which splits there are, and what a worker is sent to build one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ruleforge.checked import text
from ruleforge.errors import InputError, unknown_name

Split = Literal["training", "validation", "test", "library"]
# The place of a split is part of its randomness: a further one comes last.
SPLITS: tuple[Split, ...] = ("training", "validation", "test", "library")
# The library's instances are the same for every job, so that rules of all jobs can be ranked by them. Nothing is ever
# chosen by them.
LIBRARY_SEED = 0


def checked_split(name: str) -> Split:
    """The split of that name. Raises InputError for an unknown one."""
    for split in SPLITS:
        if split == text("split", name):
            return split
    raise InputError(unknown_name("split", name, SPLITS))


@dataclass(frozen=True)
class InstanceKey:
    """What a worker is sent to build one instance: source ("sampled" or "published"), split, seed and index."""

    source: str
    split: Split
    seed: int
    index: int

    def __str__(self) -> str:
        return f"{self.source}/{self.split}/{self.seed}/{self.index}"

    def seed_sequence(self) -> np.random.SeedSequence:
        """The randomness of the instance; streams of different splits, seeds and indices never meet."""
        return np.random.SeedSequence(self.seed, spawn_key=(SPLITS.index(self.split), self.index))
