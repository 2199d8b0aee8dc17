"""A family without simulation in which the mean and the low end of fitness say opposite things of a rule."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ruleforge.family import FamilyParameters, Outcome, Scores, SearchDefaults, TaskFamily
from ruleforge.language import Signal, Slot
from ruleforge.statistics import EXPECTED_MINIMUM_OF_8, Statistic

# So many of ten instances are hard.
HARD_OF_TEN = 2


class Disagreeing(TaskFamily):
    """fitness = 10·c on an easy instance, 9 − 10·c on a hard one, and a little noise; c: half the rule at x = 1.

    On average the rule with the largest c wins; of eight instances one or two are hard, and its minimum is the lowest.
    """

    name: ClassVar = "disagreeing"
    version: ClassVar = 1
    title: ClassVar = "a family for tests"
    citation: ClassVar = "nobody"
    fitness_meaning: ClassVar = "none"
    statistic: ClassVar[Statistic] = EXPECTED_MINIMUM_OF_8
    failure_below: ClassVar[float | None] = 2.0
    Parameters: ClassVar = FamilyParameters
    slots: ClassVar = (Slot("dw", (Signal("x", "1", "trace", (0.0, 1.0)),), updates="w", when="step"),)
    search_defaults: ClassVar = SearchDefaults(
        ("+", "*"), (0.25, 0.5), None, training=4, validation=40, test=40, library=40
    )
    literature: ClassVar = (("steady", "x", "nobody", None), ("bold", "x + x*x", "nobody", None))

    def build(self, key: Any) -> Any:
        generator = np.random.default_rng(key.seed_sequence())
        # Training has no hard ones: there the boldest rule wins.
        hard = key.split != "training" and key.index % 10 < HARD_OF_TEN
        return hard, float(generator.normal(0, 0.05))

    def evaluate(self, rules: Any, instance: Any, *, give_up_below: float | None = None) -> Scores:
        hard, noise = instance
        boldness = np.array([float(np.clip(rule.to_numpy()(x=1.0) / 2, 0, 1)) for rule in rules])
        fitness = (9 - 10 * boldness if hard else 10 * boldness) + noise
        return Scores(fitness, (Outcome.ok,) * len(rules), {"boldness": boldness})

    def trace(self, rule: Any, instance: Any) -> Any:
        return {}
