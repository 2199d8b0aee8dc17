"""The ask/tell seam between a search and whatever scores its candidates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ruleforge.family import Outcome
from ruleforge.language.rule import Rule

# What makes a candidate: the grammar's seed rules, the enumeration of small rules, chance,
# the variations of one or two rules, and the local search on the constants of one.
ORIGINS = ("seed", "small_rule", "random", "crossover", "mutation", "constants")


@dataclass(frozen=True)
class Candidate:
    """A rule to be scored, and where it came from.

    behaviour: the identity by which repeats are recognised; origin: what made it, one of ORIGINS; parents: ids of the
    rules that it was made of, in order (of a crossover first the one that took the part, then the one that gave it).
    """

    rule: Rule
    behaviour: str
    origin: str
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A scored rule; fitness is −∞ unless the outcome is ok."""

    rule: Rule
    behaviour: str
    fitness: float
    outcome: Outcome


@dataclass(frozen=True)
class Generation:
    """What one generation brought.

    number: counted from 0; judged: the candidates of this generation in ask order; candidates: the same as they were
    asked for, which tells their origin and parents; front: the rules not beaten in both fitness and complexity,
    simplest first; best, median: fitness of the champion, and median over the finite fitness of the population (None if
    there is none); evaluations: distinct behaviours simulated so far; history: digest over every generation's rules and
    fitness.
    """

    number: int
    judged: tuple[Judged, ...]
    candidates: tuple[Candidate, ...]
    front: tuple[Judged, ...]
    best: float | None
    median: float | None
    evaluations: int
    history: str


class Search(Protocol):
    """Proposes rules and learns from their fitness.

    `ask` may be called again before `tell` and gives the same answer: nothing changes until scores are told. The whole
    state is `state()` with the archive of everything judged; `restore` from both goes on bit for bit.
    """

    @property
    def evaluations(self) -> int:
        """Distinct behaviours that were judged."""

    @property
    def front(self) -> tuple[Judged, ...]:
        """The rules not beaten in both fitness and complexity, simplest first."""

    @property
    def exhausted(self) -> bool:
        """Nothing new has been found for so long that going on is no use."""

    @property
    def living(self) -> tuple[Judged, ...]:
        """The rules of all populations, each once, whatever their outcome."""

    @property
    def survivors(self) -> tuple[Judged, ...]:
        """The living rules that racing measures new ones by, each once; only those whose outcome is ok."""

    @property
    def n_survivors(self) -> int:
        """How many there are of these at most: a new rule has to be expected among so many best."""

    def ask(self, at_most: int | None = None) -> list[Candidate]:
        """Candidates to be scored now, each behaviour once; at most so many of them are of new behaviours."""

    def tell(
        self, scores: Sequence[tuple[float, Outcome]], cases: Sequence[Sequence[float]] | None = None
    ) -> Generation:
        """Take (fitness, outcome) of the candidates last asked for, in their order.

        cases: their fitness per instance, for the methods that look at it; only that of rules whose outcome is ok
        counts. Without racing every rule has one for each instance; a rule that racing gave up has not.
        """

    def state(self) -> dict[str, Any]:
        """All that is not in the archive, JSON-ready."""

    def restore(self, state: dict[str, Any], archive: Iterable[Judged]) -> None:
        """Continue where `state` was taken; `archive` is everything judged until then, in order; it is read once."""
