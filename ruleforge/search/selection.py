"""Who survives a generation, and who becomes a parent: the methods over rules as trees differ in nothing else."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from deap import base, tools

from ruleforge.family import Outcome
from ruleforge.search.interface import Judged


@dataclass(frozen=True)
class Member:
    """A rule of a population.

    age: generations since the oldest of its ancestors was made by chance, 0 where that is not followed; cases: fitness
    per instance, () where the selection does not look at it.
    """

    judged: Judged
    age: int = 0
    cases: tuple[float, ...] = ()

    @property
    def ok(self) -> bool:
        """Scored to the end, with a finite fitness."""
        return self.judged.outcome is Outcome.ok


class Selection(Protocol):
    """One way of choosing. Pure: what is drawn comes from the generator given."""

    @property
    def follows_age(self) -> bool:
        """Members grow older."""

    @property
    def reads_cases(self) -> bool:
        """Members keep their fitness per instance."""

    @property
    def newcomers(self) -> int:
        """How many rules by chance every generation has."""

    def survivors(self, pool: Sequence[Member], size: int) -> list[Member]:
        """At most `size` of the pool, best first. The pool has each behaviour once, offspring before parents."""

    def parent(self, members: Sequence[Member], generator: random.Random) -> int:
        """The place of a parent in the population, which is in the order that `survivors` gave it."""


@dataclass(frozen=True)
class Truncation:
    """The best by fitness; offspring win ties. Parents by tournament."""

    tournament: int
    follows_age: bool = False
    reads_cases: bool = False
    newcomers: int = 0

    def survivors(self, pool: Sequence[Member], size: int) -> list[Member]:
        """The best by fitness."""
        return sorted(pool, key=lambda member: -member.judged.fitness)[:size]

    def parent(self, members: Sequence[Member], generator: random.Random) -> int:
        """The population is ordered, best first, so the smallest of the places drawn wins."""
        return min(generator.randrange(len(members)) for _ in range(self.tournament))


def fitness_of(member: Member) -> float:
    """To be maximised."""
    return member.judged.fitness


def simplicity_of(member: Member) -> float:
    """Minus the number of nodes: to be maximised."""
    return -float(member.judged.rule.complexity)


def youth_of(member: Member) -> float:
    """Minus the age: to be maximised."""
    return -float(member.age)


@dataclass(frozen=True)
class Pareto:
    """The fronts of several objectives, thinned where they are crowded (NSGA-II: Deb et al., IEEE TEC 6:182, 2002).

    With fitness and youth, and a newcomer in each generation: age-fitness Pareto optimisation (Schmidt & Lipson 2011).
    """

    tournament: int
    objectives: tuple[Callable[[Member], float], ...]
    follows_age: bool = False
    newcomers: int = 0
    reads_cases: bool = False

    def survivors(self, pool: Sequence[Member], size: int) -> list[Member]:
        """Front by front; of the last one those with most room around them. What failed comes after everything."""
        fine = [_Weighed(member, self.objectives) for member in pool if member.ok]
        chosen: list[Any] = []
        for front in tools.sortNondominated(fine, min(size, len(fine))):
            tools.emo.assignCrowdingDist(front)
            chosen += sorted(front, key=lambda item: -item.fitness.crowding_dist)
        failed = [member for member in pool if not member.ok]
        return [*(item.member for item in chosen), *failed][:size]

    def parent(self, members: Sequence[Member], generator: random.Random) -> int:
        """A tournament by front and room, in which order the population stands."""
        return min(generator.randrange(len(members)) for _ in range(self.tournament))


class _Fitness(base.Fitness):  # type: ignore[misc]
    weights = (1.0, 1.0)


class _Weighed:
    """A member as DEAP's sorting wants it."""

    def __init__(self, member: Member, objectives: Sequence[Callable[[Member], float]]) -> None:
        self.member = member
        self.fitness = _Fitness([objective(member) for objective in objectives])


@dataclass(frozen=True)
class Lexicase:
    """Parents by ε-lexicase: instances in random order, each keeps those within ε of its best.

    ε is the median absolute deviation of the instance's fitness over the population (La Cava, Spector & Danai, GECCO
    2016). Survivors as in truncation. Only rules with the fitness of every instance take part; one that racing gave up
    has none.
    """

    follows_age: bool = False
    reads_cases: bool = True
    newcomers: int = 0

    def survivors(self, pool: Sequence[Member], size: int) -> list[Member]:
        """The best by fitness."""
        return sorted(pool, key=lambda member: -member.judged.fitness)[:size]

    def parent(self, members: Sequence[Member], generator: random.Random) -> int:
        """The one that is left when all instances have been asked; of several, one by chance."""
        left = [place for place, member in enumerate(members) if member.ok and member.cases]
        if not left:
            return generator.randrange(len(members))
        columns = list(zip(*(members[place].cases for place in left), strict=True))
        values = {place: members[place].cases for place in left}
        for case in generator.sample(range(len(columns)), len(columns)):
            limit = max(values[place][case] for place in left) - _deviation(columns[case])
            left = [place for place in left if values[place][case] >= limit]
            if len(left) == 1:
                break
        return generator.choice(left)


def _deviation(values: Sequence[float]) -> float:
    middle = statistics.median(values)
    return statistics.median(abs(value - middle) for value in values)


def best_fitness(members: Sequence[Member]) -> float:
    """The highest, −∞ of none."""
    return max((member.judged.fitness for member in members), default=-math.inf)
