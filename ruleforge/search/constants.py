"""The numbers in a rule: drawn by chance, and moved by an evolution strategy while the rule's form stays."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deap import gp

from ruleforge.search.grammar import Hole
from ruleforge.search.variation import Individual, rounded

# Digits that a constant keeps: more would cost the reader more than they bring.
DIGITS = 4
# The step size, in units of the constant itself, at first and within which limits.
FIRST_STEP, SMALLEST_STEP, LARGEST_STEP = 0.3, 0.003, 3.0
# The share of successes at which a (1+1) evolution strategy keeps its step (Rechenberg 1973), and the factor.
SUCCESS_SHARE, FACTOR = 0.2, 1.5


@dataclass(frozen=True)
class StepSize:
    """By which part of itself a constant is moved, as a standard deviation; all rules of a search share it."""

    size: float = FIRST_STEP

    def after(self, successes: int, trials: int) -> StepSize:
        """The step size for the next generation: larger if more than a fifth of the trials were better."""
        if not trials:
            return self
        factor = FACTOR if successes > SUCCESS_SHARE * trials else 1.0 / FACTOR
        return StepSize(min(LARGEST_STEP, max(SMALLEST_STEP, self.size * factor)))


def tuned(
    individual: Individual, holes: Sequence[Hole], step: StepSize, generator: random.Random, gain: bool
) -> Individual | None:
    """The individual with one of its constants moved, None if it has none.

    gain: a factor before the whole of a tree counts as a constant too, and is put there if there is none (a learning
    rate).
    """
    places: list[tuple[int, int | None]] = [
        (tree, node)
        for tree, nodes in enumerate(individual)
        for node, found in enumerate(nodes)
        if isinstance(found.value if found.arity == 0 else None, float)
    ]
    if gain:
        places += [(tree, None) for tree, nodes in enumerate(individual) if not _has_gain(nodes)]
    if not places:
        return None
    tree, node = generator.choice(places)
    child = [gp.PrimitiveTree(list(nodes)) for nodes in individual]
    slot_type = holes[tree].primitive_set.ret
    if node is None:
        value = rounded(math.exp(step.size * generator.gauss(0.0, 1.0)), DIGITS)
        times = gp.Primitive("*", [slot_type, slot_type], slot_type)
        child[tree] = gp.PrimitiveTree([times, gp.Terminal(value, False, slot_type), *child[tree]])
    else:
        value = child[tree][node].value
        moved = rounded(value + step.size * (abs(value) or 1.0) * generator.gauss(0.0, 1.0), DIGITS)
        child[tree][node] = gp.Terminal(moved, False, slot_type)
    return child


def _has_gain(nodes: Sequence[Any]) -> bool:
    return len(nodes) > 2 and nodes[0].name == "*" and nodes[1].arity == 0 and isinstance(nodes[1].value, float)
