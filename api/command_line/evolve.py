"""`ruleforge evolve` and `resume`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from api.command_line.app import INTERRUPTED, Database, Json, Settings, Task, Workers, app, print_json, progress, screen
from api.command_line.display import JobDisplay, conclusion, front_table, note
from api.command_line.interrupts import Interrupts
from ruleforge.errors import InputError, SpecificationError
from ruleforge.family import family_class
from ruleforge.spec import JobSpec, apply_setting, job_spec, read_toml
from ruleforge.store import END_STATES, Store, open_store
from workers.evaluators import ThreadEvaluator
from workers.evolve import run_job, submit
from workers.interface import database_url, threads

# What Ctrl-C says while a job runs.
PAUSING = "Pausing: the generation in flight is dropped, everything before it is recorded (again to end at once) …"


@app.command()
def evolve(
    task: Task,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the search and the training instances [default: 0].")
    ] = None,
    workers: Workers = None,
    generations: Annotated[int | None, typer.Option(help="Stop after so many generations.")] = None,
    budget: Annotated[
        int | None, typer.Option("--budget", metavar="EVALUATIONS", help="Stop after so many distinct rules.")
    ] = None,
    time: Annotated[float | None, typer.Option("--time", metavar="SECONDS", help="Stop after this time.")] = None,
    target: Annotated[float | None, typer.Option(help="Stop at this training fitness.")] = None,
    config: Annotated[Path | None, typer.Option(help="A job specification in TOML; options go over it.")] = None,
    settings: Settings = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Evolve rules for a task; Ctrl-C pauses, `ruleforge resume` goes on.

    Without any limit: until the family's target or 1000 distinct rules.
    """
    limits = {"generations": generations, "evaluations": budget, "seconds": time, "target": target}
    spec = _specification(task, seed, limits, config, settings or [])
    n_threads = threads(workers)
    with open_store(database_url(database)) as store:
        _run(store, submit(store, spec), n_threads, database, as_json)


@app.command()
def resume(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Id of a job, or the beginning of it.")],
    workers: Workers = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Continue a job where its last committed generation stood; of a finished job, print the stored result."""
    n_threads = threads(workers)
    with open_store(database_url(database), create=False) as store:
        record = store.job(job)
        if record.state in END_STATES and not as_json:
            note(f"Job {record.id} has {record.state}; this is its stored result.")
        _run(store, record.id, n_threads, database, as_json)


def _specification(
    task: str, seed: int | None, limits: Mapping[str, Any], config: Path | None, settings: list[str]
) -> JobSpec:
    family = family_class(task)
    given = read_toml(config) if config is not None else {}
    if given.get("task", task) != task:
        raise InputError(f"{config} is a specification for {given['task']!r}, and {task!r} was asked for")
    given["task"] = task
    for setting in settings:
        apply_setting(given, setting, family)
    if seed is not None:
        given["seed"] = seed
    chosen = {name: value for name, value in limits.items() if value is not None}
    if chosen:
        before = given.get("budget", {})
        if not isinstance(before, dict):
            raise SpecificationError([("/budget", f"expected a table of limits, and {before!r} came")])
        given["budget"] = {**before, **chosen}
    return job_spec(given)


def _run(store: Store, job_id: str, n_threads: int, database: str | None, as_json: bool) -> None:
    evaluator = ThreadEvaluator(n_threads)
    try:
        with JobDisplay(progress()) as display, Interrupts(PAUSING) as interrupts:
            result = run_job(store, job_id, evaluator, observer=display, stop=interrupts.requested)
    finally:
        evaluator.close()
    if as_json:
        print_json(result)
    elif result["state"] == "succeeded":
        screen().print(front_table(result))
        screen().print(conclusion(result), soft_wrap=True)
    if result["state"] == "paused":
        where = f" --db {database}" if database else ""
        note(f"Paused after generation {result['generations']}. Go on with: ruleforge resume {job_id}{where}")
        raise typer.Exit(INTERRUPTED)
