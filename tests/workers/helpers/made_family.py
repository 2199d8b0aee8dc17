"""A family that does what its parameters say, in whichever process it is built: notes, waits, fails."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ruleforge.errors import EvaluationError
from ruleforge.family import FamilyParameters, Outcome, Scores, SearchDefaults, TaskFamily, parameter
from ruleforge.language import Signal, Slot

MADE_UP = "made up"


class MadeParameters(FamilyParameters):
    log: str = parameter("", unit="1", meaning="file that takes the number of each instance", source=MADE_UP)
    seconds: float = parameter(0.0, unit="s", meaning="duration of an instance", source=MADE_UP, ge=0)
    fails_at: int | None = parameter(None, unit="1", meaning="instance that cannot be simulated", source=MADE_UP)
    refuses_at: int | None = parameter(None, unit="1", meaning="instance whose rules are refused", source=MADE_UP)


class Made(TaskFamily):
    """Fitness = 1000 · number of the instance + the constant of the rule `n*x`."""

    name: ClassVar = "made"
    version: ClassVar = 1
    title: ClassVar = "a family for tests"
    citation: ClassVar = "nobody"
    fitness_meaning: ClassVar = "none"
    Parameters: ClassVar = MadeParameters
    slots: ClassVar = (Slot("dw", (Signal("x", "1", "trace", (0.0, 5.0)),), updates="w", when="step"),)
    search_defaults: ClassVar = SearchDefaults(("+", "*"), (1.0,), None, training=3, validation=7, library=5)
    rules_per_batch: ClassVar = 1
    instances_per_batch: ClassVar = 2

    def build(self, key: Any) -> Any:
        return key

    def evaluate(self, rules: Any, instance: Any, *, give_up_below: float | None = None) -> Scores:
        time.sleep(self.parameters.seconds)
        if instance.index == self.parameters.fails_at:
            raise EvaluationError(f"instance {instance.index} cannot be simulated")
        if instance.index == self.parameters.refuses_at:
            type(rules[0]).parse("y +", type(self))
        if self.parameters.log:
            with Path(self.parameters.log).open("a", encoding="utf-8") as log:
                log.write(f"{instance.index}\n")
        constants = [rule.to_tokens()[0][1] for rule in rules]
        fitness = np.array([1000.0 * instance.index + constant for constant in constants])
        if give_up_below is not None:
            fitness[:] = give_up_below
        return Scores(fitness, (Outcome.ok,) * len(rules), {"constant": np.array(constants)})

    def trace(self, rule: Any, instance: Any) -> Any:
        return {}
