"""Evolution of rules as trees: parents and offspring compete, each behaviour lives once, on one island or several."""

from __future__ import annotations

import math
import random
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ruleforge.errors import InputError
from ruleforge.family import Outcome
from ruleforge.language.identity import behaviour
from ruleforge.language.rule import Rule
from ruleforge.search.constants import StepSize, tuned
from ruleforge.search.grammar import RuleGrammar
from ruleforge.search.interface import Candidate, Generation, Judged
from ruleforge.search.ledger import Ledger, WithLedger
from ruleforge.search.selection import Member, Selection, best_fitness
from ruleforge.search.small_rules import SmallRules
from ruleforge.search.variation import Individual, Variation
from ruleforge.spec import JobSpec

# How often a place among the offspring is drawn anew while all that comes is known.
ATTEMPTS = 50
# How often then with further mutations, one more each time, before a repeat of a known behaviour is accepted.
FURTHER_ATTEMPTS = 5


@dataclass(frozen=True)
class Island:
    """A population, best first; `best`: its highest fitness since it began; `idle`: generations since that rose."""

    members: tuple[Member, ...] = ()
    best: float = -math.inf
    idle: int = 0


@dataclass(frozen=True)
class _Offspring:
    """A candidate, and the fitness of its (first) parent."""

    candidate: Candidate
    to_beat: float = -math.inf


class Evolution(WithLedger):
    """See `Search`. The randomness of an island's generation is that of SeedSequence(seed, (island, generation))."""

    def __init__(self, grammar: RuleGrammar, spec: JobSpec, selection: Selection) -> None:
        self._grammar = grammar
        self._settings = spec.search
        self._seed = spec.seed
        self._selection = selection
        self._fingerprints = spec.evaluator.fingerprints
        self._seed_rules = [Rule.parse(text, grammar.family) for text in spec.grammar.seed_rules]
        self._small = SmallRules(grammar, spec.seed) if spec.search.small_rules > 0 else None
        self._position = 0  # in the small rules: the next one to be tried
        self._position_asked = 0
        self._step = StepSize()
        self._ledger = Ledger()
        self._islands = [Island() for _ in range(self._settings.islands)]
        self._asked: list[Candidate] = []
        self._offspring: list[list[_Offspring]] = [[] for _ in self._islands]

    @property
    def living(self) -> tuple[Judged, ...]:
        """The rules of all islands, each once; those of an island best first."""
        return tuple({m.judged.behaviour: m.judged for island in self._islands for m in island.members}.values())

    @property
    def survivors(self) -> tuple[Judged, ...]:
        """The living rules that racing measures new ones by: of each island the best, as far as they are ok."""
        best: dict[str, Judged] = {}
        for island in self._islands:
            fine = sorted((m.judged for m in island.members if m.ok), key=lambda item: -item.fitness)
            best |= {item.behaviour: item for item in fine[: self._n_to_beat]}
        return tuple(best.values())

    @property
    def n_survivors(self) -> int:
        """As many, over all islands."""
        return self._n_to_beat * len(self._islands)

    @property
    def _n_to_beat(self) -> int:
        return math.ceil(self._selection.share_to_beat * self._settings.population)

    def ask(self, at_most: int | None = None) -> list[Candidate]:
        """Candidates to be scored now, each behaviour once; at most so many of them are of new behaviours."""
        self._position_asked = self._position
        self._asked, self._offspring = [], [[] for _ in self._islands]
        taken: set[str] = set()
        n_new = 0
        for number, island in enumerate(self._islands):
            if n_new == at_most:
                break
            for item in self._proposals(number, island, taken):
                candidate = item.candidate
                taken.add(candidate.behaviour)
                self._offspring[number].append(item)
                if self._ledger.is_worth_scoring(candidate):
                    n_new += self._ledger.is_new(candidate.behaviour)
                    self._asked.append(candidate)
                if n_new == at_most:
                    break
        return list(self._asked)

    def tell(
        self, scores: Sequence[tuple[float, Outcome]], cases: Sequence[Sequence[float]] | None = None
    ) -> Generation:
        """Take (fitness, outcome) of the candidates last asked for, and their fitness per instance, in their order."""
        asked = self._asked
        if self._selection.reads_cases and (cases is None or len(cases) != len(scores)):
            method = self._settings.method
            raise InputError(f"{method} chooses by the fitness of single instances: tell it those of each candidate")
        judged = self._ledger.enter(asked, scores)
        kept = zip(judged, cases, strict=True) if self._selection.reads_cases and cases is not None else ()
        rows = {item.behaviour: tuple(map(float, row)) for item, row in kept if item.outcome is Outcome.ok}
        tuned_ones = [item for group in self._offspring for item in group if item.candidate.origin == "constants"]
        self._step = self._step.after(
            sum(self._standing(item).fitness > item.to_beat for item in tuned_ones), len(tuned_ones)
        )
        before = {m.judged.behaviour: m for island in self._islands for m in island.members}
        self._islands = [
            self._next(island, offspring, before, rows)
            for island, offspring in zip(self._islands, self._offspring, strict=True)
        ]
        if (self._ledger.generation + 1) % self._settings.migration_interval == 0:
            self._migrate()
        survivors = self.living
        self._islands = [self._restarted(island) for island in self._islands]
        summary = self._ledger.close(asked, judged, survivors, self.living)
        self._position = self._position_asked
        self._asked, self._offspring = [], [[] for _ in self._islands]
        return summary

    def state(self) -> dict[str, Any]:
        """Everything that the archive does not tell, JSON-ready."""
        return {
            **self._ledger.state(),
            "position": self._position,
            "step": self._step.size,
            "islands": [
                {
                    "members": [[m.judged.behaviour, list(m.cases)] for m in island.members],
                    "best": island.best if math.isfinite(island.best) else None,
                    "idle": island.idle,
                }
                for island in self._islands
            ],
        }

    def restore(self, state: dict[str, Any], archive: Iterable[Judged]) -> None:
        """Continue where `state` was taken; `archive` is everything judged until then, in order; it is read once."""
        living = [identity for island in state["islands"] for identity, _ in island["members"]]
        self._ledger.restore(state, archive, living)
        self._position, self._step = state["position"], StepSize(state["step"])
        self._islands = [
            Island(
                tuple(Member(self._ledger.standing[b], tuple(cases)) for b, cases in island["members"]),
                -math.inf if island["best"] is None else island["best"],
                island["idle"],
            )
            for island in state["islands"]
        ]
        self._asked, self._offspring = [], [[] for _ in self._islands]

    def _proposals(self, number: int, island: Island, taken: Container[str]) -> Iterator[_Offspring]:
        """The offspring of one island, each of a behaviour not yet `taken`; fewer than wanted if none can be found."""
        settings, generation = self._settings, self._ledger.generation
        sequence = np.random.SeedSequence(self._seed, spawn_key=(number, generation))
        generator = random.Random(int.from_bytes(sequence.generate_state(8, np.uint32).tobytes(), "little"))
        variation = Variation(self._grammar, generator)
        members = island.members
        parents = [self._grammar.to_trees(member.judged.rule) for member in members]
        seeds = self._seed_rules if number == generation == 0 else []
        wanted, n_small, n_tuned = settings.offspring, 0, 0
        if members:
            n_tuned = round(wanted * settings.tuned)
            n_small = round(wanted * settings.small_rules)
            if self._small is not None:  # what can be the whole rule is tried before anything is made of it
                essential = self._small.n_essential - self._position_asked
                n_small = max(n_small, min(essential, wanted - n_tuned))
        else:
            n_small = wanted = max(wanted, settings.population, len(seeds))
        for place in range(wanted):
            found: _Offspring | None = None
            if place < len(seeds):
                candidate = Candidate(seeds[place], self._identity(seeds[place]), "seed")
                found = None if candidate.behaviour in taken else _Offspring(candidate)
                if found is not None:
                    yield found
                continue
            if place < n_small:
                found = self._small_rule(taken)
            elif place >= wanted - n_tuned:
                found = self._tuned(variation, members, parents, taken)
            found = found or self._drawn(variation, members, parents, taken)
            if found is not None:
                yield found

    def _small_rule(self, taken: Container[str]) -> _Offspring | None:
        """The next small rule of a behaviour not yet known; None when they are used up."""
        while self._small is not None and self._position_asked < len(self._small):
            rule = self._grammar.rule_of(self._small.expressions_at(self._position_asked))
            self._position_asked += 1
            if not self._grammar.allows(rule):
                continue
            candidate = Candidate(rule, self._identity(rule), "small_rule")
            if candidate.behaviour not in taken and self._ledger.is_new(candidate.behaviour):
                return _Offspring(candidate)
        return None

    def _drawn(
        self, variation: Variation, members: Sequence[Member], parents: list[Individual], taken: Container[str]
    ) -> _Offspring | None:
        """One offspring of a behaviour not yet known, if some attempts find one; else a known one, or None.

        Where the neighbours of the parents are known, as those of simple rules soon are, it goes further away.
        """
        repeat: _Offspring | None = None
        for attempt in range(ATTEMPTS + FURTHER_ATTEMPTS):
            individual, origin, of = self._varied(variation, members, parents)
            for _ in range(attempt - ATTEMPTS + 1):
                individual = variation.mutated(individual)
            found = self._allowed(individual, origin, [members[place] for place in of], taken)
            if found is None:
                continue
            if self._ledger.is_worth_scoring(found.candidate):
                return found
            repeat = repeat or found
        return repeat

    def _tuned(
        self, variation: Variation, members: Sequence[Member], parents: list[Individual], taken: Container[str]
    ) -> _Offspring | None:
        """One of the best rules with other constants; None if they have none, or nothing new is found."""
        for _ in range(ATTEMPTS):
            place = variation.generator.randrange(min(len(members), self._settings.tuned_rules))
            individual = tuned(
                parents[place], self._grammar.holes, self._step, variation.generator, self._settings.tuned_gain
            )
            if individual is None:
                continue
            found = self._allowed(individual, "constants", [members[place]], taken)
            if found is not None and self._ledger.is_new(found.candidate.behaviour):
                return found
        return None

    def _allowed(
        self, individual: Individual, origin: str, parents: Sequence[Member], taken: Container[str]
    ) -> _Offspring | None:
        """The offspring that these trees spell, unless the grammar forbids it or this generation has it already."""
        rule = self._grammar.to_rule(individual)
        if not self._grammar.allows(rule):
            return None
        candidate = Candidate(rule, self._identity(rule), origin, tuple(member.judged.rule.id for member in parents))
        if candidate.behaviour in taken:
            return None
        return _Offspring(candidate, parents[0].judged.fitness if parents else -math.inf)

    def _varied(
        self, variation: Variation, members: Sequence[Member], parents: list[Individual]
    ) -> tuple[Individual, str, list[int]]:
        """A new individual, its origin, and the places of its parents in the population."""
        generator = variation.generator
        if not parents:
            return variation.random_individual(), "random", []
        if generator.random() < self._settings.crossover:
            first = self._selection.parent(members, generator)
            second = self._selection.parent(members, generator)
            return variation.crossed(parents[first], parents[second]), "crossover", [first, second]
        place = self._selection.parent(members, generator)
        return variation.mutated(parents[place]), "mutation", [place]

    def _identity(self, rule: Rule) -> str:
        return behaviour(rule) if self._fingerprints else rule.id

    def _standing(self, item: _Offspring) -> Judged:
        return self._ledger.standing[item.candidate.behaviour]

    def _next(
        self,
        island: Island,
        offspring: Sequence[_Offspring],
        before: Mapping[str, Member],
        rows: Mapping[str, tuple[float, ...]],
    ) -> Island:
        """The island after its offspring were judged, each behaviour once, offspring before parents.

        An offspring that repeats a rule which has died does not compete: the rule was no better than those that live.
        """
        standing = self._ledger.standing
        pool: dict[str, Member] = {}
        for item in offspring:
            identity = item.candidate.behaviour
            known = before.get(identity)
            if known is not None:
                pool[identity] = replace(known, judged=standing[identity])
            elif identity in standing:
                pool[identity] = Member(standing[identity], rows.get(identity, ()))
        for member in island.members:
            identity = member.judged.behaviour
            pool.setdefault(identity, replace(member, judged=standing[identity]))
        members = self._selection.survivors(list(pool.values()), self._settings.population)
        best = best_fitness(members)
        risen = best > island.best
        return Island(tuple(members), max(best, island.best), 0 if risen else island.idle + 1)

    def _migrate(self) -> None:
        """The best of each island also live on the next one of the ring, as far as they hold their own there."""
        emigrants = [island.members[: self._settings.migrants] for island in self._islands]
        moved = []
        for number, island in enumerate(self._islands):
            pool = {member.judged.behaviour: member for member in island.members}
            for member in emigrants[number - 1]:
                pool.setdefault(member.judged.behaviour, member)
            members = self._selection.survivors(list(pool.values()), self._settings.population)
            moved.append(replace(island, members=tuple(members)))
        self._islands = moved

    def _restarted(self, island: Island) -> Island:
        """The island, or a new one if its best fitness has not risen for so long."""
        if not self._settings.stagnation or island.idle < self._settings.stagnation:
            return island
        front = self._ledger.front
        simple = [item for item in front if 2 * item.rule.complexity <= front[-1].rule.complexity]
        return Island(tuple(member for member in island.members if member.judged in simple))
