"""The search methods, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ruleforge.family import family_class
from ruleforge.search.evolution import Evolution
from ruleforge.search.grammar import RuleGrammar
from ruleforge.search.interface import Search
from ruleforge.search.jordan2021 import Jordan2021
from ruleforge.search.selection import (
    Choice,
    Selection,
    Survival,
    fitness_of,
    lexicase,
    pareto,
    simplicity_of,
    tournament,
    truncation,
)
from ruleforge.search_settings import SearchSettings
from ruleforge.spec import JobSpec

# Of the methods in which not only the fittest survive.
SHARE_TO_BEAT = 0.5
_FITNESS_AND_COMPLEXITY: Survival = pareto(fitness_of, simplicity_of)


def _mu_plus_lambda(parent: Choice) -> Selection:
    return Selection(truncation, parent)


def _nsga2(parent: Choice) -> Selection:
    return Selection(_FITNESS_AND_COMPLEXITY, parent, share_to_beat=SHARE_TO_BEAT)


def _lexicase(_: Choice) -> Selection:
    return Selection(_FITNESS_AND_COMPLEXITY, lexicase, reads_cases=True, share_to_beat=SHARE_TO_BEAT)


# The methods over trees, which differ in whom they select.
SELECTIONS: Mapping[str, Callable[[Choice], Selection]] = {
    "mu_plus_lambda": _mu_plus_lambda,
    "nsga2": _nsga2,
    "lexicase": _lexicase,
}


def make_search(spec: JobSpec) -> Search:
    """A fresh search for a specification with all defaults filled in."""
    grammar = RuleGrammar(spec.grammar, family_class(spec.task))
    settings: SearchSettings = spec.search
    if settings.method == "jordan2021":
        return Jordan2021(grammar, spec)
    return Evolution(grammar, spec, SELECTIONS[settings.method](tournament(settings.tournament)))
