"""Scoring given rules on a split, outside any job."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ruleforge.checked import whole_number
from ruleforge.cost import check_cost
from ruleforge.family import TaskFamily, checked_split
from ruleforge.language.identity import Recogniser
from ruleforge.language.rule import Rule
from ruleforge.store import Store
from workers.evaluators.interface import Evaluator, never
from workers.library import is_final, is_library
from workers.scoring import RuleScore, final_records, finite, rule_record, score_rules

MAX_INSTANCES = 100_000
LARGEST_SEED = 2**63 - 1


def evaluate_rules(
    evaluator: Evaluator,
    family: TaskFamily,
    rules: Sequence[Rule],
    *,
    split: str = "training",
    n: int | None = None,
    seed: int = 0,
    source: str = "sampled",
    store: Store | None = None,
    stop: Callable[[], bool] = never,
) -> list[dict[str, Any]]:
    """Score each rule on n instances of a split (default: the family's number); one JSON-ready dict per rule.

    store: the record that has the scores already, or keeps them, with the rules and the metrics of every instance; None
    keeps nothing. Raises JobStopped once `stop` is true.
    """
    chosen = checked_split(split)
    n = n if n is not None else type(family).search_defaults.instances(chosen)
    n = whole_number("n", n, 1, MAX_INSTANCES, of="instances")
    seed = whole_number("seed", seed, 0, LARGEST_SEED)
    for rule in rules:
        check_cost(family.cost(rule.complexity), family.parameters)
    recogniser = Recogniser(family.known_rules())
    scores = score_rules(evaluator, family, rules, family.keys(chosen, n, seed, source), store=store, stop=stop)
    if store is not None:
        records = [rule_record(rule, recogniser) for rule in rules]
        store.add_scores(records, final_records(scores))
        if is_library(type(family), chosen, n, seed):
            ended = [(record, score) for record, score in zip(records, scores, strict=True) if is_final(score)]
            store.add_library(family.context, [(record, score.summary()) for record, score in ended], [])
    return [_evaluation(family, score, split, recogniser) for score in scores]


def _evaluation(family: TaskFamily, score: RuleScore, split: str, recogniser: Recogniser) -> dict[str, Any]:
    known = recogniser.recognise(score.rule)
    return {
        "task": family.name,
        "rule": score.rule.text,
        "id": score.rule.id,
        "split": split,
        "fitness": [finite(float(value)) for value in score.fitness],
        **score.summary(),
        "outcome": score.outcome.value,
        "complexity": score.rule.complexity,
        "known_as": known.name if known else None,
        "known_factor": known.factor if known else None,
    }
