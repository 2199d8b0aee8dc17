"""The settings of the search methods: one table, in which every setting names the methods that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from pydantic import ConfigDict, Field, model_validator

from ruleforge.checked import CheckedModel

Method = Literal["mu_plus_lambda", "nsga2", "lexicase", "jordan2021"]
METHODS: tuple[str, ...] = get_args(Method)
# The one that found most, soonest (docs/search.md).
DEFAULT_METHOD: Method = "nsga2"
# Those that hold rules as trees.
TREES = tuple(name for name in METHODS if name != "jordan2021")

# Where a method's default differs from the common one. jordan2021: parameter files of the published `reward` runs.
DEFAULTS: Mapping[str, Mapping[str, Any]] = {"jordan2021": {"population": 4, "offspring": 4, "tournament": 1}}


# Rules of one generation, over all islands; and of any count of generations.
MOST_CANDIDATES, MOST_GENERATIONS = 100_000, 10**9


def _setting(default: Any, description: str, of: tuple[str, ...] = METHODS, **limits: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"methods": list(of)}, **limits)


class SearchSettings(CheckedModel):
    """How rules are searched for."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Method = _setting(
        DEFAULT_METHOD,
        "mu_plus_lambda: the best by fitness survive; nsga2: fitness and complexity; "
        "lexicase: parents by single instances; jordan2021: Cartesian genomes, as published",
    )
    population: int = _setting(16, "μ: rules that survive a generation, on each island", ge=1, le=100_000)
    offspring: int = _setting(64, "λ: new rules per generation, on each island", ge=1, le=100_000)
    tournament: int = _setting(
        3,
        "rules drawn per choice of a parent; the best of them is taken",
        ("mu_plus_lambda", "nsga2", "jordan2021"),
        ge=1,
        le=1000,
    )
    crossover: float = _setting(
        0.3, "share of offspring made by exchanging subtrees; the rest mutates", TREES, ge=0, le=1
    )
    small_rules: float = _setting(
        0.5,
        "share of offspring that are untried small rules, while any are left, and all until those that read every "
        "signal have been tried; 0: none",
        TREES,
        ge=0,
        le=1,
    )
    tuned: float = _setting(
        0.0, "share of offspring that are one of the best rules with a constant moved", TREES, ge=0, le=1
    )
    tuned_rules: int = _setting(4, "how many of the best rules have their constants moved", TREES, ge=1, le=1000)
    tuned_gain: bool = _setting(False, "moves a factor before the whole rule too: its learning rate", TREES)
    islands: int = _setting(1, "populations that evolve side by side", TREES, ge=1, le=100)
    migration_interval: int = _setting(
        10, "generations between two migrations along the ring", TREES, ge=1, le=MOST_GENERATIONS
    )
    migrants: int = _setting(1, "rules that each island sends to the next", TREES, ge=0, le=1000)
    stagnation: int = _setting(
        0,
        "generations without a better rule after which an island begins anew; 0: never",
        TREES,
        ge=0,
        le=MOST_GENERATIONS,
    )
    columns: int = _setting(5, "nodes of a genome", ("jordan2021",), ge=1, le=200)
    levels_back: int | None = _setting(
        None, "columns that an address may reach back; without it all of them", ("jordan2021",), ge=1, le=200
    )
    mutation_rate: float = _setting(0.045, "probability that a gene changes", ("jordan2021",), gt=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _of_the_method(cls, given: Any) -> Any:
        """Fill in the method's own defaults, and refuse settings of others."""
        if not isinstance(given, Mapping) or given.get("method", DEFAULT_METHOD) not in METHODS:
            return given
        method = given.get("method", DEFAULT_METHOD)
        for name, value in given.items():
            field = cls.model_fields.get(name)
            if field is not None and value != field.default and method not in methods_of(name):
                others = " and ".join(methods_of(name))
                raise ValueError(f"{name} is a setting of {others}, and the method is {method}: leave it out")
        return {**DEFAULTS.get(method, {}), **given}

    @model_validator(mode="after")
    def _fits_together(self) -> SearchSettings:
        candidates = self.islands * max(self.population, self.offspring)
        if candidates > MOST_CANDIDATES:
            sizes = f"search.islands ({self.islands}) times the larger of population and offspring"
            raise ValueError(f"{sizes} is expected to be at most {MOST_CANDIDATES:,}, it is {candidates:,}")
        for name in ("tournament", "migrants"):
            most, value = self.population, getattr(self, name)
            if value > most and self.method in methods_of(name) and (name != "migrants" or self.islands > 1):
                sizes = f"search.{name} ({value}) is larger than search.population ({most})"
                raise ValueError(f"{sizes}: lower the one or raise the other")
        return self


def methods_of(setting: str) -> list[str]:
    """The methods that a setting belongs to."""
    extra = SearchSettings.model_fields[setting].json_schema_extra
    assert isinstance(extra, dict)
    methods = extra["methods"]
    assert isinstance(methods, list)
    return [str(name) for name in methods]
