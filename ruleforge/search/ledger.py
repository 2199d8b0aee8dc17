"""What every search keeps: which behaviours were judged, what stands for those that count, the front, the history."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ruleforge.errors import InputError
from ruleforge.family import Outcome
from ruleforge.search.interface import Candidate, Generation, Judged
from ruleforge.search.seen import Seen

# Generations without any new behaviour after which the grammar counts as searched through.
EXHAUSTED_AFTER = 20


class Ledger:
    """The books of one search. `standing`: by behaviour, the rules that live and those of the front, no others."""

    def __init__(self) -> None:
        self._seen = Seen()
        self._worse_forms: dict[str, set[str]] = {}  # by behaviour of the front, forms that did worse than it
        self._idle = 0
        self._history = ""
        self.standing: dict[str, Judged] = {}
        self.front: tuple[Judged, ...] = ()
        self.evaluations = 0
        self.generation = 0

    @property
    def exhausted(self) -> bool:
        """No new behaviour has been found for many generations."""
        return self._idle >= EXHAUSTED_AFTER

    def is_new(self, behaviour: str) -> bool:
        """Never judged."""
        return behaviour not in self._seen

    def is_shorter_form(self, candidate: Candidate) -> bool:
        """Simpler than what stands for its behaviour on the front: worth scoring, for its text is what people read.

        Once only: a form that did worse, because the probe inputs missed a pole, is not tried again.
        """
        known = next((item for item in self.front if item.behaviour == candidate.behaviour), None)
        if known is None or candidate.rule.complexity >= known.rule.complexity:
            return False
        return candidate.rule.id not in self._worse_forms.get(candidate.behaviour, ())

    def is_worth_scoring(self, candidate: Candidate) -> bool:
        """New, or a shorter form of a rule of the front."""
        return self.is_new(candidate.behaviour) or self.is_shorter_form(candidate)

    def enter(self, asked: Sequence[Candidate], scores: Sequence[tuple[float, Outcome]]) -> list[Judged]:
        """Take the scores of the candidates; afterwards `close` the generation."""
        if len(scores) != len(asked):
            raise InputError(f"{len(asked)} candidates were asked for, and {len(scores)} scores came")
        judged = [_judged(candidate, *score) for candidate, score in zip(asked, scores, strict=True)]
        n_new = sum(self.is_new(item.behaviour) for item in judged)
        for item in judged:
            self._keep(item)
        self.evaluations += n_new
        self._idle = 0 if n_new else self._idle + 1
        self.front = _front([*self.front, *judged], self.standing)
        self._history = _digest(self._history, judged)
        return judged

    def close(
        self,
        asked: Sequence[Candidate],
        judged: Sequence[Judged],
        survivors: Sequence[Judged],
        living: Sequence[Judged],
    ) -> Generation:
        """End the generation: what neither lives nor stands on the front is let go, for it cannot come back.

        survivors: of this generation; living: those of them that the next one begins with.
        """
        self._forget(living)
        finite = [item.fitness for item in survivors if item.outcome is Outcome.ok]
        summary = Generation(
            number=self.generation,
            judged=tuple(judged),
            candidates=tuple(asked),
            front=self.front,
            best=max((item.fitness for item in self.front), default=None),
            median=statistics.median(finite) if finite else None,
            evaluations=self.evaluations,
            history=self._history,
        )
        self.generation += 1
        return summary

    def state(self) -> dict[str, Any]:
        """Counters, history and the front by behaviour, JSON-ready."""
        return {
            "generation": self.generation,
            "front": [item.behaviour for item in self.front],
            "evaluations": self.evaluations,
            "idle": self._idle,
            "history": self._history,
        }

    def restore(self, state: Mapping[str, Any], archive: Iterable[Judged], living: Iterable[str]) -> None:
        """Continue where `state` was taken; living: behaviours of the rules that lived; `archive` is read once."""
        self._seen, self.standing, self._worse_forms = Seen(), {}, {}
        kept = {*state["front"], *living}
        for item in archive:
            if item.behaviour in kept:
                self._keep(item)
            else:
                self._seen.add(item.behaviour)
        self.front = tuple(self.standing[identity] for identity in state["front"])
        self.generation, self.evaluations = state["generation"], state["evaluations"]
        self._idle, self._history = state["idle"], state["history"]
        self._forget([self.standing[identity] for identity in living])

    def _keep(self, judged: Judged) -> None:
        """Let a rule stand for its behaviour, unless another form of it that did better does so already."""
        self._seen.add(judged.behaviour)
        known = self.standing.get(judged.behaviour)
        if known is None or judged.fitness >= known.fitness:
            self.standing[judged.behaviour] = judged
        else:
            self._worse_forms.setdefault(judged.behaviour, set()).add(judged.rule.id)

    def _forget(self, living: Sequence[Judged]) -> None:
        self.standing = {item.behaviour: item for item in [*living, *self.front]}
        on_front = {item.behaviour for item in self.front}
        self._worse_forms = {identity: forms for identity, forms in self._worse_forms.items() if identity in on_front}


def _judged(candidate: Candidate, fitness: float, outcome: Outcome) -> Judged:
    if outcome is Outcome.ok and not math.isfinite(fitness):
        outcome = Outcome.non_finite
    return Judged(candidate.rule, candidate.behaviour, fitness if outcome is Outcome.ok else -math.inf, outcome)


def _front(judged: Iterable[Judged], known: Mapping[str, Judged]) -> tuple[Judged, ...]:
    """The rules that no other beats in complexity and fitness, simplest first; of equal ones the first.

    Each behaviour once, in the form that stands for it.
    """
    best: list[Judged] = []
    standing = {item.behaviour: known[item.behaviour] for item in judged}
    for item in sorted(standing.values(), key=lambda item: (item.rule.complexity, -item.fitness)):
        if item.outcome is Outcome.ok and (not best or item.fitness > best[-1].fitness):
            best.append(item)
    return tuple(best)


def _digest(previous: str, judged: Iterable[Judged]) -> str:
    content = [previous, [[item.rule.text, item.fitness.hex(), item.outcome.value] for item in judged]]
    return hashlib.blake2b(json.dumps(content, separators=(",", ":")).encode(), digest_size=16).hexdigest()


class WithLedger:
    """What every search says from its ledger, see `Search`."""

    _ledger: Ledger

    @property
    def evaluations(self) -> int:
        """Distinct behaviours that were judged."""
        return self._ledger.evaluations

    @property
    def front(self) -> tuple[Judged, ...]:
        """The rules not beaten in both fitness and complexity, simplest first."""
        return self._ledger.front

    @property
    def exhausted(self) -> bool:
        """No new behaviour has been found for many generations."""
        return self._ledger.exhausted
