"""What counts as found, watched while a job runs: a fitness reached, or a named rule or one that is as good as it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ruleforge.family import Outcome, TaskFamily
from ruleforge.language.identity import Recogniser
from ruleforge.language.rule import Rule
from ruleforge.search import Generation, Judged
from ruleforge.statistics.searches import paired
from workers.evaluators import SerialEvaluator
from workers.evolve import SilentObserver
from workers.scoring import score_rules

# The instances on which a rule is compared with the named one; their seed is that of every job's validation.
N_PAIRED, PAIRED_SEED = 40, 0


class Goal(Protocol):
    """Something to be found."""

    @property
    def name(self) -> str:
        """As the tables call it."""

    def reached_by(self, item: Judged, is_best: bool) -> str | None:
        """Why this rule reaches it, or None; is_best: no rule before was as fit."""


@dataclass(frozen=True)
class AtLeast:
    """A training fitness."""

    fitness: float

    @property
    def name(self) -> str:
        """The fitness."""
        return f"training fitness ≥ {self.fitness:g}"

    def reached_by(self, item: Judged, is_best: bool) -> str | None:
        """It is that fit."""
        return "fitness" if item.fitness >= self.fitness else None


class AsGoodAs:
    """A named rule, or a positive multiple of it on the probe inputs, or one not worse by more than a standard error.

    The comparison is paired over N_PAIRED validation instances, and made for every rule that is the best so far.
    """

    def __init__(self, family: TaskFamily, known: str) -> None:
        self.name = known
        self._family, self._evaluator = family, SerialEvaluator()
        named = type(family).known_rules()[known]
        self._recogniser = Recogniser({known: named})
        self._keys = family.keys("validation", N_PAIRED, PAIRED_SEED)
        self._fitness = self._validated(named.rule)
        assert self._fitness is not None

    def _validated(self, rule: Rule) -> Sequence[float] | None:
        (score,) = score_rules(self._evaluator, self._family, [rule], self._keys)
        return score.fitness.tolist() if score.outcome is Outcome.ok else None

    def reached_by(self, item: Judged, is_best: bool) -> str | None:
        """It equals the named rule, or is as good."""
        if self._recogniser.recognise(item.rule) is not None:
            return "equal"
        if not is_best or (own := self._validated(item.rule)) is None:
            return None
        assert self._fitness is not None
        difference, error = paired(own, self._fitness)
        return f"as good: {difference:+.3g} ± {error:.2g}" if error is not None and difference >= -error else None


class Watch(SilentObserver):
    """Notes when each goal is reached: evaluations, seconds of the job (without this watching), the rule, and why."""

    def __init__(self, goals: Sequence[Goal]) -> None:
        self._goals = goals
        self._best = float("-inf")
        self._watching = 0.0
        self.found: dict[str, dict[str, Any]] = {}
        self.evaluations = 0
        self.seconds = 0.0
        self.generations = 0
        self.complexity = 0.0
        self.champion: Judged | None = None

    @property
    def done(self) -> bool:
        """Every goal is reached."""
        return len(self.found) == len(self._goals)

    def on_generation(self, generation: Generation, seconds: float) -> None:
        """A generation was committed."""
        start = time.monotonic()
        self.seconds, self.generations = seconds - self._watching, generation.number + 1
        for place, item in enumerate(generation.judged, 1):
            is_best = item.outcome is Outcome.ok and item.fitness > self._best
            if is_best:
                self._best, self.champion = item.fitness, item
            for goal in self._goals:
                if goal.name not in self.found and (why := goal.reached_by(item, is_best)):
                    self.found[goal.name] = {
                        "evaluations": min(self.evaluations + place, generation.evaluations),
                        "seconds": self.seconds,
                        "rule": item.rule.text,
                        "why": why,
                    }
        self.evaluations = generation.evaluations
        sizes = [item.rule.complexity for item in generation.judged]
        self.complexity = sum(sizes) / len(sizes) if sizes else self.complexity
        self._watching += time.monotonic() - start
