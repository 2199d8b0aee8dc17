"""`ruleforge jobs` and `rules`: what a record or a service holds."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from api.command_line.app import Database, Json, Server, app, print_json, screen
from api.command_line.display import digits_for, number, rule_cell, validation
from api.command_line.listing import Column, listing
from api.command_line.places import place
from ruleforge.errors import InputError, unknown_name
from ruleforge.family import family_class
from ruleforge.store import SORTS, STATES, RuleQuery

# Digits of a rule's id in a table: as many as a job has, and any command takes them.
SHOWN_DIGITS = 12
OneTask = Annotated[str | None, typer.Option("--task", help="Only of this task family.")]


def _check(top: int | None) -> None:
    if top is not None and top < 1:
        raise InputError(f"--top: expected 1 or more, and {top} came")


@app.command()
def jobs(
    state: Annotated[str | None, typer.Option(help=f"Only those that are {', '.join(STATES)}.")] = None,
    task: OneTask = None,
    study: Annotated[str | None, typer.Option(metavar="ID", help="Only those of this study.")] = None,
    top: Annotated[int | None, typer.Option(help="How many [default: all].")] = None,
    database: Database = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """List the jobs of the record, or of a service, newest first."""
    _check(top)
    if state is not None and state not in STATES:
        raise InputError(unknown_name("state", state, STATES), pointer="/state")
    with place(database, server) as here:
        listed = list(islice(here.jobs(state, task, study), top))
    if as_json:
        print_json({"jobs": listed})
        return
    titles = ("id", "task", "state", "generation", "rules", "best", "created (UTC)")
    columns = [Column(title, title in ("generation", "rules", "best"), title == "id") for title in titles]
    rows = [
        (
            job["id"],
            job["task"],
            job["state"],
            str(job["generation"]),
            str(job["evaluations"]),
            number(job["best"], digits_for([job["best"]])),
            str(job["created"])[:19].replace("T", " "),
        )
        for job in listed
    ]
    console = screen()
    nothing = "No such jobs." if state or task or study else "No jobs yet: `ruleforge evolve reward` starts one."
    console.print(listing(console, "Jobs", columns, rows) if rows else nothing)


@app.command()
def rules(
    task: OneTask = None,
    known: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this rule of the literature; `any` or `none`.")
    ] = None,
    min_fitness: Annotated[float | None, typer.Option(help="Only of this training fitness or higher.")] = None,
    max_complexity: Annotated[int | None, typer.Option(help="Only of so many nodes at the most.")] = None,
    text: Annotated[str | None, typer.Option(help="Only with this in the rule's text.")] = None,
    sort: Annotated[str, typer.Option(help=f"By {', '.join(SORTS)}.")] = SORTS[0],
    top: Annotated[int, typer.Option(help="How many.")] = 20,
    database: Database = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """List the best rules of the record, or of a service, one per behaviour.

    By validation fitness, then training fitness, unless --sort says otherwise.
    """
    _check(top)
    if task is not None and server is None:
        family_class(task)  # refuses an unknown name
    if sort not in SORTS:
        raise InputError(unknown_name("sort", sort, SORTS), pointer="/sort")
    query = RuleQuery(
        task=task, known=known, min_fitness=min_fitness, max_complexity=max_complexity, text=text, sort=sort
    )
    with place(database, server) as here:
        listed = list(islice(here.rules(query), top))
    if as_json:
        print_json({"rules": listed})
        return
    several = len({item["task"] for item in listed}) > 1
    titles = ("id", *(("task",) if several else ()), "complexity", "training", "validation", "jobs", "rule = known as")
    columns = [Column(title, title not in ("id", "task", "rule = known as"), title == "id") for title in titles]
    digits = {
        name: digits_for([item["fitness"] for item in listed if item["task"] == name])
        for name in {item["task"] for item in listed}
    }
    rows = [
        (
            item["id"][:SHOWN_DIGITS],
            *((item["task"],) if several else ()),
            str(item["complexity"]),
            number(item["fitness"], digits[item["task"]]),
            validation(item["validation_fitness"], digits[item["task"]]),
            str(item["found"]),
            rule_cell(item),
        )
        for item in listed
    ]
    console = screen()
    restricted = query != RuleQuery(sort=sort)
    nothing = "No such rules." if restricted else "No rules yet: `ruleforge evolve reward` finds some."
    title = "Rules (fitness: higher is better, ± s.e.)"
    console.print(listing(console, title, columns, rows) if rows else nothing)
