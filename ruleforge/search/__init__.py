"""The search for rules: ask for candidates, tell their fitness. Pure: no clock, no I/O, no global randomness."""

from ruleforge.search.interface import Candidate, Generation, Judged, Search
from ruleforge.search.methods import make_search

__all__ = ["Candidate", "Generation", "Judged", "Search", "make_search"]
