"""Prepares a Dask worker for scoring: `dask worker ADDRESS --preload workers.cluster.preload`.

Dask runs `dask_setup` before the worker joins: kernels are loaded (compiled, if this machine never did), clients may
send units directly, and a cluster whose scores would differ is not joined. Dask's nanny itself keeps numerical
libraries to one thread, and no kernel of ours has more.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING

from ruleforge.errors import InputError
from workers.cluster.compatibility import METADATA, cautions, facts, refuse_to_join
from workers.cluster.logs import quieten

if TYPE_CHECKING:
    from distributed import Worker

# Set for workers whose parent decides when they end: Ctrl-C reaches the whole terminal, and they must not heed it.
EMBEDDED = "RULEFORGE_EMBEDDED_WORKER"
BAD_INPUT = 2

# Names of settings in glibc's malloc.h, and bytes: what its allocator itself comes to as a program asks for more.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES, LARGEST_KEPT_BYTES = 64 * 2**20, 32 * 2**20


def keep_memory() -> None:
    """Let the allocator keep what scoring has freed.

    Dask's nanny sets MALLOC_TRIM_THRESHOLD_ for its workers, by which every larger array is asked of the system and
    given back at once: thousands of page faults in a call, a tenth of the time of the shorter simulations.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have no such setting
        mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT_BYTES)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


async def dask_setup(worker: Worker) -> None:
    """Check versions against the cluster's, load the kernels. Ends the process if it must not join."""
    # Not on top: processes that only start workers read this module too, and need not load what scores.
    from workers.evaluators.shares import hear_messages

    hear_messages(worker)
    keep_memory()
    if EMBEDDED in os.environ:
        # Its parent has the same sources, and compiles what is missing when it is needed.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        quieten()
        return
    theirs = await worker.scheduler.get_metadata(keys=[METADATA], default=None)
    if theirs is not None:
        try:
            refuse_to_join(worker.scheduler.address, theirs)
        except InputError as error:
            sys.stderr.write(f"ruleforge: {error}\n")
            sys.stderr.flush()
            # Dask logs and ignores whatever a preload raises, so only the end of the process keeps it out.
            os._exit(BAD_INPUT)
        for caution in cautions(facts(), theirs):
            sys.stderr.write(f"ruleforge: the same seed may not give the same last bits on this worker: {caution}\n")
    from tasks.warm_up import load_kernels

    load_kernels()
