"""The search methods, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ruleforge.family import family_class
from ruleforge.search.evolution import Evolution
from ruleforge.search.grammar import RuleGrammar
from ruleforge.search.interface import Search
from ruleforge.search.jordan2021 import Jordan2021
from ruleforge.search.selection import (
    Lexicase,
    Pareto,
    Selection,
    Truncation,
    fitness_of,
    simplicity_of,
    youth_of,
)
from ruleforge.search_settings import SearchSettings
from ruleforge.spec import JobSpec


def _truncation(settings: SearchSettings) -> Selection:
    return Truncation(settings.tournament)


def _nsga2(settings: SearchSettings) -> Selection:
    return Pareto(settings.tournament, (fitness_of, simplicity_of))


def _age_fitness(settings: SearchSettings) -> Selection:
    return Pareto(settings.tournament, (fitness_of, youth_of), follows_age=True, newcomers=1)


def _lexicase(_: SearchSettings) -> Selection:
    return Lexicase()


# The methods over trees, which differ in whom they select.
SELECTIONS: Mapping[str, Callable[[SearchSettings], Selection]] = {
    "mu_plus_lambda": _truncation,
    "nsga2": _nsga2,
    "age_fitness": _age_fitness,
    "lexicase": _lexicase,
}


def make_search(spec: JobSpec) -> Search:
    """A fresh search for a specification with all defaults filled in."""
    grammar = RuleGrammar(spec.grammar, family_class(spec.task))
    if spec.search.method == "jordan2021":
        return Jordan2021(grammar, spec)
    return Evolution(grammar, spec, SELECTIONS[spec.search.method](spec.search))
