"""`ruleforge jobs` and `rules`: what a record or a service holds."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, islice
from textwrap import wrap
from typing import Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.text import Text

from api.command_line.app import Database, Json, Server, app, print_json, screen
from api.command_line.display import digits_for, note, number, rule_cell, validation
from api.command_line.figures import meaning_of
from api.command_line.interrupts import Interrupts
from api.command_line.listing import Column, listing
from api.command_line.places import Place, place
from api.command_line.single import parameters_said
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
    titles = ["id", "task", "state", "generation", "rules", "best", "created (UTC)"]
    columns = [Column(title, title in ("generation", "rules", "best"), title == "id") for title in titles]
    if any(job["study"] for job in listed):
        columns[-1] = Column("created, study", whole=True)
    rows = [
        (
            job["id"],
            job["task"],
            job["state"],
            str(job["generation"]),
            str(job["evaluations"]),
            number(job["best"], digits_for([job["best"]])),
            _created(job),
        )
        for job in listed
    ]
    console = screen()
    nothing = "No such jobs." if state or task or study else "No jobs yet: `ruleforge evolve reward` starts one."
    console.print(listing(console, "Jobs", columns, rows) if rows else nothing)


def _created(job: dict[str, Any]) -> str:
    """When a job was made, and under it the study that it is part of and the name of its configuration there."""
    when = str(job["created"])[:19].replace("T", " ")
    return "\n".join([when, *([job["study"]] if job["study"] else []), *wrap(job["configuration"] or "", len(when))])


@app.command()
def rules(
    task: OneTask = None,
    job: Annotated[str | None, typer.Option(metavar="ID", help="Only found by this job.")] = None,
    parameters: Annotated[
        str | None,
        typer.Option(metavar="CONTEXT", help="Only of this context, or of NAME=VALUE, several with commas between."),
    ] = None,
    known: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this rule of the literature; `any` or `none`.")
    ] = None,
    min_fitness: Annotated[float | None, typer.Option(help="Only of this training fitness or higher.")] = None,
    max_complexity: Annotated[int | None, typer.Option(help="Only of so many nodes at the most.")] = None,
    text: Annotated[str | None, typer.Option(help="Only with this in the rule's text.")] = None,
    sort: Annotated[str, typer.Option(help=f"By {', '.join(SORTS)}.")] = SORTS[0],
    top: Annotated[int, typer.Option(help="How many of each context.")] = 20,
    score: Annotated[
        bool, typer.Option("--score", help="First score those listed that have no score on the library.")
    ] = False,
    database: Database = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """List the best rules of the record, or of a service, one per behaviour and context.

    Context by context (a family with its version and parameters), because scores of two cannot be compared. By fitness
    on the library, whose instances are the same for all jobs, unless --sort says otherwise. The end of a job scores
    its front there and the known rules, which are listed too, found by 0 jobs. Rules without a score there come after
    the others, by validation fitness, then training fitness; --score gives them one.
    """
    _check(top)
    if task is not None and server is None:
        family_class(task)  # refuses an unknown name
    if sort not in SORTS:
        raise InputError(unknown_name("sort", sort, SORTS), pointer="/sort")
    query = RuleQuery(
        task=task,
        job=job,
        parameters=parameters,
        known=known,
        min_fitness=min_fitness,
        max_complexity=max_complexity,
        text=text,
        sort=sort,
    )
    if top < 1:
        raise InputError(f"--top: expected 1 or more, and {top} came")
    with place(database, server) as here:
        named = here.contexts()
        groups = _listed(here, named, query, top)
        if score and _score(here, named, groups):
            groups = _listed(here, named, query, top)
    if as_json:
        contexts = [named[digest] for digest in groups if digest in named]
        print_json({"rules": [item for items in groups.values() for item in items], "contexts": contexts})
        return
    console = screen()
    restricted = query != RuleQuery(sort=sort)
    if not groups:
        console.print("No such rules." if restricted else "No rules yet: `ruleforge evolve reward` finds some.")
    for digest, items in groups.items():
        context = named.get(digest, {"task": items[0]["task"], "changed": None})
        console.print(_table_of(console, digest, context, items))


def _listed(
    here: Place, named: dict[str, dict[str, Any]], query: RuleQuery, top: int
) -> dict[str, list[dict[str, Any]]]:
    """The first so many rules of each context, in the order in which the contexts come."""
    if query.parameters is not None:
        return _by_context(here.rules(query), top)
    # Each asked for by itself, so that none has to be walked to its end.
    digests = [digest for digest, context in named.items() if query.task in (None, context["task"])]
    each = (islice(here.rules(replace(query, parameters=digest)), top) for digest in digests)
    return _by_context(chain(here.rules(query) if not digests else (), chain.from_iterable(each)), top)


def _score(here: Place, named: dict[str, dict[str, Any]], groups: dict[str, list[dict[str, Any]]]) -> bool:
    """Give every listed rule a score on the library, and say what it took; whether there was any without."""
    missing = {digest: [item for item in items if item["library_fitness"] is None] for digest, items in groups.items()}
    with Interrupts("Stopping (again to end at once) …") as interrupts:
        for digest, items in missing.items():
            if not items or digest not in named:
                continue
            began = time.monotonic()
            note(f"Scoring {len(items)} rule(s) of context {digest} ({named[digest]['task']}) on the library …")
            try:
                n_scored = here.score(named[digest], items, interrupts.requested)
            except InputError as error:
                note(f"Warning: not scored: {error}")
            else:
                rest = f"; {len(items) - n_scored} did not end" if n_scored < len(items) else ""
                note(f"{n_scored} scored in {time.monotonic() - began:.1f} s{rest}")
    return any(missing.values())


def _by_context(items: Iterable[dict[str, Any]], top: int) -> dict[str, list[dict[str, Any]]]:
    """The first so many of each context, in the order in which the contexts come."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        group = groups.setdefault(str(item["context"]), [])
        if len(group) < top:
            group.append(item)
    return groups


def _table_of(console: Console, digest: str, context: dict[str, Any], items: list[dict[str, Any]]) -> RenderableType:
    """The rules of a context, with what its parameters are."""
    titles = ("id", "complexity", "library", "training", "validation", "jobs", "rule = known as")
    columns = [Column(title, title not in ("id", "rule = known as"), title == "id") for title in titles]
    digits = digits_for([item["fitness"] for item in items])
    rows = [
        (
            item["id"][:SHOWN_DIGITS],
            str(item["complexity"]),
            validation(item["library_fitness"], digits),
            number(item["fitness"], digits),
            validation(item["validation_fitness"], digits),
            str(item["found"]),
            rule_cell(item),
        )
        for item in items
    ]
    seen = next((each for item in items if (each := item["library_fitness"] or item["validation_fitness"])), None)
    said = f"; library, validation: {meaning_of(seen)}" if seen else ""
    title = f"{context['task']}, {parameters_said(context)} (context {digest}; fitness: higher is better{said})"
    table = listing(console, title, columns, rows)
    missing = sum(item["library_fitness"] is None for item in items)
    if not missing:
        return table
    said = f"{missing} of these have no score on the library (–) and come last: `ruleforge rules --score` gives one."
    return Group(table, Text(said, style="italic"))
