"""What every exported form says of a rule beside the rule itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruleforge.family import TaskFamily, family_class, recorded_family, validated_parameters
from ruleforge.language.identity import Recogniser, Recognition
from ruleforge.language.rule import Rule
from ruleforge.store import FoundRule as RecordedRule
from workers.interface import FoundRule as RuleOfResult
from workers.scoring import finite

Exportable = Rule | RecordedRule | RuleOfResult


@dataclass(frozen=True)
class Exported:
    """A rule with its family, the family's parameters and its measured scores.

    parameters: complete and JSON-ready; fitness: training, None where not measured or not finite; validation:
    aggregate, mean, standard_error and n, None where not measured.
    """

    rule: Rule
    family: type[TaskFamily]
    parameters: Mapping[str, Any]
    fitness: float | None
    validation: Mapping[str, Any] | None
    outcome: str | None

    @property
    def recogniser(self) -> Recogniser:
        """Of its family's known rules."""
        return Recogniser(self.family.known_rules())

    @property
    def known(self) -> Recognition | None:
        """The rule of the literature that it equals, if there is one."""
        return self.recogniser.recognise(self.rule)


def described(given: Exportable, parameters: Mapping[str, Any] | None) -> Exported:
    """Gather what is known of a rule. Raises InputError for parameters that its family refuses."""
    rule = given if isinstance(given, Rule) else given.rule
    if not isinstance(rule, Rule):
        rule = Rule.from_tokens(rule.tokens, recorded_family(rule.task))
    family = family_class(rule.task)
    checked = validated_parameters(family, parameters or {}).model_dump(mode="json")
    fitness = None if isinstance(given, Rule) else finite(given.fitness)
    validation = None if isinstance(given, Rule) else given.validation
    outcome = given.outcome if isinstance(given, RecordedRule) else None
    return Exported(rule, family, checked, fitness, validation, outcome)
