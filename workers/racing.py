"""Racing: few instances first, and only rules that may survive get the rest.

Each generation's candidates meet the survivors of the last one on the first instances. After each stage, those that
rank too low in the common pool are rejected. Everything that decides stands in the job's own history, so that the same
seed gives the same result, whatever the number of workers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ruleforge.family import InstanceKey, Outcome, TaskFamily
from ruleforge.language.rule import Rule
from workers.evaluators.interface import Evaluator, never
from workers.scoring import RuleScore, score_rules

# Shares of the instances at which rules are compared before the last one.
STAGES = (0.1, 0.3)
# How many of the pool go on, in multiples of the number that will survive.
PROMOTED = 1.25


@dataclass(frozen=True)
class Effort:
    """What scoring took: rules judged; simulations run (rule × instance) and those that full scoring would have run."""

    rules: int = 0
    simulations: int = 0
    full_simulations: int = 0
    rejected: int = 0

    def __add__(self, other: Effort) -> Effort:
        return Effort(
            self.rules + other.rules,
            self.simulations + other.simulations,
            self.full_simulations + other.full_simulations,
            self.rejected + other.rejected,
        )


def stages(n_instances: int, instances_per_batch: int) -> list[int]:
    """Numbers of instances after which rules are compared; whole batches, because a part of one costs as much."""
    ends = [math.ceil(share * n_instances / instances_per_batch) * instances_per_batch for share in STAGES]
    return sorted({min(end, n_instances) for end in ends} | {n_instances})


def race(
    evaluator: Evaluator,
    family: TaskFamily,
    rules: Sequence[Rule],
    keys: Sequence[InstanceKey],
    survivors: NDArray[np.float64],
    n_survivors: int,
    stop: Callable[[], bool] = never,
) -> tuple[list[RuleScore], Effort]:
    """Score rules, giving up those that cannot be expected among the n_survivors best.

    survivors: (n, n_instances) float64, the fitness of the rules that the candidates compete with. A rejected rule has
    outcome rejected_at_hurdle and fitness −∞, and records of the instances that it was simulated on.
    """
    n_promoted = math.ceil(PROMOTED * n_survivors)
    # Nobody who falls below the worst of a full field can survive.
    hurdle, floor = None, -math.inf
    if len(survivors) >= n_survivors:
        hurdle, floor = family.hurdle(survivors), min(map(family.aggregate, survivors))
    order = _order(family, survivors, len(keys))
    survivors = survivors[:, order]
    # Equal rules race once: copies of one would take places of the pool from others.
    distinct = list({rule.id: rule for rule in rules}.values())
    running = distinct
    scored: dict[str, RuleScore] = {}
    begin, simulations = 0, 0
    for end in stages(len(keys), family.instances_per_batch):
        chosen = [keys[place] for place in order[begin:end]]
        part = score_rules(evaluator, family, running, chosen, give_up_below=hurdle, stop=stop)
        simulations += len(running) * (end - begin)
        for score in part:
            before = scored.get(score.rule.id)
            scored[score.rule.id] = score if before is None else before.extended(family, score)
        running = [rule for rule in running if scored[rule.id].outcome is Outcome.ok]
        for rule in running:
            if family.ceiling(scored[rule.id].fitness) < floor:
                scored[rule.id] = scored[rule.id].rejected()
        running = [rule for rule in running if scored[rule.id].outcome is Outcome.ok]
        begin = end
        if end == len(keys):
            break
        field = [family.aggregate(row[:end]) for row in survivors]
        promoted = _promoted([scored[rule.id].aggregate for rule in running], field, n_promoted, family.rules_per_batch)
        for place, rule in enumerate(running):
            if place not in promoted:
                scored[rule.id] = scored[rule.id].rejected()
        running = [rule for place, rule in enumerate(running) if place in promoted]
    rejected = sum(score.outcome is Outcome.rejected_at_hurdle for score in scored.values())
    effort = Effort(len(distinct), simulations, len(distinct) * len(keys), rejected)
    ordered = {id: score.in_order(family, keys) for id, score in scored.items()}
    return [replace(ordered[rule.id], rule=rule) for rule in rules], effort


def _order(family: TaskFamily, survivors: NDArray[np.float64], n_instances: int) -> list[int]:
    """The places of the instances in the order in which they are simulated.

    Where one bad instance decides about a rule, those on which the survivors are worst come first.
    """
    if len(survivors) and family.ceiling(survivors[0]) < math.inf:
        return [int(place) for place in np.argsort(survivors.mean(axis=0), kind="stable")]
    return list(range(n_instances))


def _promoted(candidates: Sequence[float], field: Sequence[float], n_promoted: int, per_batch: int) -> set[int]:
    """Which candidates go on: those among the n_promoted best of the pool, cut to whole batches if they fill one.

    A batch that is begun costs as much as a full one. Of equal candidates the earlier goes on.
    """
    places = sorted([*field, *candidates], reverse=True)
    limit = places[n_promoted - 1] if len(places) >= n_promoted else -math.inf
    ranked = sorted(range(len(candidates)), key=lambda place: -candidates[place])
    chosen = [place for place in ranked if candidates[place] >= limit]
    return set(chosen[: max(len(chosen) // per_batch, 1) * per_batch])
