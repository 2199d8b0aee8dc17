"""Prepares a Dask worker for scoring: `dask worker ADDRESS --preload workers.cluster.preload`.

Dask runs `dask_setup` before the worker joins: kernels are loaded (compiled, if this machine never did), and a cluster
whose scores would differ is not joined. Dask's nanny itself keeps numerical libraries to one thread, and no kernel of
ours has more.
"""

from __future__ import annotations

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


async def dask_setup(worker: Worker) -> None:
    """Check versions against the cluster's, load the kernels. Ends the process if it must not join."""
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
    from tasks.warm_up import main as load_kernels

    load_kernels()
