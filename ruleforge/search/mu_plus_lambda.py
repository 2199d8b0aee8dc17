"""(μ+λ) evolution of rules: parents and offspring compete, offspring win ties, each behaviour lives once."""

from __future__ import annotations

import hashlib
import json
import math
import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ruleforge.errors import InputError
from ruleforge.family import Outcome
from ruleforge.language.identity import behaviour
from ruleforge.language.rule import Rule
from ruleforge.search.grammar import RuleGrammar
from ruleforge.search.interface import Candidate, Generation, Judged
from ruleforge.search.seen import Seen
from ruleforge.search.small_rules import SmallRules
from ruleforge.search.variation import Variation
from ruleforge.spec import JobSpec

# How often a place among the offspring is drawn anew before a repeat of a known behaviour is accepted.
ATTEMPTS = 50
# Generations without any new behaviour after which the grammar counts as searched through.
EXHAUSTED_AFTER = 20


class MuPlusLambda:
    """See `Search`. The randomness of generation g comes from SeedSequence(seed, spawn_key=(island, g)) alone."""

    def __init__(self, grammar: RuleGrammar, spec: JobSpec) -> None:
        self._grammar = grammar
        self._settings = spec.search
        self._seed = spec.seed
        self._fingerprints = spec.evaluator.fingerprints
        self._seed_rules = [Rule.parse(text, grammar.family) for text in spec.grammar.seed_rules]
        self._small = SmallRules(grammar, spec.seed) if spec.search.small_rules > 0 else None
        self._position = 0  # in the small rules: the next one to be tried
        self._position_asked = 0
        self._seen = Seen()  # all behaviours that were ever judged
        self._population: list[Judged] = []
        self._standing: dict[str, Judged] = {}  # by behaviour, what stands for it: of population and front
        self._worse_forms: dict[str, set[str]] = {}  # by behaviour of the front, forms that did worse than it
        self._generation = 0
        self._idle = 0
        self._history = ""
        self._asked: list[Candidate] = []
        self._offspring: list[Candidate] = []
        self.evaluations = 0
        self.front: tuple[Judged, ...] = ()

    @property
    def exhausted(self) -> bool:
        """No new behaviour has been found for many generations."""
        return self._idle >= EXHAUSTED_AFTER

    @property
    def survivors(self) -> tuple[Judged, ...]:
        """The rules that new ones compete with, best first; only those whose outcome is ok."""
        return tuple(item for item in self._population if item.outcome is Outcome.ok)

    @property
    def n_survivors(self) -> int:
        """μ."""
        return self._settings.population

    def ask(self, at_most: int | None = None) -> list[Candidate]:
        """Candidates to be scored now, each behaviour once; at most so many of them are of new behaviours."""
        sequence = np.random.SeedSequence(self._seed, spawn_key=(0, self._generation))
        generator = random.Random(int.from_bytes(sequence.generate_state(8, np.uint32).tobytes(), "little"))
        variation = Variation(self._grammar, generator)
        seeds = [] if self._generation else list(self._seed_rules)
        wanted = self._settings.offspring
        if not self._population:
            wanted = max(wanted, self._settings.population, len(seeds))
        parents = [self._grammar.to_trees(judged.rule) for judged in self._population]
        offspring: dict[str, Candidate] = {}
        asked: dict[str, Candidate] = {}
        n_new = 0
        n_small = round(wanted * self._settings.small_rules) if self._population else wanted
        self._position_asked = self._position
        for place in range(wanted):
            if at_most is not None and n_new >= at_most:
                break
            if place < len(seeds):
                candidate = self._seed_rule(seeds[place], offspring)
            else:
                candidate = self._small_rule(offspring) if place < n_small else None
                candidate = candidate or self._draw(variation, parents, offspring)
            if candidate is None:
                continue
            offspring[candidate.behaviour] = candidate
            if candidate.behaviour not in self._seen:
                n_new += 1
                asked[candidate.behaviour] = candidate
            elif self._is_shorter_form(candidate):
                asked[candidate.behaviour] = candidate
        self._offspring, self._asked = list(offspring.values()), list(asked.values())
        return list(self._asked)

    def tell(self, scores: Sequence[tuple[float, Outcome]]) -> Generation:
        """Take (fitness, outcome) of the candidates last asked for, in their order."""
        if len(scores) != len(self._asked):
            raise InputError(f"{len(self._asked)} candidates were asked for, and {len(scores)} scores came")
        judged = [_judged(candidate, *score) for candidate, score in zip(self._asked, scores, strict=True)]
        n_new = sum(item.behaviour not in self._seen for item in judged)
        for item in judged:
            self._keep(item)
        self.evaluations += n_new
        self._idle = 0 if n_new else self._idle + 1
        self.front = _front([*self.front, *judged], self._standing)
        self._population = self._survivors()
        self._forget()
        self._history = _digest(self._history, judged)
        finite = [item.fitness for item in self._population if item.outcome is Outcome.ok]
        summary = Generation(
            number=self._generation,
            judged=tuple(judged),
            candidates=tuple(self._asked),
            front=self.front,
            best=max((item.fitness for item in self.front), default=None),
            median=statistics.median(finite) if finite else None,
            evaluations=self.evaluations,
            history=self._history,
        )
        self._generation += 1
        self._position = self._position_asked
        self._asked, self._offspring = [], []
        return summary

    def state(self) -> dict[str, Any]:
        """Generation, survivors by behaviour, counters and history; the rest stands in the archive."""
        return {
            "generation": self._generation,
            "population": [item.behaviour for item in self._population],
            "front": [item.behaviour for item in self.front],
            "evaluations": self.evaluations,
            "idle": self._idle,
            "position": self._position,
            "history": self._history,
        }

    def restore(self, state: dict[str, Any], archive: Iterable[Judged]) -> None:
        """Continue where `state` was taken; `archive` is everything judged until then, in order; it is read once."""
        self._seen, self._standing, self._worse_forms = Seen(), {}, {}
        self._asked, self._offspring = [], []
        kept = {*state["front"], *state["population"]}
        for item in archive:
            if item.behaviour in kept:
                self._keep(item)
            else:
                self._seen.add(item.behaviour)
        self.front = tuple(self._standing[identity] for identity in state["front"])
        self._generation, self.evaluations = state["generation"], state["evaluations"]
        self._idle, self._history, self._position = state["idle"], state["history"], state["position"]
        self._population = [self._standing[identity] for identity in state["population"]]
        self._forget()

    def _keep(self, judged: Judged) -> None:
        """Let a rule stand for its behaviour, unless another form of it that did better does so already."""
        self._seen.add(judged.behaviour)
        known = self._standing.get(judged.behaviour)
        if known is None or judged.fitness >= known.fitness:
            self._standing[judged.behaviour] = judged
        else:
            self._worse_forms.setdefault(judged.behaviour, set()).add(judged.rule.id)

    def _forget(self) -> None:
        """Let go of every rule that neither lives nor stands on the front: it cannot come back."""
        self._standing = {item.behaviour: item for item in [*self._population, *self.front]}
        on_front = {item.behaviour for item in self.front}
        self._worse_forms = {identity: forms for identity, forms in self._worse_forms.items() if identity in on_front}

    def _seed_rule(self, rule: Rule, taken: Mapping[str, Candidate]) -> Candidate | None:
        candidate = Candidate(rule, self._identity(rule), "seed")
        return None if candidate.behaviour in taken else candidate

    def _small_rule(self, taken: Mapping[str, Candidate]) -> Candidate | None:
        """The next small rule of a behaviour not yet known; None when they are used up."""
        while self._small is not None and self._position_asked < len(self._small):
            rule = self._grammar.rule_of(self._small.expressions_at(self._position_asked))
            self._position_asked += 1
            if not self._grammar.allows(rule):
                continue
            candidate = Candidate(rule, self._identity(rule), "small_rule")
            if candidate.behaviour not in taken and candidate.behaviour not in self._seen:
                return candidate
        return None

    def _draw(self, variation: Variation, parents: list[Any], taken: Mapping[str, Candidate]) -> Candidate | None:
        """One offspring of a behaviour not yet known, if some attempts find one; else a known one, or None."""
        repeat: Candidate | None = None
        for _ in range(ATTEMPTS):
            individual, origin, of = self._vary(variation, parents)
            rule = self._grammar.to_rule(individual)
            if not self._grammar.allows(rule):
                continue
            candidate = Candidate(rule, self._identity(rule), origin, tuple(self._population[n].rule.id for n in of))
            if candidate.behaviour in taken:
                continue
            if candidate.behaviour not in self._seen or self._is_shorter_form(candidate):
                return candidate
            repeat = repeat or candidate
        return repeat

    def _vary(self, variation: Variation, parents: list[Any]) -> tuple[list[Any], str, list[int]]:
        """A new individual, its origin, and the places of its parents in the population."""
        generator = variation.generator
        if not parents:
            return variation.random_individual(), "random", []
        if generator.random() < self._settings.crossover:
            first, second = self._choose(generator), self._choose(generator)
            return variation.crossed(parents[first], parents[second]), "crossover", [first, second]
        place = self._choose(generator)
        return variation.mutated(parents[place]), "mutation", [place]

    def _choose(self, generator: random.Random) -> int:
        """Tournament: the population is ordered, best first, so the smallest index wins."""
        return min(generator.randrange(len(self._population)) for _ in range(self._settings.tournament))

    def _identity(self, rule: Rule) -> str:
        return behaviour(rule) if self._fingerprints else rule.id

    def _is_shorter_form(self, candidate: Candidate) -> bool:
        """Simpler than what stands for its behaviour on the front: worth scoring, for its text is what people read.

        Once only: a form that did worse, because the probe inputs missed a pole, is not tried again.
        """
        known = next((item for item in self.front if item.behaviour == candidate.behaviour), None)
        if known is None or candidate.rule.complexity >= known.rule.complexity:
            return False
        return candidate.rule.id not in self._worse_forms.get(candidate.behaviour, ())

    def _survivors(self) -> list[Judged]:
        """The μ best of offspring and parents, each behaviour once; at equal fitness offspring come first.

        An offspring that repeats a rule which has died is not among them: the rule was no better than those that live.
        """
        places = [*(item.behaviour for item in self._offspring), *(item.behaviour for item in self._population)]
        pool = {identity: self._standing[identity] for identity in places if identity in self._standing}
        ranked = sorted(pool.values(), key=lambda item: -item.fitness)
        return ranked[: self._settings.population]


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
