"""What Dask may say by itself: nothing. What a user should know is said by us, in sentences."""

from __future__ import annotations

import logging

# The variable from which the processes that we start read how much Dask may say, from their first import of it on.
LOGGING_OF_PROCESSES = "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED"
# Each has a handler and a level of its own, so that quieting the first does not reach the others: the client remarks
# on messages that were lost, the collector of garbage on a busy machine.
LOGGERS = ("distributed", "distributed.client", "distributed.gc")


def quieten() -> None:
    """Keep Dask's loggers of this process from writing to standard error, at its end too."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
