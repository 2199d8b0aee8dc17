"""Scores on the library: the instances that are the same for every job, by which lists of rules are ranked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruleforge.family import LIBRARY_SEED, TaskFamily
from ruleforge.language.identity import Recogniser
from ruleforge.language.rule import Rule
from ruleforge.store import RuleRecord, Store
from workers.evaluators.interface import Evaluator, never
from workers.scoring import FINAL, RuleScore, rule_record, score_rules


@dataclass(frozen=True)
class OnLibrary:
    """scores: one per rule that was scored to its end; entries: of each the rule and its summary, for the record."""

    scores: list[RuleScore]
    entries: list[tuple[RuleRecord, Mapping[str, Any]]]

    def of(self, rule_id: str) -> Mapping[str, Any] | None:
        """The summary of a rule, None if it was not scored to its end."""
        return next((summary for record, summary in self.entries if record.id == rule_id), None)


def score_on_library(
    evaluator: Evaluator, family: TaskFamily, rules: Sequence[Rule], store: Store, stop: Callable[[], bool] = never
) -> OnLibrary:
    """Score rules and the family's known ones on the library; nothing is chosen by it.

    What the record holds is not simulated again: the known rules cost their time once per context.
    """
    known = [each.rule for each in family.known_rules().values()]
    distinct = list({rule.id: rule for rule in [*rules, *known]}.values())
    scores = score_rules(evaluator, family, distinct, family.library_keys(), store=store, stop=stop)
    recogniser = Recogniser(family.known_rules())
    # What ran out of time, say, may have a score on another day.
    ended = [score for score in scores if score.outcome.value in FINAL]
    return OnLibrary(ended, [(rule_record(score.rule, recogniser), score.summary()) for score in ended])


def is_library(family: type[TaskFamily], split: str, n: int, seed: int) -> bool:
    """Whether these are the instances by which lists are ranked, no more and no fewer."""
    return (split, n, seed) == ("library", family.search_defaults.library, LIBRARY_SEED)
