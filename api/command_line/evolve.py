"""`ruleforge evolve` and `resume`."""

from __future__ import annotations

import gc
from contextlib import closing
from typing import Annotated

import typer

from api.command_line.app import (
    FAILED,
    INTERRUPTED,
    Database,
    Json,
    Scheduler,
    Server,
    Settings,
    Task,
    Workers,
    app,
    print_json,
    progress,
    screen,
)
from api.command_line.display import JobDisplay, conclusion, front_table, note
from api.command_line.interrupts import Interrupts
from api.command_line.remote import one_place, resume_there
from api.command_line.specification import (
    Config,
    Evaluations,
    From,
    Generations,
    Seconds,
    Seed,
    Target,
    given_specification,
)
from ruleforge.errors import EvaluatorLostError, Fault, StoreError
from ruleforge.passwords import hide_passwords
from ruleforge.spec import job_spec
from ruleforge.store import END_STATES, Store, open_store
from workers.evaluators import Evaluator
from workers.evaluators.choose import make_evaluator
from workers.evolve import run_job, submit, unfinished_result
from workers.extension import extend
from workers.interface import database_url
from workers.patience import PatientStore
from workers.starting import from_front
from workers.study import end_study_of

# What Ctrl-C says while a job runs.
PAUSING = "Pausing: the generation in flight is dropped, everything before it is recorded (again to end at once) …"


@app.command()
def evolve(
    task: Task,
    seed: Seed = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    generations: Generations = None,
    budget: Evaluations = None,
    time: Seconds = None,
    target: Target = None,
    config: Config = None,
    settings: Settings = None,
    from_job: From = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Only queue the job and print its id; `ruleforge runner` runs it.")
    ] = False,
    priority: Annotated[int, typer.Option(help="Of a queued job: those of a higher one are run first.")] = 0,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Evolve rules for a task; Ctrl-C pauses, `ruleforge resume` goes on.

    Without any limit: until the family's target or 1000 distinct rules.
    """
    limits = {"generations": generations, "evaluations": budget, "seconds": time, "target": target}
    given = given_specification(task, seed, limits, config, settings)
    spec = job_spec(given)

    def submitted(store: Store) -> str:
        if from_job is None:
            return submit(store, spec, priority)
        seeded, source = from_front(store, from_job, given)
        return submit(store, seeded, priority, started_from=source)

    if detach:
        with open_store(database_url(database)) as store:
            _say_queued(store, submitted(store), as_json)
        return
    evaluators = closing(make_evaluator(scheduler, workers, warn=note))
    with evaluators as evaluator, open_store(database_url(database), create=from_job is None) as store:
        _run(store, submitted(PatientStore(store, say=note)), evaluator, _again(database, scheduler), as_json)


@app.command()
def resume(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Id of a job, or the beginning of it.")],
    workers: Workers = None,
    scheduler: Scheduler = None,
    generations: Generations = None,
    budget: Evaluations = None,
    time: Seconds = None,
    target: Target = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Only put the job back into the queue of `ruleforge runner`.")
    ] = False,
    database: Database = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Continue a job where its last committed generation stood; of a finished job, print the stored result.

    With a limit it goes on to that, a finished job too, as if it had had no other from the first: the history is the
    same to the bit. Every limit is one in all, and larger than what ran. With --server the service's runner goes on
    with it; `ruleforge watch` shows how.
    """
    one_place(database, server)
    stated = {"generations": generations, "evaluations": budget, "seconds": time, "target": target}
    limits = {name: value for name, value in stated.items() if value is not None}
    if server is not None:
        resume_there(server, job, limits, as_json)
        return
    with open_store(database_url(database), create=False) as store:
        record = store.job(job)
        if detach:
            if limits:
                extend(store, record.id, limits)
            elif record.state != "queued":
                store.set_state(record.id, "queued", "resumed", allowed=("paused",))
            _say_queued(store, record.id, as_json)
            return
        if record.state in END_STATES and not limits:
            scheduler = None  # nothing will be scored
            if record.result is not None and not as_json:
                note(f"Job {record.id} has {record.state}; this is its stored result.")
        with closing(make_evaluator(scheduler, workers, warn=note)) as evaluator:
            if limits:
                extend(store, record.id, limits)
            _run(store, record.id, evaluator, _again(database, scheduler), as_json)


def _say_queued(store: Store, job_id: str, as_json: bool) -> None:
    if as_json:
        print_json(unfinished_result(store.job(job_id)))
    else:
        screen().print(job_id)


def _again(database: str | None, scheduler: str | None) -> str:
    """The options with which a job is resumed where it is recorded and scored now."""
    options = (("--db", database), ("--scheduler", scheduler))
    return "".join(f" {name} {hide_passwords(value)}" for name, value in options if value)


def _run(store: Store, job_id: str, evaluator: Evaluator, again: str, as_json: bool) -> None:
    # What the imports have left lives as long as this process, and a full collection takes 0.1 s to go over it. Not in
    # `run_job`, because the memory of other programs is not ours to arrange.
    gc.freeze()
    with JobDisplay(progress()) as display, Interrupts(PAUSING) as interrupts:
        try:
            result = run_job(store, job_id, evaluator, observer=display, stop=interrupts.requested)
            end_study_of(store, job_id, evaluator, interrupts.requested)
        except EvaluatorLostError as lost:
            note(str(lost))
            result = unfinished_result(store.job(job_id))
        except StoreError as error:
            if error.fault is Fault.foreign:  # somebody else runs the job
                raise
            note(f"ruleforge: {error}")
            if error.fault is Fault.transient:
                note(f"The job is recorded up to its last generation. Go on with: ruleforge resume {job_id}{again}")
            raise typer.Exit(INTERRUPTED if interrupts.requested() else FAILED) from None
    if as_json:
        print_json(result)
    elif result["state"] == "succeeded":
        screen().print(front_table(result))
        screen().print(conclusion(result), soft_wrap=True)
    if result["state"] == "running":
        note(
            f"Job {job_id} was taken over by another process, which goes on with it: this one was silent for too long."
        )
        raise typer.Exit(FAILED)
    if result["state"] in ("cancelled", "queued"):
        note(f"Job {job_id} was {result['state']} from elsewhere after generation {result['generations']}.")
        raise typer.Exit(INTERRUPTED)
    if result["state"] == "paused":
        note(f"Paused after generation {result['generations']}. Go on with: ruleforge resume {job_id}{again}")
        raise typer.Exit(INTERRUPTED)
