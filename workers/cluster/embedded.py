"""A Dask cluster of this process alone: n worker processes with one thread each on this machine."""

from __future__ import annotations

import logging

import dask
from distributed import LocalCluster

from workers.cluster.logs import LOGGING_OF_PROCESSES
from workers.cluster.preload import EMBEDDED

# What Dask does for its own diagnosis takes 6 % of a core with two workers: a profiler, which sees nothing of a kernel,
# and looks at event loops and at the machine many times a second.
QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "10s",
}


def start_embedded_cluster(n_workers: int) -> LocalCluster:
    """Start the workers and wait until they have joined; closed by its `close`. Listens on this machine only."""
    with dask.config.set({**QUIET, LOGGING_OF_PROCESSES: "critical"}):
        return LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # what is left without a dashboard; None would take a fixed port
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
            # The workers are this program: what they may use of the memory is not for Dask to divide.
            memory_limit=0,
            preload=["workers.cluster.preload"],
            env={EMBEDDED: "1"},
        )
