"""Rules × instances → scores, with the record as a cache."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleforge.family import InstanceKey, Outcome, TaskFamily
from ruleforge.language.identity import Recogniser, behaviour
from ruleforge.language.rule import Rule
from ruleforge.statistics import Statistic, summary
from ruleforge.store import RuleRecord, ScoreRecord, Store
from workers.evaluators.interface import Evaluator, never
from workers.versions import context

OK = Outcome.ok.value
# Outcomes of scores that any other run would give again.
FINAL = (OK, Outcome.non_finite.value)


@dataclass(frozen=True)
class RuleScore:
    """One rule on several instances.

    fitness: (n_instances,) float64, −∞ where not ok; outcome: ok, or the first that was not; aggregate: as the family
    aggregates in training, −∞ unless ok; records: one per instance, for the record; family: whose fitness it is.
    """

    rule: Rule
    fitness: NDArray[np.float64]
    outcome: Outcome
    aggregate: float
    records: tuple[ScoreRecord, ...]
    family: type[TaskFamily]

    def extended(self, family: TaskFamily, further: RuleScore) -> RuleScore:
        """This score with those on further instances."""
        return _gathered(family, self.rule, (*self.records, *further.records))

    def in_order(self, family: TaskFamily, keys: Sequence[InstanceKey]) -> RuleScore:
        """This score with its instances in the order of `keys`, as far as it has them."""
        places = {str(key): place for place, key in enumerate(keys)}
        records = tuple(sorted(self.records, key=lambda record: places[record.instance]))
        return (
            self
            if records == self.records
            else replace(_gathered(family, self.rule, records), outcome=self.outcome, aggregate=self.aggregate)
        )

    def rejected(self) -> RuleScore:
        """The same with outcome rejected_at_hurdle."""
        return replace(self, outcome=Outcome.rejected_at_hurdle, aggregate=-math.inf)

    @property
    def statistic(self) -> Statistic:
        """What fitness on unseen instances is compared by."""
        return self.family.statistic

    def summary(self) -> dict[str, Any]:
        """What the instances say of the rule (JSON-ready): see `ruleforge.statistics.summary`."""
        metrics = {
            name: np.array([record.metrics.get(name, math.nan) for record in self.records], dtype=np.float64)
            for name in self.records[0].metrics
        }
        finite = self.outcome is Outcome.ok
        return summary(self.family.statistic, self.fitness, metrics, self.family.failure_below, finite=finite)


def score_rules(
    evaluator: Evaluator,
    family: TaskFamily,
    rules: Sequence[Rule],
    keys: Sequence[InstanceKey],
    *,
    store: Store | None = None,
    give_up_below: float | None = None,
    stop: Callable[[], bool] = never,
) -> list[RuleScore]:
    """Score rules on all instances; what the record already holds for exactly these is not simulated again.

    give_up_below: as in `TaskFamily.evaluate`; goes without the record, because what was given up depends on it.
    """
    where = context(family)
    instances = [str(key) for key in keys]
    use_record = store is not None and give_up_below is None
    known = store.cached_scores(where, [rule.id for rule in rules], instances) if store and use_record else {}
    # Equal rules are simulated once; each row of `rules` then has scores of its own, as if it stood alone.
    distinct = list({rule.id: rule for rule in rules}.values())
    missing = [rule for rule in distinct if not all(_final(known.get((rule.id, instance))) for instance in instances)]
    fresh: dict[str, list[ScoreRecord]] = {rule.id: [] for rule in missing}
    for instance, scores in zip(instances, evaluator.score(family, missing, keys, give_up_below, stop), strict=True):
        # A record does not keep the sign of zero, and a cached score must be the same bits as a fresh one.
        fitness = (scores.fitness + 0.0).tolist()
        names = scores.metrics.keys()
        metrics = [np.asarray(values, dtype=np.float64).tolist() for values in scores.metrics.values()]
        for position, rule in enumerate(missing):
            of_rule = {name: values[position] for name, values in zip(names, metrics, strict=True)}
            outcome = str(scores.outcome[position].value)
            fresh[rule.id].append(ScoreRecord(rule.id, where, instance, fitness[position], outcome, of_rule))
    return [
        _gathered(family, rule, fresh.get(rule.id) or [known[rule.id, instance] for instance in instances])
        for rule in rules
    ]


def final_records(scores: Sequence[RuleScore]) -> list[ScoreRecord]:
    """The records of scores that any other run would give again."""
    return [record for score in scores for record in score.records if _final(record)]


def _gathered(family: TaskFamily, rule: Rule, records: Sequence[ScoreRecord]) -> RuleScore:
    fitness = np.array([record.fitness for record in records])
    outcome = next((Outcome(r.outcome) for r in records if r.outcome != OK), Outcome.ok)
    aggregate = family.aggregate(fitness) + 0.0 if outcome is Outcome.ok else -math.inf
    return RuleScore(rule, fitness, outcome, aggregate, tuple(records), type(family))


def _final(record: ScoreRecord | None) -> bool:
    """A score that another run would give again; one that a limit of that run cut short is not."""
    return record is not None and record.outcome in FINAL


def rule_record(rule: Rule, recogniser: Recogniser, identity: str | None = None) -> RuleRecord:
    """What the record keeps of a rule."""
    known = recogniser.recognise(rule)
    return RuleRecord(
        id=rule.id,
        task=rule.task,
        text=rule.text,
        tokens=rule.to_tokens(),
        complexity=rule.complexity,
        behaviour=identity or behaviour(rule),
        known_as=known.name if known else None,
        known_factor=known.factor if known else None,
    )


def nearest_known(rule: Rule, recogniser: Recogniser) -> dict[str, Any] | None:
    """The rule of the literature that a rule is most like, and how far it is from it (JSON-ready)."""
    found = recogniser.nearest(rule)
    return None if found is None else {"name": found.name, "distance": round(found.distance, 4)}


def finite(value: float | None) -> float | None:
    """The number, or None if it is not finite: how JSON, Markdown and the record write it."""
    return value if value is not None and math.isfinite(value) else None


def rule_object(
    record: RuleRecord,
    fitness: float | None,
    outcome: str | None,
    validation: Any,
    context: str | None = None,
    library: Any = None,
) -> dict[str, Any]:
    """The rule object of every list and result (JSON-ready).

    context: digest of what its scores can be compared with; library: its summary there, by which lists are ranked.
    """
    return {
        "id": record.id,
        "behaviour": record.behaviour,
        "context": context,
        "rule": record.text,
        "complexity": record.complexity,
        "fitness": finite(fitness),
        "validation_fitness": validation,
        "library_fitness": library,
        "outcome": outcome,
        "known_as": record.known_as,
        "known_factor": record.known_factor,
    }
