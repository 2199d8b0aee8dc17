"""Statistics: of fitness on unseen instances (statistic, verdicts), and of repeated searches (searches)."""

from ruleforge.statistics.statistic import EXPECTED_MINIMUM_OF_8, MEAN, Statistic, summary
from ruleforge.statistics.verdicts import NO_LEARNING, not_worse, standard_error, verdicts

__all__ = [
    "EXPECTED_MINIMUM_OF_8",
    "MEAN",
    "NO_LEARNING",
    "Statistic",
    "not_worse",
    "standard_error",
    "summary",
    "verdicts",
]
