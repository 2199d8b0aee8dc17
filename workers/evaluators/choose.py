"""Where a job is scored, from what the user said: one function for command line, Python, runner and server."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from ruleforge.checked import optional_text, whole_number
from ruleforge.errors import InputError
from workers.evaluators.interface import Evaluator
from workers.evaluators.threads import ThreadEvaluator

MAX_WORKERS = 1024
LOCAL = "local"


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def number_of_workers(workers: int | None) -> int:
    """The number asked for; None means all cores. Raises InputError for what is no number of workers."""
    if workers is None:
        return usable_cores()
    return whole_number("workers", workers, 1, MAX_WORKERS, of="threads")


def make_evaluator(
    scheduler: str | None = None, workers: int | None = None, *, warn: Callable[[str], None] | None = None
) -> Evaluator:
    """The evaluator for a scheduler and a number of workers; to be closed when done.

    scheduler: None for threads of this process, "local" for an embedded Dask cluster of processes, else the address or
    scheduler file of a Dask cluster, which has as many workers as have joined. workers: threads or processes, None for
    all cores. warn: told, in sentences, of what does not stop the work. Raises InputError for what cannot be used.
    """
    if optional_text("scheduler", scheduler) is None:
        return ThreadEvaluator(number_of_workers(workers))
    if scheduler != LOCAL and workers is not None:
        raise InputError(
            f"workers: {scheduler} has as many workers as have joined it, and {workers!r} came: leave the number out"
        )
    # Dask takes half a second to import, which jobs without it should not wait for.
    from workers.evaluators.dask import DaskEvaluator

    count = number_of_workers(workers) if scheduler == LOCAL else None
    return DaskEvaluator(scheduler, count, warn=warn or logging.getLogger("ruleforge").warning)
