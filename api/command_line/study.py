"""`ruleforge study`: one specification over several seeds and configurations, with statistics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from api.command_line.app import Database, Json, Scheduler, Server, Workers, app, print_json, progress, screen
from api.command_line.conclusion import verdict_lines
from api.command_line.display import JobDisplay, note, plain_table
from api.command_line.evolve import PAUSING
from api.command_line.figures import digits_for, mean_of, number, unseen
from api.command_line.interrupts import Interrupts
from api.command_line.remote import one_place, study_there
from ruleforge.spec import read_toml
from ruleforge.store import open_store
from workers.evaluators.choose import make_evaluator
from workers.interface import database_url
from workers.pictures import picture_format
from workers.study import run_study, study_result, submit_study
from workers.study import study as read_study
from workers.study_figure import draw_study


@app.command()
def study(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="A job specification with `replicates`.")],
    scheduler: Scheduler = None,
    workers: Workers = None,
    detach: Annotated[
        bool, typer.Option("--detach", help="Only queue the jobs; `ruleforge runner` runs them.")
    ] = False,
    figure: Annotated[
        Path | None, typer.Option(help="Draw how soon the target was reached into this file (png, svg, pdf).")
    ] = None,
    database: Database = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Run a specification with `replicates` seeds, in each of its `configurations`, and compare them.

    The same file in the same record is the same study: it goes on where it stood, and gives its result again when all
    its jobs have ended. With --server the service's runner runs the jobs, and Ctrl-C ends the watching alone.
    """
    one_place(database, server)
    given = read_toml(file)
    asked = read_study(given)
    if figure is not None:
        picture_format(figure)  # what is wrong is said before anything is run
    if server is not None:
        _say(study_there(server, given, detach), figure, as_json)
        return
    with open_store(database_url(database)) as store:
        id = submit_study(store, asked)
        if detach:
            result = study_result(store, id)
        else:
            evaluator = make_evaluator(scheduler, workers, warn=note)
            try:
                with JobDisplay(progress()) as display, Interrupts(PAUSING) as interrupts:
                    note(f"Study {id}: {len(store.study(id).jobs)} jobs")
                    result = run_study(store, id, evaluator, observer=display, stop=interrupts.requested)
            finally:
                evaluator.close()
    _say(result, figure, as_json)


def _say(result: Mapping[str, Any], figure: Path | None, as_json: bool) -> None:
    if figure is not None:
        draw_study(result, figure)
    if as_json:
        print_json(result)
    else:
        screen().print(_table(result))
        for winner in result["winners"]:
            screen().print("\n".join(_winner_lines(winner)), soft_wrap=True)


def _table(result: Mapping[str, Any]) -> Table:
    table = plain_table(f"Study {result['study']}: {result['state']} (rates with 95 % interval, fitness ± s.e.)")
    titles = ["configuration", "jobs", "reached", "success rate", "evaluations to target", "validation, reported"]
    titles.append("test, reported")
    several = len(result["rows"]) > 1
    if several:
        titles.append("p (Fisher, log-rank)")
    for title in titles:
        table.add_column(title, justify="left" if title == "configuration" else "right", overflow="fold")
    for row in result["rows"]:
        figures = [row["validation_fitness"], row["test_fitness"]]
        table.add_row(
            Text(row["configuration"]),
            f"{row['succeeded']} of {row['n']}",
            "–" if row["target"] is None else f"{row['reached']} (target {row['target']:g})",
            _rate(row),
            _evaluations(row["evaluations_to_target"], row["target"]),
            *(_figure(each) for each in figures),
            *([_chance(row["against_first"])] if several else []),
        )
    return table


def _figure(value: Mapping[str, Any]) -> str:
    """Mean over jobs ± standard error (number of jobs)."""
    return f"{mean_of(value, digits_for([value['mean']]))} (n={value['n']})" if value["n"] else number(None)


def _winner_lines(winner: Mapping[str, Any]) -> list[str]:
    """The winner of a context in words, never its validation figure without that of the test."""
    rule = winner["reported"]
    where = f"{winner['configuration']}, seed {winner['seed']}"
    if rule["test_fitness"] is None:
        return [f"Best by validation: {rule['rule']} ({where}); its test stream has not been opened yet."]
    chosen, test = rule["validation_fitness"], rule["test_fitness"]
    digits = digits_for([test["aggregate"]])
    return [
        f"Winner, chosen by validation: {rule['rule']} ({where}). Validation {unseen(chosen, digits)}; "
        f"test, a fresh stream of the study: {unseen(test, digits)}.",
        *verdict_lines(winner["verdicts"], winner["task"]),
    ]


def _rate(row: Mapping[str, Any]) -> str:
    if row["success_rate"] is None:
        return "–"
    low, high = row["interval"]
    return f"{100 * row['success_rate']:.0f} % ({100 * low:.0f} … {100 * high:.0f})"


def _chance(p: Mapping[str, float] | None) -> str:
    """How probable such a difference to the first configuration is by chance: of the rates, of the evaluations."""
    return "" if p is None else f"{p['p_success_rate']:.2g}, {p['p_evaluations']:.2g}"


def _evaluations(quartiles: Mapping[str, Any], target: float | None) -> str:
    """Median (quartiles); beyond the budget where too few jobs reached the target."""
    if target is None:
        return "–"
    beyond = "–" if quartiles["censored_at"] is None else f"> {quartiles['censored_at']}"
    low, middle, high = (
        beyond if quartiles[name] is None else str(quartiles[name])
        for name in ("lower_quartile", "median", "upper_quartile")
    )
    return f"{middle} ({low} … {high})"
