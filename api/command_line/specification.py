"""The options that make a job specification: the same for `evolve` and `submit`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ruleforge.errors import InputError
from ruleforge.family import family_class
from ruleforge.spec import apply_setting, as_table, read_toml

Seed = Annotated[int | None, typer.Option(help="Seed of the search and the training instances [default: 0].")]
Generations = Annotated[int | None, typer.Option(help="Stop after so many generations.")]
Evaluations = Annotated[
    int | None, typer.Option("--budget", metavar="EVALUATIONS", help="Stop after so many distinct rules.")
]
Seconds = Annotated[float | None, typer.Option("--time", metavar="SECONDS", help="Stop after this time.")]
Target = Annotated[float | None, typer.Option(help="Stop at this training fitness.")]
Config = Annotated[Path | None, typer.Option(help="A job specification in TOML; options go over it.")]

From = Annotated[
    str | None,
    typer.Option("--from", metavar="JOB", help="Start from the front of this job, of the same task and record."),
]


def given_specification(
    task: str | None,
    seed: int | None,
    chosen_limits: Mapping[str, Any],
    config: Path | None,
    settings: list[str] | None,
) -> dict[str, Any]:
    """The specification of these options, as it was given: nothing filled in. `task`: None for that of the file."""
    given = read_toml(config) if config is not None else {}
    if task is None and "task" not in given:
        raise InputError("expected a TASK, or --config FILE with one: `ruleforge tasks` lists them", pointer="/task")
    task = str(given["task"]) if task is None else task
    family = family_class(task)
    if given.get("task", task) != task:
        raise InputError(f"{config} is a specification for {given['task']!r}, and {task!r} was asked for")
    given["task"] = task
    for setting in settings or []:
        apply_setting(given, setting, family)
    if seed is not None:
        given["seed"] = seed
    chosen = {name: value for name, value in chosen_limits.items() if value is not None}
    if chosen:
        before = as_table(given.get("budget", {}))
        given["budget"] = {**before, **chosen}
    return given
