"""Who scores: the runner that this service started, the cluster it was told of, the jobs that are held."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol

from anyio.to_thread import run_sync

from api.http import cluster_models
from ruleforge.errors import InputError
from ruleforge.passwords import hide_passwords
from ruleforge.store import Store

# How long an answer of the scheduler is good for, and how long it may take, in seconds.
FRESH_SECONDS, ANSWER_SECONDS = 2.0, 3.0


class RunnerStatus(Protocol):
    """What is known of the runner that this service started; each as in `RunnerObject`."""

    @property
    def alive(self) -> bool: ...  # noqa: D102
    @property
    def process(self) -> int | None: ...  # noqa: D102
    @property
    def workers(self) -> int | None: ...  # noqa: D102
    @property
    def jobs(self) -> int | None: ...  # noqa: D102
    @property
    def restarts(self) -> int: ...  # noqa: D102


def age(moment: datetime | None) -> float | None:
    """Seconds since then."""
    return None if moment is None else max((datetime.now(UTC) - moment).total_seconds(), 0.0)


class ClusterView:
    """Answers who works for this record, as far as can be seen from here."""

    def __init__(self, store: Store, runner: RunnerStatus | None = None, scheduler: str | None = None) -> None:
        self._store, self._runner, self._scheduler = store, runner, scheduler
        self._asking = asyncio.Lock()
        self._answer: cluster_models.Scheduler | None = None
        self._answered = 0.0

    def runner_object(self) -> cluster_models.RunnerObject | None:
        """The runner of this service, if it has one."""
        if self._runner is None:
            return None
        return cluster_models.RunnerObject(
            **{name: getattr(self._runner, name) for name in cluster_models.RunnerObject.model_fields}
        )

    @property
    def workers(self) -> int | None:
        """How many score at the same time, None if nobody has said so yet."""
        if self._runner is not None and self._runner.workers is not None:
            return self._runner.workers
        return None if self._answer is None else sum(worker.threads for worker in self._answer.workers)

    async def look(self) -> cluster_models.Cluster:
        """Everything."""
        scheduler = await self._look_at_scheduler() if self._scheduler else None
        return await run_sync(self._from_record, scheduler)

    def _from_record(self, scheduler: cluster_models.Scheduler | None) -> cluster_models.Cluster:
        figures = self._store.statistics()
        running = [
            cluster_models.Holding(job=held.job, host=held.holder.host, process=held.holder.process, silent=held.silent)
            for held in self._store.held()
        ]
        return cluster_models.Cluster(
            runner=self.runner_object(),
            scheduler=scheduler,
            running=running,
            queued=figures.queued,
            oldest_queued_seconds=age(figures.oldest_queued),
        )

    async def _look_at_scheduler(self) -> cluster_models.Scheduler:
        assert self._scheduler is not None
        async with self._asking:
            if self._answer is None or time.monotonic() - self._answered > FRESH_SECONDS:
                self._answer = await self._asked(self._scheduler)
                self._answered = time.monotonic()
            return self._answer

    async def _asked(self, place: str) -> cluster_models.Scheduler:
        from workers.cluster.look import scheduler_address, workers_of  # Dask takes half a second to import

        try:
            address = scheduler_address(place)
            workers = await asyncio.wait_for(workers_of(address), ANSWER_SECONDS)
        except (OSError, InputError, TimeoutError):
            return cluster_models.Scheduler(address=hide_passwords(place), reachable=False, workers=[])
        listed = [
            cluster_models.WorkerObject(address=name, threads=threads) for name, threads in sorted(workers.items())
        ]
        return cluster_models.Scheduler(address=hide_passwords(address), reachable=True, workers=listed)
