"""Studies whose jobs have all ended and whose winners nobody has judged yet: what a runner finds to do beside jobs.

Whoever ends the last job of a study judges its winners, and may die before it has; so a runner looks at all of them
when it begins, when a job has ended, and now and then, because a request may end a job too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from ruleforge.errors import EvaluatorLostError, JobStopped, StoreError
from ruleforge.store import Store, Waiting
from workers.evaluators.interface import Evaluator
from workers.study import end_study

STUDY = "study"
# Between two looks at the studies, in seconds, as long as no job ends here.
LOOK_SECONDS = 30.0


class EndedStudies:
    """The studies of a record that have ended, less those that were judged since this was made."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._looked = -math.inf
        self._judged: set[str] = set()
        self._found: list[str] = []

    def look_again(self) -> None:
        """A job has ended."""
        self._looked = -math.inf

    def waiting(self) -> list[Waiting]:
        """Those to be judged, oldest first."""
        if self._clock() - self._looked >= LOOK_SECONDS:
            self._looked = self._clock()
            self._found = self._store.ended_studies()
        return [Waiting(id, STUDY, 0, orphaned=False) for id in self._found if id not in self._judged]

    def judge(self, study_id: str, evaluator: Evaluator, stop: Callable[[], bool]) -> None:
        """Judge the winners of one.

        It is tried again later after JobStopped, EvaluatorLostError and StoreError, which are raised as any other.
        """
        try:
            end_study(self._store, study_id, evaluator, stop)
        except (JobStopped, EvaluatorLostError, StoreError):
            self._found = [id for id in self._found if id != study_id]
            raise
        except Exception:  # whatever it was, it would come again
            self._judged.add(study_id)
            raise
        self._judged.add(study_id)
