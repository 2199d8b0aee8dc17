"""The search of Jordan, Schmidt, Senn & Petrovici, eLife 10:e66273 (2021): (μ+λ) on Cartesian genomes, no crossover.

Parents are drawn by tournament (of one rule: evenly), each offspring is a mutated copy, offspring win ties, so that
silent mutations gather; there is one genome per expression. What differs from the publication: a behaviour is simulated
once, and generations in which nothing is to be simulated do not count (they take place within one `ask`).
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ruleforge.family import Outcome
from ruleforge.language.identity import behaviour
from ruleforge.language.rule import Rule
from ruleforge.language.tokens import Tokens
from ruleforge.search.cartesian import Cartesian, Genome
from ruleforge.search.grammar import RuleGrammar
from ruleforge.search.interface import Candidate, Generation, Judged
from ruleforge.search.ledger import Ledger, WithLedger
from ruleforge.spec import JobSpec

# How often an individual is drawn anew that the grammar forbids (too many nodes, say).
ATTEMPTS = 200
# Generations without anything to simulate that one question may go through.
MOST_SILENT = 200
# Expressions whose rule and identity are kept at hand.
REMEMBERED = 1000


@dataclass(frozen=True)
class Individual:
    """Genomes, one per hole, and the rule that they spell."""

    genomes: tuple[Genome, ...]
    candidate: Candidate


class Jordan2021(WithLedger):
    """See `Search`. The randomness of generation g is that of SeedSequence(seed, (0, g))."""

    def __init__(self, grammar: RuleGrammar, spec: JobSpec) -> None:
        self._grammar = grammar
        self._settings = spec.search
        self._seed = spec.seed
        self._fingerprints = spec.evaluator.fingerprints
        self._genomes = [
            Cartesian.of(hole, spec.search.columns, spec.search.levels_back) for hole in self._grammar.holes
        ]
        # Most mutations are silent: the same few expressions come again and again.
        self._identified = functools.lru_cache(REMEMBERED)(self._identify)
        self._ledger = Ledger()
        self._population: list[Individual] = []
        self._parents: list[Individual] = []  # of the offspring last asked for
        self._offspring: list[Individual] = []
        self._asked: list[Candidate] = []

    @property
    def living(self) -> tuple[Judged, ...]:
        """The rules of the population, best first, each once: copies of one rule may live together."""
        standing = self._ledger.standing
        return tuple({b: standing[b] for b in (item.candidate.behaviour for item in self._population)}.values())

    @property
    def survivors(self) -> tuple[Judged, ...]:
        """The rules that new ones compete with; only those whose outcome is ok."""
        return tuple(item for item in self.living if item.outcome is Outcome.ok)

    @property
    def n_survivors(self) -> int:
        """μ."""
        return self._settings.population

    def ask(self, at_most: int | None = None) -> list[Candidate]:
        """Candidates to be scored now, each behaviour once; at most so many of them are of new behaviours."""
        sequence = np.random.SeedSequence(self._seed, spawn_key=(0, self._ledger.generation))
        generator = random.Random(int.from_bytes(sequence.generate_state(8, np.uint32).tobytes(), "little"))
        self._parents, self._offspring, self._asked = list(self._population), [], []
        if at_most == 0:
            return []
        if not self._parents:
            self._offspring = self._cut([self._drawn(generator) for _ in range(self._settings.population)], at_most)
            return list(self._asked)
        for _ in range(MOST_SILENT):
            bred = [self._mutated(self._chosen(generator), generator) for _ in range(self._settings.offspring)]
            self._offspring = self._cut(bred, at_most)
            if self._asked:
                break
            self._parents = self._selected()
        return list(self._asked)

    def tell(
        self, scores: Sequence[tuple[float, Outcome]], cases: Sequence[Sequence[float]] | None = None
    ) -> Generation:
        """Take (fitness, outcome) of the candidates last asked for, in their order; `cases` are not looked at."""
        judged = self._ledger.enter(self._asked, scores)
        self._population = self._selected()
        summary = self._ledger.close(self._asked, judged, self.living, self.living)
        self._parents, self._offspring, self._asked = [], [], []
        return summary

    def state(self) -> dict[str, Any]:
        """Everything that the archive does not tell, JSON-ready."""
        members = [[item.candidate.behaviour, [list(genome) for genome in item.genomes]] for item in self._population]
        return {**self._ledger.state(), "population": members}

    def restore(self, state: dict[str, Any], archive: Iterable[Judged]) -> None:
        """Continue where `state` was taken; `archive` is everything judged until then, in order; it is read once."""
        self._ledger.restore(state, archive, [identity for identity, _ in state["population"]])
        self._population = []
        for identity, genomes in state["population"]:
            candidate = Candidate(self._ledger.standing[identity].rule, identity, "mutation")
            self._population.append(Individual(tuple(map(tuple, genomes)), candidate))
        self._parents, self._offspring, self._asked = [], [], []

    def _cut(self, bred: Sequence[Individual | None], at_most: int | None) -> list[Individual]:
        """The offspring as far as the budget reaches; those that are to be scored are noted."""
        kept: list[Individual] = []
        asked: dict[str, Candidate] = {}
        n_new = 0
        for item in bred:
            if item is None:
                continue
            kept.append(item)
            candidate = item.candidate
            if candidate.behaviour not in asked and self._ledger.is_worth_scoring(candidate):
                asked[candidate.behaviour] = candidate
                n_new += self._ledger.is_new(candidate.behaviour)
            if n_new == at_most:
                break
        self._asked = list(asked.values())
        return kept

    def _selected(self) -> list[Individual]:
        """The μ best of offspring and parents; at equal fitness offspring come first.

        An offspring that repeats a rule which has died does not compete: the rule was no better than those that live.
        """
        standing = self._ledger.standing
        pool = [item for item in [*self._offspring, *self._parents] if item.candidate.behaviour in standing]
        return sorted(pool, key=lambda item: -standing[item.candidate.behaviour].fitness)[: self._settings.population]

    def _chosen(self, generator: random.Random) -> Individual:
        """A parent by tournament; the population is ordered, best first."""
        return self._parents[min(generator.sample(range(len(self._parents)), self._tournament))]

    @property
    def _tournament(self) -> int:
        return min(self._settings.tournament, len(self._parents))

    def _drawn(self, generator: random.Random) -> Individual | None:
        for _ in range(ATTEMPTS):
            found = self._individual(tuple(g.random(generator) for g in self._genomes), "random", ())
            if found is not None:
                return found
        return None

    def _mutated(self, parent: Individual, generator: random.Random) -> Individual | None:
        rate = self._settings.mutation_rate
        standing = self._ledger.standing[parent.candidate.behaviour].rule.id
        for _ in range(ATTEMPTS):
            pairs = zip(self._genomes, parent.genomes, strict=True)
            genomes = tuple(kind.mutated(genome, rate, generator) for kind, genome in pairs)
            found = self._individual(genomes, "mutation", (standing,))
            if found is not None:
                return found
        return None

    def _individual(self, genomes: tuple[Genome, ...], origin: str, parents: tuple[str, ...]) -> Individual | None:
        """The individual of these genomes, None if the grammar forbids its rule."""
        expressions = []
        for kind, genome in zip(self._genomes, genomes, strict=True):
            expression = kind.expression(genome, self._grammar.max_complexity)
            if expression is None:
                return None
            expressions.append(expression)
        rule, identity = self._identified(tuple(expressions))
        return None if identity is None else Individual(genomes, Candidate(rule, identity, origin, parents))

    def _identify(self, expressions: tuple[Tokens, ...]) -> tuple[Rule, str | None]:
        """The rule of these expressions and its identity, None if the grammar forbids it."""
        rule = self._grammar.rule_of(expressions)
        if not self._grammar.allows(rule):
            return rule, None
        return rule, behaviour(rule) if self._fingerprints else rule.id
