"""Scores: the same to the bit whatever stands beside a rule, and honest about rules that are not finite."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from ruleforge.conformance.promises import ConformanceError, called, digest, require
from ruleforge.family import Outcome, Scores, TaskFamily
from ruleforge.language.primitives import PRIMITIVES
from ruleforge.language.rule import Rule

N_THREADS = 4
MAX_HURDLES = 8
# Expressions that are not finite whatever the signals are.
NON_FINITE = ("1/0", "-1/0", "0/0", "10**308*10**308")

# What came of one rule on one instance: fitness, outcome, metrics by name.
Score = tuple[float, Outcome, tuple[tuple[str, float], ...]]


def trial_rules(family_class: type[TaskFamily]) -> list[Rule]:
    """The known rules, zero, each signal alone, each operator on signals, and rules that are never finite."""
    trials = [known.rule for known in family_class.known_rules().values()]
    by_slot = []
    for slot in family_class.slots:
        operands = itertools.cycle(slot.symbols)
        expressions: list[tuple[Any, ...]] = [(0.0,), *((symbol,) for symbol in slot.symbols)]
        expressions += [
            (primitive.name, *itertools.islice(operands, primitive.arity)) for primitive in PRIMITIVES.values()
        ]
        by_slot.append(expressions)
    n_trials = max(map(len, by_slot))
    padded = [list(itertools.islice(itertools.cycle(expressions), n_trials)) for expressions in by_slot]
    trials += [Rule.from_tokens(list(expressions), family_class) for expressions in zip(*padded, strict=True)]
    return list(dict.fromkeys([*trials, *non_finite_rules(family_class)]))


def non_finite_rules(family_class: type[TaskFamily]) -> list[Rule]:
    """Rules that are infinite or not a number in every slot."""
    return [
        Rule.parse("; ".join(f"{slot.name}: {text}" for slot in family_class.slots), family_class)
        for text in NON_FINITE
    ]


def checked_scores(bound: TaskFamily, rules: Sequence[Rule], instance: Any, hurdle: float | None = None) -> Scores:
    """The scores of a batch, once their form has been checked."""
    about = f"for {rules[0].text!r}" if len(rules) == 1 else f"for a batch of {len(rules)} rules"
    scores = called(
        "evaluate never raises because of a rule", about, bound.evaluate, rules, instance, give_up_below=hurdle
    )
    _check_form(scores, rules, about)
    assert isinstance(scores, Scores)
    return scores


def _check_form(scores: Any, rules: Sequence[Rule], about: str) -> None:
    require(isinstance(scores, Scores), f"the scores {about} are Scores", f"{type(scores).__name__} came")
    for name, values in {"fitness": scores.fitness, **scores.metrics}.items():
        fits = isinstance(values, np.ndarray) and values.dtype == np.float64 and values.shape == (len(rules),)
        came = f"{values.dtype} of {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
        require(fits, f"{name} {about} is float64 of shape ({len(rules)},)", f"{came} came")
    outcomes = isinstance(scores.outcome, tuple) and all(isinstance(each, Outcome) for each in scores.outcome)
    complete = outcomes and len(scores.outcome) == len(rules)
    require(complete, f"outcome {about} is a tuple of {len(rules)} Outcome", f"{scores.outcome!r} came")
    for rule, fitness, outcome in zip(rules, scores.fitness.tolist(), scores.outcome, strict=True):
        honest = math.isfinite(fitness) if outcome is Outcome.ok else fitness == -math.inf
        promise = "fitness is finite where the outcome is ok, and −∞ elsewhere"
        require(honest, promise, f"{rule.text!r} has fitness {fitness} and outcome {outcome}")


def score_of(scores: Scores, row: int) -> Score:
    """What came of one rule of a batch."""
    metrics = tuple((name, float(values[row])) for name, values in sorted(scores.metrics.items()))
    return float(scores.fitness[row]), scores.outcome[row], metrics


def _compare(promise: str, rule: Rule, expected: Score, found: Score, how: str) -> None:
    # By text, which tells 0 from −0 and takes every NaN as one.
    if repr(found) != repr(expected):
        raise ConformanceError(
            f"{promise}, and {rule.text!r} has {_described(expected)} alone, {_described(found)} {how}"
        )


def _described(score: Score) -> str:
    return f"fitness {score[0]!r} ({', '.join([score[1], *(f'{name} {value!r}' for name, value in score[2])])})"


def check_evaluate(
    bound: TaskFamily, again: TaskFamily, rules: Sequence[Rule], instances: Sequence[Any]
) -> list[list[Score]]:
    """The same scores in every batch, from every object of the family. Returns those of each rule alone, by instance.

    Some published protocols clip weights so that what is not finite is absorbed (NaN becomes 0); so it is enough that
    one of the rules that are never finite is found out.
    """
    before = [digest(instance) for instance in instances]
    alone = [[score_of(checked_scores(bound, [rule], instance), 0) for rule in rules] for instance in instances]
    numbers = range(len(rules))
    non_finite = set(map(rules.index, non_finite_rules(type(bound))))
    noticed = any(alone[0][i][1] is Outcome.non_finite for i in non_finite)
    promise = "a rule that leaves the finite numbers has outcome non_finite"
    require(noticed, promise, f"none of {', '.join(NON_FINITE)} in every slot has")
    finite = [i for i in numbers if i not in non_finite]
    around = itertools.cycle(non_finite)
    arrangements = {
        "in one batch": finite,
        "when scored again": finite,
        "in reverse order": finite[::-1],
        "beside rules that are not finite": [i for each in finite for i in (next(around), each)],
        "in a batch larger than rules_per_batch": list(
            itertools.islice(itertools.cycle(numbers), type(bound).rules_per_batch + len(rules) + 1)
        ),
    }
    promise = "a rule has the same score to the bit whatever else is in its batch"
    for instance, expected in zip(instances, alone, strict=True):
        for how, order in arrangements.items():
            scores = checked_scores(bound, [rules[i] for i in order], instance)
            for row, i in enumerate(order):
                _compare(promise, rules[i], expected[i], score_of(scores, row), how)
        scores = checked_scores(again, rules, instance)
        for i in numbers:
            promise = "equal parameters give equal scores"
            _compare(promise, rules[i], expected[i], score_of(scores, i), "from another object of the family")
    unchanged = [digest(instance) for instance in instances] == before
    require(unchanged, "evaluate leaves an instance as it is", "an instance has changed")
    return alone


def check_threads(
    bound: TaskFamily, rules: Sequence[Rule], instances: Sequence[Any], alone: Sequence[Sequence[Score]]
) -> None:
    """The same scores from several threads that share family and instances."""

    def score(unit: tuple[int, int]) -> Scores:
        index, first = unit
        return checked_scores(bound, [*rules[first:], *rules[:first]], instances[index])

    units = [(index, first) for first in range(N_THREADS) for index in range(len(instances))]
    with ThreadPoolExecutor(N_THREADS) as pool:
        for (index, first), scores in zip(units, pool.map(score, units), strict=True):
            for row, rule in enumerate([*rules[first:], *rules[:first]]):
                expected = alone[index][(row + first) % len(rules)]
                promise = "a rule has the same score in every thread"
                _compare(promise, rule, expected, score_of(scores, row), f"beside {N_THREADS - 1} other threads")


def check_evaluate_many(
    bound: TaskFamily, rules: Sequence[Rule], instances: Sequence[Any], alone: Sequence[Sequence[Score]]
) -> None:
    """The same scores from `evaluate_many`, in any order and number of instances."""
    n = type(bound).instances_per_batch + len(instances)
    order = list(itertools.islice(itertools.cycle(reversed(range(len(instances)))), n))
    promise = "evaluate_many gives what evaluate gives"
    many = called(promise, "", bound.evaluate_many, rules, [instances[index] for index in order])
    require(len(many) == n, f"evaluate_many gives one Scores for each of {n} instances", f"{len(many)} came")
    for index, scores in zip(order, many, strict=True):
        _check_form(scores, rules, "of evaluate_many")
        for row, rule in enumerate(rules):
            _compare(promise, rule, alone[index][row], score_of(scores, row), "in evaluate_many")


def check_give_up_below(bound: TaskFamily, rules: Sequence[Rule], instances: Sequence[Any]) -> None:
    """A hurdle stops rules that end below it, and changes nothing else."""
    whole = [checked_scores(bound, rules, instance) for instance in instances]
    reached = sorted({fitness for fitness in whole[0].fitness.tolist() if math.isfinite(fitness)})
    reached = [*reached[:: -(-len(reached) // MAX_HURDLES) or 1], *reached[-1:]]
    for hurdle in (-math.inf, *reached, *(fitness + 1.0 for fitness in reached[-1:])):
        found = checked_scores(bound, rules, instances[0], hurdle)
        _compare_with_hurdle(rules, whole[0], found, hurdle, f"with give_up_below={hurdle!r}")
        many = called(
            "evaluate_many never raises because of a rule",
            "",
            bound.evaluate_many,
            rules,
            instances,
            give_up_below=hurdle,
        )
        below = [_aggregate(bound, [scores.fitness[row] for scores in whole]) < hurdle for row in range(len(rules))]
        for expected, found in zip(whole, many, strict=True):
            _check_form(found, rules, "of evaluate_many")
            how = f"in evaluate_many with give_up_below={hurdle!r}"
            _compare_with_hurdle(rules, expected, found, hurdle, how, below)


def _aggregate(bound: TaskFamily, fitness: Sequence[float]) -> float:
    return bound.aggregate(np.array(fitness)) if np.isfinite(fitness).all() else -math.inf


def _compare_with_hurdle(
    rules: Sequence[Rule], whole: Scores, scores: Scores, hurdle: float, how: str, below: Sequence[bool] = ()
) -> None:
    """below: the rules that may be rejected although they end above the hurdle on this instance."""
    for row, rule in enumerate(rules):
        expected, found = score_of(whole, row), score_of(scores, row)
        if found[1] is not Outcome.rejected_at_hurdle:
            _compare("give_up_below changes no score but by rejecting a rule", rule, expected, found, how)
        elif expected[0] >= hurdle and not (below and below[row]):
            came = f"{rule.text!r}, which ends at {expected[0]!r}, is rejected {how}"
            raise ConformanceError(f"give_up_below never stops a rule that ends above it, and {came}")


def check_aggregate(bound: TaskFamily, rules: Sequence[Rule], alone: Sequence[Sequence[Score]]) -> None:
    """One finite number of finite ones, and a hurdle under which no rule can survive."""
    # (n_rules, n_instances) of the rules that are finite everywhere
    fitness = np.array([[scores[row][0] for scores in alone] for row in range(len(rules))])
    fitness = fitness[np.isfinite(fitness).all(axis=1)]
    if not len(fitness):
        return
    joined = [called("aggregate joins fitness values", f"for {row}", bound.aggregate, row) for row in fitness]
    for value in joined:
        number = isinstance(value, float) and math.isfinite(value)
        require(number, "aggregate makes one finite float of finite ones", f"{value!r} came")
    promise = "no rule ends above the ceiling of some of its instances"
    for row, value in zip(fitness, joined, strict=True):
        for n in range(1, len(row) + 1):
            ceiling = called("ceiling answers for some of the instances", f"for {row[:n]}", bound.ceiling, row[:n])
            require(
                isinstance(ceiling, float) and ceiling >= value, promise, f"{ceiling!r} came for {row[:n]} of {row}"
            )
    for n_survivors in range(1, len(fitness) + 1):
        hurdle = called("hurdle answers for any survivors", "", bound.hurdle, fitness[:n_survivors])
        if hurdle is None:
            continue
        promise = "hurdle is a finite float or None"
        require(isinstance(hurdle, float) and math.isfinite(hurdle), promise, f"{hurdle!r} came")
        lost = np.full(fitness.shape[1], hurdle - 1e-9 * max(1.0, abs(hurdle)))
        beaten = bound.aggregate(lost) < min(joined[:n_survivors])
        promise = "a rule below the hurdle on every instance ends below every survivor"
        require(beaten, promise, f"one at {lost[0]!r} everywhere does not end below {min(joined[:n_survivors])!r}")
