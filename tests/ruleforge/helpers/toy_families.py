"""Two families without any simulation: one slot with a discrete signal, and two slots."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ruleforge.family import FamilyParameters, Outcome, Scores, SearchDefaults, TaskFamily, parameter
from ruleforge.language import Signal, Slot


class ToyParameters(FamilyParameters):
    gain: float = parameter(2.0, unit="1", meaning="a factor", source="made up", gt=0)
    n_steps: int = parameter(10, unit="1", meaning="a number", source="made up", ge=1, le=100)


class _WithoutSimulation(TaskFamily):
    version: ClassVar = 1
    title: ClassVar = "a family for tests"
    citation: ClassVar = "nobody"
    fitness_meaning: ClassVar = "none"
    Parameters: ClassVar = ToyParameters

    def build(self, key: Any) -> Any:
        return key

    def evaluate(self, rules: Any, instance: Any, *, give_up_below: float | None = None) -> Scores:
        return Scores(np.zeros(len(rules)), (Outcome.ok,) * len(rules))

    def trace(self, rule: Any, instance: Any) -> Any:
        return {}


class Toy(_WithoutSimulation):
    name: ClassVar = "toy"
    slots: ClassVar = (
        Slot(
            "dw",
            (
                Signal("R", "1", "reward", (-1.0, 1.0), values=(-1.0, 1.0)),
                Signal("E", "1", "eligibility", (-20.0, 20.0), special=(0.0,)),
                Signal("R_mean", "1", "running mean", (-1.0, 1.0), r"\bar R", special=(0.0,), default=False),
            ),
            updates="w",
            when="trial_end",
        ),
    )
    search_defaults: ClassVar = SearchDefaults(("+", "-", "*", "/"), (0.1, 1.0, 10.0), 5.0, training=3, validation=7)
    literature: ClassVar = (("gated", "(R - 1)*E", "nobody", 1.0), ("plain", "R*E", "nobody", None))


_WEIGHT = Signal("w", "1", "weight", (0.0, 1.0), special=(0.0, 0.5, 1.0))
_TRACE = Signal("x", "1", "trace", (0.0, 5.0), special=(0.0, 1.0))


class Twin(_WithoutSimulation):
    name: ClassVar = "twin"
    slots: ClassVar = (
        Slot("depress", (_WEIGHT, _TRACE), updates="w", when="pre_spike"),
        Slot("facilitate", (_WEIGHT, _TRACE), updates="w", when="post_spike"),
    )
    search_defaults: ClassVar = SearchDefaults(("+", "-", "*", "/", "**"), (1.0,), None, training=2, validation=4)
    literature: ClassVar = (
        ("evolved", "depress: -w + x/w; facilitate: (w*x)**w - 1", "nobody", None),
        ("potentiation only", "depress: 0; facilitate: x - 0.15", "nobody", None),
        ("pair", "depress: x; facilitate: x", "nobody", None),
    )
