"""What an evaluator promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from ruleforge.family import InstanceKey, Scores, TaskFamily
from ruleforge.language.rule import Rule


def never() -> bool:
    """The stop condition of scoring that runs to its end."""
    return False


class Evaluator(Protocol):
    """Scores a batch of rules on a list of instances.

    Contract: the answer is a list with one `Scores` per key, in the order of the keys, equal to the last bit for every
    implementation and number of workers. `stop` is polled between units of work; once it is true, JobStopped is
    raised and nothing is returned. A fault of one unit is raised as it is, after the other units have ended.
    """

    workers: int

    def score(
        self,
        family: TaskFamily,
        rules: Sequence[Rule],
        keys: Sequence[InstanceKey],
        give_up_below: float | None = None,
        stop: Callable[[], bool] = never,
    ) -> list[Scores]:
        """Scores of all rules on each instance; `give_up_below` as in `TaskFamily.evaluate`."""

    def close(self) -> None:
        """Give back threads or connections."""
