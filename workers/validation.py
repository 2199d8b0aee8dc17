"""What a job may say of its rules on instances that the search never saw: chosen by validation, judged by test.

The rules of a front are scored on the validation instances, and the best of them by the family's statistic is
reported. Having been chosen by it, its validation fitness flatters it; so the reported rule alone is then scored on a
test stream that nothing was chosen by, beside the rules of the literature and the rule that learns nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruleforge.family import SPLITS, Outcome, TaskFamily
from ruleforge.language.rule import Rule
from ruleforge.statistics import NO_LEARNING, standard_error, verdicts
from ruleforge.store import Store
from workers.evaluators.interface import Evaluator, never
from workers.scoring import RuleScore, score_rules

# The validation instances are our own samples and the same for every job, whatever it was trained on. Choosing by them
# is all they are for.
VALIDATION_SEED = 0


def stream_seed(specification: str, seed: int, openings: int, ancestors: int = 0) -> int:
    """The seed of a test stream: the same for a job that is repeated, another one each time that it is opened.

    specification: the hash of what the rule was sought by; seed: the job's; openings: how often it was opened before;
    ancestors: how many jobs started one from another's front, which may leave the specification as it was.
    A run that is killed before its result is committed opens the same stream when it is resumed, because the count
    rises with the result.
    """
    digest = hashlib.blake2b(json.dumps([specification, seed, openings, ancestors]).encode(), digest_size=8)
    return int.from_bytes(digest.digest(), "big") >> 1  # seeds of instances are below 2**63


@dataclass(frozen=True)
class Tested:
    """A rule on a test stream.

    fitness: its summary; verdicts: one row per comparison (both JSON-ready); own: the rule's score; scores: of all
    rules that were compared, its own among them.
    """

    fitness: dict[str, Any]
    verdicts: list[dict[str, Any]]
    own: RuleScore
    scores: list[RuleScore]


def validate(
    evaluator: Evaluator,
    family: TaskFamily,
    rules: Sequence[Rule],
    n: int,
    store: Store,
    stop: Callable[[], bool] = never,
) -> list[RuleScore]:
    """Score rules on the first n validation instances."""
    return score_rules(evaluator, family, rules, family.keys("validation", n, VALIDATION_SEED), store=store, stop=stop)


def best_validated(rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The row (simplest first) with the highest statistic on the validation instances; of equal ones the simplest."""
    finite = [row for row in rows if row["validation_fitness"]["aggregate"] is not None]
    return max(finite, key=lambda row: row["validation_fitness"]["aggregate"], default=None)


def judge(
    evaluator: Evaluator,
    family: TaskFamily,
    rule: Rule,
    n: int,
    seed: int,
    store: Store,
    stop: Callable[[], bool] = never,
) -> Tested:
    """Score a rule on n test instances of a seed, beside the known rules and the one that learns nothing."""
    others = {name: known.rule for name, known in type(family).known_rules().items()}
    others[NO_LEARNING] = type(family).no_learning()
    distinct = {each.id: each for each in (rule, *others.values())}
    keys = family.keys("test", n, seed)
    scores = score_rules(evaluator, family, list(distinct.values()), keys, store=store, stop=stop)
    by_id = dict(zip(distinct, scores, strict=True))
    found = verdicts(
        by_id[rule.id].fitness,
        {name: by_id[other.id].fitness for name, other in others.items()},
        type(family).statistic,
        type(family).failure_below,
        # A stream of its own beside those of the instances, whose keys have two numbers.
        np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(len(SPLITS),))),
        same=[name for name, other in others.items() if other.id == rule.id],
    )
    return Tested(by_id[rule.id].summary(), found, by_id[rule.id], scores)


def beside_best_known(
    evaluator: Evaluator,
    family: TaskFamily,
    champion: RuleScore,
    library: Mapping[str, Mapping[str, Any]],
    store: Store,
    stop: Callable[[], bool] = never,
) -> tuple[dict[str, Any] | None, list[RuleScore]]:
    """`compared_with` of earlier versions: the champion beside the best known rule, both on the validation instances.

    champion: its validation score; library: summaries there by id of the rule, by which the best of the known rules is
    found, so that it alone has to be scored. Also its score. None where one of the two is not finite. What a job says
    about its rules stands in its verdicts.
    """
    known = {name: each.rule for name, each in type(family).known_rules().items()}
    figures = {name: (library.get(rule.id) or {}).get("aggregate") for name, rule in known.items()}
    ranked = {name: figure for name, figure in figures.items() if figure is not None}
    if not ranked or champion.outcome is not Outcome.ok:
        return None, []
    name = max(ranked, key=lambda each: ranked[each])
    (score,) = validate(evaluator, family, [known[name]], len(champion.fitness), store, stop)
    if score.outcome is not Outcome.ok:
        return None, [score]
    statistic = champion.statistic
    difference = statistic.value(champion.fitness) - statistic.value(score.fitness)
    return {
        "known_as": name,
        "rule": score.rule.text,
        "validation_fitness": score.summary(),
        "champion_minus_known": difference,
        "standard_error": standard_error(champion.fitness, score.fitness, statistic, np.random.default_rng(0)),
    }, [score]
