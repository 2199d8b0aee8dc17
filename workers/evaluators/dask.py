"""Scoring on a Dask cluster: somebody's scheduler, or an embedded cluster of processes on this machine.

What is sent is plain data (tokens, names, numbers) to functions of ours, and plain arrays come back. Results are
gathered by their place in the call, so neither the number of workers nor their comings and goings change a bit.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ruleforge.family import Scores
from workers.cluster.connection import LOCAL, Connection
from workers.evaluators.cutting import Costs, cut, in_order, interleaved, portions
from workers.evaluators.interface import Evaluator, Request
from workers.evaluators.messages import Messages
from workers.evaluators.remote import plain_call
from workers.evaluators.tasks import TaskCall
from workers.evaluators.threads import put_together

# A call that all workers together should have done in so many seconds goes to them by messages: the time that tasks
# take would be more than it can bear, or their units so long that one worker has much to do when the others have ended.
# A longer one gets all that a scheduler does for tasks.
SHORT_SECONDS = 5.0


def _log(message: str) -> None:
    logging.getLogger("ruleforge").warning(message)


class DaskEvaluator(Evaluator):
    """Scores on the workers of a Dask scheduler.

    scheduler: an address or scheduler file, whose workers may come and go; None or "local" for an embedded cluster of
    `workers` processes. warn: told, in sentences, of what does not stop the work. Raises InputError if the scheduler
    cannot be reached or its workers run other versions.
    """

    def __init__(
        self, scheduler: str | None = None, workers: int | None = None, *, warn: Callable[[str], None] = _log
    ) -> None:
        self.connection = Connection(scheduler or LOCAL, workers, warn)
        self._costs = Costs()
        self._messages = Messages(self.connection, self._costs)
        self.workers = self.connection.threads  # as of the last call
        # Kept while the next call begins: letting go of its units sends a message, behind which others have to wait.
        self._last: TaskCall | None = None

    def answer(self, request: Request) -> list[Scores]:
        """Scores of all rules on each instance."""
        self.connection.refresh()
        workers = self.workers = self.connection.threads
        family, n_rules, n_keys = request.family, len(request.rules), len(request.keys)
        cost = self._costs.of(family.parameters_digest)
        if short := cost is not None and cost * n_rules * n_keys <= SHORT_SECONDS * workers:
            units = portions(n_rules, n_keys, family, workers, cost)
        else:
            units = cut(n_rules, n_keys, family.rules_per_batch, family.instances_per_batch, workers, cost)
        # Neighbours in the order of asking are alike in what they cost, and units should be alike in length instead.
        order = interleaved(n_rules, family.rules_per_batch)
        request = request._replace(rules=[request.rules[place] for place in order])
        plain = plain_call(request)
        found: list[list[Scores] | None] = [None] * len(units)
        if short:
            found = self._messages.score(request, plain, units)
        results = [scores for scores in found if scores is not None]
        if len(results) < len(units):  # whatever came between is dealt with by tasks
            call = TaskCall(self.connection, self._costs, request, plain, units, found)
            call.begin()
            self._last = call
            results = call.finish()
        return in_order(put_together(units, results, n_keys), order)

    def close(self) -> None:
        """Leave the cluster; an embedded one ends."""
        self.connection.close()
