"""`ruleforge tasks`, `evaluate` and `show`: families and single rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from api.command_line.app import Database, Json, Server, Settings, Task, Workers, app, print_json, screen
from api.command_line.display import digits_for, number, plain_table, rule_cell, validation
from api.command_line.figures import mean_of, meaning_of
from api.command_line.interrupts import Interrupts
from api.command_line.places import place, tasks_here
from api.command_line.remote import evaluate_there, one_place
from api.command_line.single import described_rule
from ruleforge.errors import InputError
from ruleforge.family import TaskFamily, family, family_class
from ruleforge.language.rule import Rule
from ruleforge.spec import apply_setting
from ruleforge.store import open_store
from workers.evaluate import evaluate_rules
from workers.evaluators import Evaluator
from workers.evaluators.choose import make_evaluator
from workers.interface import database_url
from workers.pictures import picture_format
from workers.reproduce import reproduce as run_reproduction

RuleId = Annotated[
    str,
    typer.Argument(metavar="RULE_ID", help="Id of a rule or its beginning; `champion` or `best`: of the newest job."),
]


def given_parameters(chosen: type[TaskFamily], settings: list[str] | None) -> dict[str, Any]:
    """The parameters of --set; other keys of a specification are refused where there is no job."""
    given: dict[str, Any] = {}
    for setting in settings or []:
        apply_setting(given, setting, chosen)
    if foreign := given.keys() - {"parameters"}:
        raise InputError(f"--set: expected parameters of {chosen.name}, and {', '.join(sorted(foreign))} came")
    parameters: dict[str, Any] = given.get("parameters", {})
    return parameters


@app.command()
def tasks(
    task: Annotated[str | None, typer.Argument(metavar="[TASK]", help="One family with all its parameters.")] = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """List the task families, here or of a service: slots, signals with units, parameters, known rules."""
    if server is None:
        described = tasks_here(task)
    else:
        with place(None, server) as there:
            described = there.tasks(task)
    if as_json:
        print_json({"tasks": described})
        return
    for item in described:
        _print_family(item)


def _print_family(item: dict[str, Any]) -> None:
    console = screen()
    console.print(f"\n[bold]{item['name']}[/bold]  {item['title']}\n  {item['citation']}", soft_wrap=True)
    console.print(f"  fitness: {item['fitness']}", soft_wrap=True)
    for slot in item["slots"]:
        table = plain_table(f"slot {slot['name']} ({slot['when']}): {slot['updates']}")
        for title in ("signal", "unit", "range", "meaning"):
            table.add_column(title)
        for signal in slot["signals"]:
            low, high = signal["range"]
            reach = ", ".join(f"{v:g}" for v in signal["values"]) if signal["values"] else f"{low:g} … {high:g}"
            extra = "" if signal["default"] else " (if the grammar names it)"
            table.add_row(signal["symbol"], signal["unit"], reach, signal["meaning"] + extra)
        console.print(table)
    table = plain_table("parameters (--set NAME=VALUE; defaults from the publication above unless said)")
    for title in ("name", "default", "unit", "meaning"):
        table.add_column(title, no_wrap=title == "name", overflow="fold")
    for parameter in item["parameters"]:
        default = "none" if parameter["default"] is None else f"{parameter['default']}"
        source = "" if parameter["source"] == item["citation"] else f" ({parameter['source']})"
        table.add_row(parameter["name"], default, parameter["unit"], parameter["meaning"] + source)
    console.print(table)
    table = plain_table("known rules")
    for title in ("rule", "published", "name, citation"):
        table.add_column(title, overflow="fold")
    for rule in item["known_rules"]:
        published = "–" if rule["published"] is None else f"{rule['published']:g}"
        table.add_row(Text(rule["rule"]), published, f"{rule['name']}: {rule['citation']}")
    console.print(table)


@contextmanager
def _scoring(workers: int | None) -> Iterator[tuple[Evaluator, Callable[[], bool]]]:
    """Threads that score, and the question whether Ctrl-C asked them to stop."""
    evaluator = make_evaluator(workers=workers)
    try:
        with Interrupts("Stopping (again to end at once) …") as interrupts:
            yield evaluator, interrupts.requested
    finally:
        evaluator.close()


@app.command()
def evaluate(
    task: Task,
    rule: Annotated[list[str], typer.Option(metavar="TEXT", help="A rule; repeatable.")],
    split: Annotated[str, typer.Option(help="training, validation, test or library.")] = "training",
    n: Annotated[int | None, typer.Option("--n", help="Number of instances [default: the family's].")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the instances.")] = 0,
    settings: Settings = None,
    workers: Workers = None,
    database: Annotated[
        str | None,
        typer.Option("--db", metavar="URL", help="Keep the scores in this record, and use those that it has [none]."),
    ] = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Score rules on instances of a task, here or on the workers of a service, which keeps the scores.

    With several rules, --json gives {"evaluations": […]}.
    """
    one_place(database, server)
    if server is not None:
        parameters = given_parameters(family_class(task), settings) if settings else {}
        found = evaluate_there(server, task, rule, split=split, n=n, seed=seed, parameters=parameters)
    else:
        chosen = family(task, given_parameters(family_class(task), settings))
        parsed = [Rule.parse(text, task) for text in rule]
        record = nullcontext() if database is None else open_store(database_url(database))
        with _scoring(workers) as (evaluator, stop), record as store:
            found = evaluate_rules(evaluator, chosen, parsed, split=split, n=n, seed=seed, store=store, stop=stop)
    if as_json:
        print_json(found[0] if len(found) == 1 else {"evaluations": found})
        return
    digits = digits_for([item["aggregate"] for item in found])
    table = plain_table(f"{task}, {split} split, seed {seed} (fitness: higher is better)")
    meaning = meaning_of(found[0])
    of_means = meaning == "mean ± s.e."
    for title in ("fitness" if of_means else meaning, "mean ± s.e.", "outcome", "complexity", "rule = known as"):
        table.add_column(title, overflow="fold", justify="left" if title[0] in "or" else "right")
    for item in found:
        table.add_row(
            number(item["aggregate"], digits) if of_means else validation(item, digits),
            validation(item, digits) if of_means else mean_of(item, digits),
            item["outcome"],
            str(item["complexity"]),
            rule_cell(item).append(_metrics(item["metrics"]), "dim"),
        )
    screen().print(table)


def _metrics(means: Mapping[str, float | None]) -> str:
    """The means of what the family measures beside fitness, in a line of their own."""
    said = (f"{name.replace('_', ' ')} {'–' if mean is None else f'{mean:.4g}'}" for name, mean in means.items())
    return f"\n{', '.join(said)}" if means else ""


@app.command()
def reproduce(
    task: Task,
    split: Annotated[str, typer.Option(help="training or validation; validation implies its published settings.")] = (
        "training"
    ),
    first_seed: Annotated[
        int | None,
        typer.Option(
            "--first-seed", "--draw-seed", metavar="N", help="Where the experiments begin [default: published]."
        ),
    ] = None,
    n: Annotated[int | None, typer.Option("--n", help="Number of experiments [default: as published].")] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="Score this rule instead of the published ones; repeatable."),
    ] = None,
    settings: Settings = None,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Run the published experiments of a task again: our fitness beside the published one.

    The seed numbers experiments as their authors did: reward, our own instances seeded N, N+1, …; supervised, one
    experiment per seed from N; correlation, all inputs from RandomState(N), the initial weights from RandomState(N−12).
    """
    chosen = family_class(task)
    parameters = given_parameters(chosen, settings)
    with _scoring(workers) as (evaluator, stop):
        found = run_reproduction(
            evaluator,
            chosen,
            split=split,
            first_seed=first_seed,
            n=n,
            rules=rule or (),
            parameters=parameters,
            stop=stop,
        )
    if as_json:
        print_json(found)
        return
    digits = digits_for([row["aggregate"] for row in found["rows"]])
    table = plain_table(f"{task}, published experiments, {split} (fitness: higher is better)")
    for title in ("published", "ours", "ratio", "re-implemented", "n", "rule"):
        table.add_column(title, justify="left" if title == "rule" else "right", overflow="fold")
    for row in found["rows"]:
        ratio = "–" if row["ratio"] is None else f"{row['ratio']:.4f}"
        remarks = [f"{row['split']}, {row['statistic']}, {row['parameters']}"] if row["parameters"] else []
        if row["n_not_ok"]:
            rest = f"; mean of the others {number(row['mean_of_finite'], digits)}" if row["mean_of_finite"] else ""
            remarks.append(f"{row['outcome']} in {row['n_not_ok']} of {row['n']} experiments{rest}")
        table.add_row(
            number(row["published"], 2),
            number(row["aggregate"], max(digits, 2)),
            ratio,
            number(row["reimplemented"], 3),
            str(row["n"]),
            Text.assemble(row["rule"], *(("\n" + remark, "italic") for remark in remarks)),
        )
    screen().print(table)


@app.command()
def show(
    rule_id: RuleId,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the rule into this file (png, svg, pdf; of a service svg).")
    ] = None,
    database: Database = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Show one rule: formula, scores, name, and on request a picture of what it does."""
    if figure is not None:
        picture_format(figure)  # what is wrong is said before anything is asked
    with place(database, server) as here:
        found = here.rule(rule_id)
        if figure is not None:
            here.draw(found, figure)
        item = here.details(found)
    item["figure"] = str(figure) if figure else None
    if as_json:
        print_json(item)
    else:
        screen().print(described_rule(item))
