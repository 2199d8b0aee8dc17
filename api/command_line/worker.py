"""`ruleforge worker`: scores for a Dask cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from api.command_line.app import app
from api.command_line.display import note
from ruleforge.errors import InputError
from workers.evaluators.choose import number_of_workers


@app.command()
def worker(
    scheduler: Annotated[
        str | None, typer.Argument(metavar="[SCHEDULER]", help="Address of a Dask scheduler, e.g. tcp://host:8786.")
    ] = None,
    scheduler_file: Annotated[
        Path | None,
        typer.Option("--scheduler-file", metavar="FILE", help="Where `dask scheduler --scheduler-file` wrote it."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Processes of one thread [default: all cores].")
    ] = None,
) -> None:
    """Score rules for the jobs of a Dask cluster, until Ctrl-C or SIGTERM.

    Compiles the kernels first, and joins only a cluster of the same versions of ruleforge, its kernels, numba and
    numpy. Waits up to five minutes for the scheduler, also after it was lost.
    """
    if (scheduler is None) == (scheduler_file is None):
        raise InputError("expected the address of a scheduler, or --scheduler-file: give one of the two")
    count = number_of_workers(workers)
    # Dask takes half a second to import, which other commands should not wait for.
    from workers.cluster.connection import LOCAL, scheduler_place
    from workers.cluster.join import run_workers

    if scheduler == LOCAL:
        raise InputError("scheduler: 'local' starts workers of its own with `evolve`: expected an address here")
    place = {"scheduler_file": str(scheduler_file)} if scheduler is None else scheduler_place(scheduler)
    run_workers(place, count, note)
