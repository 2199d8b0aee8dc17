"""`ruleforge jobs` and `rules`: what the record holds."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.command_line.app import Database, Json, app, print_json, screen
from api.command_line.display import digits_for, number, plain_table, rule_cell, validation
from ruleforge.errors import InputError
from ruleforge.family import family_class
from ruleforge.store import FoundRule, JobRecord, open_store
from workers.interface import database_url
from workers.scoring import rule_object


def job_object(job: JobRecord) -> dict[str, Any]:
    """A job as lists show it."""
    return {
        "id": job.id,
        "task": job.task,
        "state": job.state,
        "generation": job.generation,
        "evaluations": job.evaluations,
        "best": job.best,
        "created": job.created.isoformat(),
    }


def found_object(found: FoundRule) -> dict[str, Any]:
    """The rule object of a recorded rule, with the number of jobs that found it and the newest of them."""
    item = rule_object(found.rule, found.fitness, found.outcome, found.validation)
    return {"task": found.rule.task, **item, "found": found.found, "jobs": found.jobs}


@app.command()
def jobs(database: Database = None, as_json: Json = False) -> None:
    """List the jobs of the record, newest first."""
    with open_store(database_url(database), create=False) as store:
        listed = [job_object(job) for job in store.jobs()]
    if as_json:
        print_json({"jobs": listed})
        return
    table = plain_table("Jobs")
    for title in ("id", "task", "state", "generation", "rules", "best", "created (UTC)"):
        right = title in ("generation", "rules", "best")
        table.add_column(title, justify="right" if right else "left", no_wrap=True)
    for job in listed:
        best = number(job["best"], digits_for([job["best"]]))
        created = str(job["created"])[:19].replace("T", " ")
        table.add_row(
            job["id"], job["task"], job["state"], str(job["generation"]), str(job["evaluations"]), best, created
        )
    screen().print(table if listed else "No jobs yet: `ruleforge evolve reward` starts one.")


@app.command()
def rules(
    task: Annotated[str | None, typer.Option(help="Only rules of this task family.")] = None,
    top: Annotated[int, typer.Option(help="How many.")] = 20,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """List the best rules of the record, one per behaviour, by validation fitness, then training fitness."""
    if task is not None:
        family_class(task)  # refuses an unknown name
    if top < 1:
        raise InputError(f"--top: expected 1 or more, and {top} came")
    with open_store(database_url(database), create=False) as store:
        listed = [found_object(found) for found in store.rules(task, top)]
    if as_json:
        print_json({"rules": listed})
        return
    table = plain_table("Rules (fitness: higher is better, ± s.e.)")
    several = len({item["task"] for item in listed}) > 1
    titles = ("id", *(("task",) if several else ()), "complexity", "training", "validation", "jobs", "rule = known as")
    for title in titles:
        left = title in ("id", "task", "rule = known as")
        table.add_column(title, justify="left" if left else "right", no_wrap=left and title[0] != "r", overflow="fold")
    digits = {
        name: digits_for([item["fitness"] for item in listed if item["task"] == name])
        for name in {item["task"] for item in listed}
    }
    for item in listed:
        table.add_row(
            item["id"][:8],
            *((item["task"],) if several else ()),
            str(item["complexity"]),
            number(item["fitness"], digits[item["task"]]),
            validation(item["validation_fitness"], digits[item["task"]]),
            str(item["found"]),
            rule_cell(item),
        )
    screen().print(table if listed else "No rules yet: `ruleforge evolve reward` finds some.")
