"""One rule with all that is known of it, as it is sent."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from api.http.models import ContextObject, FoundRuleObject, NearestKnown, Validation


class FinderObject(BaseModel):
    """A job that found the rule."""

    job: str
    seed: int | None = Field(description="of the search and of the training instances")
    grammar: dict[str, Any] | None = Field(description="as its specification has it; null where nobody recorded it")
    study: str | None = Field(description="that the job is part of")
    configuration: str | None = Field(description="the name of its configuration there")
    test_fitness: Validation | None = Field(
        description="on the job's test instances; null if it did not report this behaviour"
    )


class FoundUnder(ContextObject):
    """A context where the behaviour is recorded, what was measured of it there, and who found it."""

    rule: str = Field(description="its simplest text there")
    fitness: float | None
    outcome: str | None
    validation_fitness: Validation | None
    library_fitness: Validation | None
    found: int = Field(description="how many jobs found the behaviour there")
    jobs: list[FinderObject] = Field(description="up to 20: those that reported it, then the newest")


class RuleDetails(FoundRuleObject):
    """A rule with its tokens, what it resembles, and under what it was found."""

    tokens: list[list[str | float]] | None = Field(description="by slot, in prefix order; null if they are damaged")
    nearest_known: NearestKnown | None = Field(description="null if it is like none, or cannot be read here")
    found_under: list[FoundUnder] = Field(description="by context, that of the newest job first")
