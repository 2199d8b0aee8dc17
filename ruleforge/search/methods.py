"""The search methods, by name."""

from __future__ import annotations

from ruleforge.family import family_class
from ruleforge.search.grammar import RuleGrammar
from ruleforge.search.interface import Search
from ruleforge.search.mu_plus_lambda import MuPlusLambda
from ruleforge.spec import JobSpec

_METHODS = {"mu_plus_lambda": MuPlusLambda}


def make_search(spec: JobSpec) -> Search:
    """A fresh search for a specification with all defaults filled in."""
    family = family_class(spec.task)
    return _METHODS[spec.search.method](RuleGrammar(spec.grammar, family), spec)
