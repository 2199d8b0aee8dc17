"""Who survives a generation, and who becomes a parent: the methods over rules as trees differ in nothing else."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from deap import base, tools

from ruleforge.family import Outcome
from ruleforge.search.interface import Judged


@dataclass(frozen=True)
class Member:
    """A rule of a population.

    cases: fitness per instance, () where the selection does not look at it.
    """

    judged: Judged
    cases: tuple[float, ...] = ()

    @property
    def ok(self) -> bool:
        """Scored to the end, with a finite fitness."""
        return self.judged.outcome is Outcome.ok


# (pool, size) → at most `size` of the pool, best first. The pool has each behaviour once, offspring before parents.
Survival = Callable[[Sequence[Member], int], list[Member]]
# (members, generator) → the place of a parent in a population that stands in the order of its survival.
Choice = Callable[[Sequence[Member], random.Random], int]


@dataclass(frozen=True)
class Selection:
    """One way of selecting, pure: what is drawn comes from the generator given.

    reads_cases: members keep their fitness per instance; share_to_beat: what part of a population, the best by fitness,
    a new rule is measured by in racing. Where simple rules live beside better ones, all of them would let everything
    pass.
    """

    survivors: Survival
    parent: Choice
    reads_cases: bool = False
    share_to_beat: float = 1.0


def truncation(pool: Sequence[Member], size: int) -> list[Member]:
    """The best by fitness; offspring win ties."""
    return sorted(pool, key=lambda member: -member.judged.fitness)[:size]


def fitness_of(member: Member) -> float:
    """To be maximised."""
    return member.judged.fitness


def simplicity_of(member: Member) -> float:
    """Minus the number of nodes: to be maximised."""
    return -float(member.judged.rule.complexity)


def pareto(*objectives: Callable[[Member], float]) -> Survival:
    """The fronts of several objectives, thinned where they are crowded (NSGA-II: Deb et al., IEEE TEC 6:182, 2002).

    Front by front; of the last one those with most room around them. What failed comes after everything.
    """

    def survivors(pool: Sequence[Member], size: int) -> list[Member]:
        fine = [_Weighed(member, objectives) for member in pool if member.ok]
        chosen: list[Any] = []
        for front in tools.sortNondominated(fine, min(size, len(fine))):
            tools.emo.assignCrowdingDist(front)
            chosen += sorted(front, key=lambda item: -item.fitness.crowding_dist)
        failed = [member for member in pool if not member.ok]
        return [*(item.member for item in chosen), *failed][:size]

    return survivors


class _Fitness(base.Fitness):  # type: ignore[misc]
    weights = (1.0, 1.0)


class _Weighed:
    """A member as DEAP's sorting wants it."""

    def __init__(self, member: Member, objectives: Sequence[Callable[[Member], float]]) -> None:
        self.member = member
        self.fitness = _Fitness([objective(member) for objective in objectives])


def tournament(size: int) -> Choice:
    """The best of so many drawn; the population is ordered, best first, so the smallest of their places wins."""

    def parent(members: Sequence[Member], generator: random.Random) -> int:
        return min(generator.randrange(len(members)) for _ in range(size))

    return parent


def lexicase(members: Sequence[Member], generator: random.Random) -> int:
    """ε-lexicase: instances in random order, each keeps those within ε of its best; of several left, one by chance.

    ε is the median absolute deviation of the instance's fitness over the population (La Cava, Spector & Danai, GECCO
    2016). Only rules with the fitness of every instance take part; one that racing gave up has none.
    """
    left = [place for place, member in enumerate(members) if member.ok]
    if not left:
        return generator.randrange(len(members))
    columns = list(zip(*(members[place].cases for place in left), strict=True))
    for case in generator.sample(range(len(columns)), len(columns)):
        best = max(members[place].cases[case] for place in left)
        limit = best - _deviation(columns[case])
        left = [place for place in left if members[place].cases[case] >= limit]
        if len(left) == 1:
            break
    return generator.choice(left)


def _deviation(values: Sequence[float]) -> float:
    middle = statistics.median(values)
    return statistics.median(abs(value - middle) for value in values)


def best_fitness(members: Sequence[Member]) -> float:
    """The highest, −∞ of none."""
    return max((member.judged.fitness for member in members), default=-math.inf)
