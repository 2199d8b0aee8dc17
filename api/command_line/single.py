"""One rule as `ruleforge show` prints it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from api.command_line.figures import described, digits_for, known, nearest, number
from workers.origin import ALWAYS


def described_rule(item: Mapping[str, Any]) -> Table:
    """Formula, scores and names of a rule, and under what it was found, one line for each."""
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    digits = digits_for([item["fitness"]])
    table.add_row("rule", Text(item["rule"]))
    if item["simplified"]:
        simple = item["simplified"]
        moved = (
            f", poles moved at {simple['poles_moved']} of {simple['probes']} probes" if simple["poles_moved"] else ""
        )
        difference = simple["largest_relative_difference"]
        table.add_row("simplified", Text(f"{simple['rule']}   (relative difference {difference:.1e}{moved})"))
    table.add_row("LaTeX", Text(item["latex"]))
    table.add_row("task", item["task"])
    table.add_row("known as", Text(known(item) or nearest(item["nearest_known"]) or "–"))
    table.add_row("complexity", str(item["complexity"]))
    if not item["found_under"]:
        table.add_row("found by", "no job of this record")
    for context in item["found_under"]:
        own = item if context["context"] == item["context"] else context
        _add_context(table, own, context, digits)
    table.add_row("id", item["id"])
    if item["figure"]:
        table.add_row("figure", item["figure"])
    return table


def _add_context(table: Table, measured: Mapping[str, Any], context: Mapping[str, Any], digits: int) -> None:
    """What was measured in a context, the test figures beside the validation that they belong to, and who found it."""
    table.add_row()
    table.add_row("context", Text(f"{context['context']}: {parameters_said(context)}"))
    table.add_row("library fitness", Text(described(measured["library_fitness"], digits)))
    table.add_row("training fitness", number(measured["fitness"], digits))
    table.add_row("validation fitness", Text(described(measured["validation_fitness"], digits)))
    tested = [job for job in context["jobs"] if job["test_fitness"] is not None]
    for job in tested:
        table.add_row("test fitness", Text(f"{described(job['test_fitness'], digits)}, reported by job {job['job']}"))
    if measured["validation_fitness"] is not None and not tested:
        table.add_row("test fitness", "–, because no job reported it")
    jobs = context["jobs"]
    more = context["found"] - len(jobs)
    rest = f", of which {len(jobs)} are told of here" if jobs and more > 0 else ""
    table.add_row("found by", f"{context['found']} job(s){rest}")
    for grammar, theirs in _by_grammar(jobs):
        table.add_row("jobs", Text("\n".join(_job_said(job) for job in theirs)))
        table.add_row("grammar", Text(_grammar_said(grammar)))


def parameters_said(context: Mapping[str, Any]) -> str:
    """Which parameters of a context differ from the family's defaults, in a line."""
    changed = context["changed"]
    if changed is None:
        return "parameters that are not known here"
    return ", ".join(f"{name}={value}" for name, value in changed.items()) or "default parameters"


def _job_said(job: Mapping[str, Any]) -> str:
    seed = "of an unknown seed" if job["seed"] is None else f"seed {job['seed']}"
    study = f", study {job['study']}, configuration {job['configuration']}" if job["study"] else ""
    return f"{job['job']}, {seed}{study}"


def _by_grammar(jobs: Sequence[Mapping[str, Any]]) -> list[tuple[Any, list[Mapping[str, Any]]]]:
    """The jobs that had the same grammar together, in the order of the first of each."""
    groups: list[tuple[Any, list[Mapping[str, Any]]]] = []
    for job in jobs:
        theirs = next((theirs for grammar, theirs in groups if grammar == job["grammar"]), None)
        if theirs is None:
            groups.append((job["grammar"], [job]))
        else:
            theirs.append(job)
    return groups


def _grammar_said(grammar: Mapping[str, Any] | None) -> str:
    """What rules could be made of; of the rest what was set at all."""
    if grammar is None:
        return "–"
    rest = [name for name, value in grammar.items() if name not in ALWAYS and value not in (None, [], {}, "ignored")]
    return "\n".join(
        f"{name.replace('_', ' ')}: {_value_said(grammar[name])}" for name in (*ALWAYS, *rest) if name in grammar
    )


def _value_said(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_value_said(each)}" for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return " ".join(map(_value_said, value))
    return f"{value:g}" if isinstance(value, float) else f"{value}"
