"""The published experiments again: our figure beside the published one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ruleforge.checked import whole_number
from ruleforge.cost import check_cost
from ruleforge.errors import InputError
from ruleforge.family import Outcome, PublishedRow, Split, TaskFamily, checked_split, family_class
from ruleforge.language.identity import recognise
from ruleforge.language.rule import Rule
from workers.evaluate import MAX_INSTANCES
from workers.evaluators.interface import Evaluator, never
from workers.scoring import RuleScore, finite, score_rules


def reproduce(
    evaluator: Evaluator,
    family: type[TaskFamily],
    *,
    split: str = "training",
    first_seed: int | None = None,
    n: int | None = None,
    rules: Sequence[str] = (),
    parameters: Mapping[str, Any] | None = None,
    stop: Callable[[], bool] = never,
) -> dict[str, Any]:
    """Score the published champions (or `rules`) on the published experiments; JSON-ready.

    first_seed: where the experiments of the split begin, the published seed if left out; parameters go over those of
    the publication. Raises JobStopped once `stop` is true.
    """
    published = family.published_experiments()
    if published is None:
        raise InputError(f"{family.name} has no published experiments", pointer="/task")
    asked = checked_split(split)
    if asked not in published.seed:
        raise InputError(f"{family.name} has no published {asked} experiments: expected {' or '.join(published.seed)}")
    if n is not None:
        n = whole_number("n", n, 1, MAX_INSTANCES, of="experiments")
    if first_seed is not None:
        first_seed = whole_number("seed", first_seed, 0, 2**32 - MAX_INSTANCES - 1)
    rows = [PublishedRow(Rule.parse(text, family).text, None) for text in rules] or list(published.rows)
    result: list[dict[str, Any]] = []
    for batch in _alike(rows):
        where = batch[0].split or asked
        bound = family({**published.parameters.get(where, {}), **batch[0].parameters, **(parameters or {})})
        seed = published.seed[where] if first_seed is None else first_seed
        keys = published.keys(where, seed, n or batch[0].n or published.n[where])
        parsed = [Rule.parse(row.rule, family) for row in batch]
        for rule in parsed:
            check_cost(bound.cost(rule.complexity), bound.parameters)
        scores = score_rules(evaluator, bound, parsed, keys, stop=stop)
        result += [_row(row, score, where, asked) for row, score in zip(batch, scores, strict=True)]
    return {"task": family.name, "split": split, "rows": result}


def _alike(rows: Sequence[PublishedRow]) -> list[list[PublishedRow]]:
    """Rows that can be scored together: neighbours with the same parameters and experiments."""
    batches: list[list[PublishedRow]] = []
    for row in rows:
        last = batches[-1][-1] if batches else None
        if last is not None and (last.parameters, last.split, last.n) == (row.parameters, row.split, row.n):
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def _row(row: PublishedRow, score: RuleScore, where: Split, asked: Split) -> dict[str, Any]:
    finite_ones = np.isfinite(score.fitness)
    ok = score.outcome is Outcome.ok
    value = (float(np.mean(score.fitness)) if row.statistic == "mean" else score.aggregate) if ok else None
    # The published figures are those of the training experiments, unless a row says where it belongs.
    comparable = row.split is not None or asked == "training"
    published = row.published if comparable else None
    known = recognise(score.rule, family_class(score.rule.task).known_rules())
    return {
        "rule": score.rule.text,
        "known_as": known.name if known else None,
        "published": published,
        "reimplemented": row.reimplemented if comparable else None,
        "aggregate": value,
        "ratio": value / published if value is not None and published else None,
        "fitness": [finite(float(item)) for item in score.fitness],
        "mean": score.summary()["mean"],
        "standard_error": score.summary()["standard_error"],
        "n": len(score.fitness),
        "split": where,
        "statistic": row.statistic,
        "parameters": dict(row.parameters),
        "outcome": score.outcome.value,
        "n_not_ok": int(np.sum(~finite_ones)),
        "mean_of_finite": float(np.mean(score.fitness[finite_ones])) if finite_ones.any() else None,
    }
