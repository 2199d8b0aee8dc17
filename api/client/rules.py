"""Rules as a service sends them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruleforge.language.rule import Rule
from workers.interface import FoundRule


@dataclass(frozen=True, kw_only=True)
class RecordedRule(FoundRule):
    """A rule of the record: with its outcome, and in how many jobs its behaviour was found; `jobs`: the newest ids."""

    outcome: str | None
    found: int
    jobs: tuple[str, ...]

    @property
    def id(self) -> str:
        """Exact identity, by which the service knows it."""
        return self.rule.id


def as_recorded(raw: Mapping[str, Any]) -> RecordedRule:
    """A rule from the JSON of a list or of `GET /rules/{id}`."""
    return RecordedRule(
        Rule.parse(raw["rule"], raw["task"]),
        raw["fitness"],
        raw["validation_fitness"],
        raw["known_as"],
        outcome=raw["outcome"],
        found=raw["found"],
        jobs=tuple(raw["jobs"]),
    )
