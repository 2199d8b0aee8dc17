"""What an evaluator promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ruleforge.errors import JobStopped
from ruleforge.family import InstanceKey, Scores, TaskFamily
from ruleforge.language.rule import Rule


def never() -> bool:
    """The stop condition of scoring that runs to its end."""
    return False


class Request(NamedTuple):
    """Rules to be scored on the instances of some keys. give_up_below: as in `TaskFamily.evaluate`."""

    family: TaskFamily
    rules: Sequence[Rule]
    keys: Sequence[InstanceKey]
    give_up_below: float | None = None
    stop: Callable[[], bool] = never

    def refuse_if_stopped(self) -> None:
        """Raise JobStopped once `stop` is true."""
        if self.stop():
            raise JobStopped("scoring was stopped on request")


class Evaluator(ABC):
    """Scores a batch of rules on a list of instances.

    Contract: the answer is a list with one `Scores` per key, in the order of the keys, equal to the last bit for every
    implementation and number of workers. Keys are simulated in consecutive groups of the family's
    `instances_per_batch`, whatever else is cut, because a family may reject a rule by its aggregate over such a group.
    `stop` is polled between units of work; once it is true, JobStopped is raised and nothing is returned. A fault of
    one unit is raised as it is, after the other units have ended.
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
        if not rules or not keys:
            return [Scores(np.empty(0), ()) for _ in keys]
        request = Request(family, rules, keys, give_up_below, stop)
        request.refuse_if_stopped()
        return self.answer(request)

    @abstractmethod
    def answer(self, request: Request) -> list[Scores]:
        """Scores of all rules of a request, which has at least one, on each of its instances, at least one."""

    @abstractmethod
    def close(self) -> None:
        """Give back threads or connections."""
