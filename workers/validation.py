"""The rules of a front on instances that the search never saw, beside the best rule of the literature."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruleforge.family import Outcome, TaskFamily
from ruleforge.language.rule import Rule
from ruleforge.store import Store
from workers.evaluators.interface import Evaluator, never
from workers.scoring import RuleScore, score_rules

# The validation and test instances are our own samples and the same for every job, whatever it was trained on, so
# that such fitness compares between jobs.
VALIDATION_SEED = 0


@dataclass(frozen=True)
class Validated:
    """scores: one per rule, in order; compared_with: the last rule beside the best known one (JSON-ready), or None."""

    scores: list[RuleScore]
    compared_with: dict[str, Any] | None


def validate(
    evaluator: Evaluator,
    family: TaskFamily,
    rules: Sequence[Rule],
    n: int,
    store: Store,
    stop: Callable[[], bool] = never,
) -> Validated:
    """Score rules (worst first) and the family's known ones on the first n validation instances."""
    keys = family.keys("validation", n, VALIDATION_SEED)
    names = {known.rule.id: name for name, known in family.known_rules().items()}
    known = [k.rule for k in family.known_rules().values() if k.rule not in rules]
    scores = score_rules(evaluator, family, [*rules, *known], keys, store=store, stop=stop)
    own = scores[: len(rules)]
    return Validated(own, _compared(own[-1], scores, names) if own else None)


def _compared(champion: RuleScore, scores: Sequence[RuleScore], names: dict[str, str]) -> dict[str, Any] | None:
    """The champion beside the best known rule, paired over the validation instances."""
    candidates = [score for score in scores if score.rule.id in names and score.outcome is Outcome.ok]
    if not candidates or champion.outcome is not Outcome.ok:
        return None
    best = max(candidates, key=lambda score: score.aggregate)
    difference = champion.fitness - best.fitness
    n = len(difference)
    return {
        "known_as": names[best.rule.id],
        "rule": best.rule.text,
        "validation_fitness": best.summary(),
        "champion_minus_known": float(np.mean(difference)),
        "standard_error": float(np.std(difference, ddof=1)) / math.sqrt(n) if n > 1 else None,
    }


def with_test_fitness(
    evaluator: Evaluator,
    family: TaskFamily,
    best: dict[str, Any] | None,
    n: int,
    store: Store,
    stop: Callable[[], bool] = never,
) -> tuple[dict[str, Any] | None, list[RuleScore]]:
    """The rule that validation chose, with its fitness on n test instances, which nothing else of a job looks at.

    Having been chosen by validation fitness, that figure flatters it; this one does not.
    """
    if best is None:
        return None, []
    keys = family.keys("test", n, VALIDATION_SEED)
    rules = [Rule.parse(best["rule"], family.name)]
    scores = score_rules(evaluator, family, rules, keys, store=store, stop=stop)
    return {**best, "test_fitness": scores[0].summary()}, scores


def best_validated(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The rule of the front with the highest validation fitness; of equal ones the simplest."""
    finite = [row for row in rows if row["validation_fitness"]["aggregate"] is not None]
    return max(finite, key=lambda row: row["validation_fitness"]["aggregate"], default=None)
