"""`ruleforge runner`: runs what others queue."""

from __future__ import annotations

from typing import Annotated

import typer

from api.command_line.app import Database, Json, Scheduler, Workers, app, print_json
from api.command_line.display import note
from api.command_line.interrupts import Interrupts
from ruleforge.store import open_store
from workers.evaluators.choose import make_evaluator
from workers.interface import database_url
from workers.runner import DEFAULT_JOBS, Runner


@app.command()
def runner(
    scheduler: Scheduler = None,
    workers: Workers = None,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N", help="So many jobs at once, which share the workers.")] = (
        DEFAULT_JOBS
    ),
    until_idle: Annotated[bool, typer.Option("--until-idle", help="End when no job is left to run.")] = False,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Take queued jobs and those whose process has died, and run them, until Ctrl-C or SIGTERM.

    `evolve --detach` queues a job. Several runners may share one record: a job is run by one of them only.
    """
    url = database_url(database)
    with open_store(url) as store:
        evaluator = make_evaluator(scheduler, workers, warn=note)
        try:
            with Interrupts("Stopping: the jobs go back into the queue (again to end at once) …") as interrupts:
                chosen = Runner(store, evaluator, jobs, note)
                note(f"Waiting for jobs, {evaluator.workers} worker(s)")
                ended = chosen.run(interrupts.requested, until_idle=until_idle)
        finally:
            evaluator.close()
    if as_json:
        print_json({"jobs": ended})
    else:
        note("Ended: " + (", ".join(f"{n} {state}" for state, n in sorted(ended.items())) or "no job was run"))
