"""Tables and a figure of success rates and evaluations to the solution, from the rows of `benchmarks.success`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tables import number, probability, table
from ruleforge.statistics.searches import Times, fisher_exact, log_rank, quartiles, wilson
from workers.study_figure import draw_found

Rows = Sequence[Mapping[str, Any]]


def goals_of(rows: Rows) -> list[str]:
    """What the searches of one part were to find, in order of the rows."""
    names = [name for row in rows for name in [*row["goals"], *row["found"]]]
    return list(dict.fromkeys(names))


def times_of(rows: Rows, goals: Sequence[str]) -> Times:
    """Evaluations until the goals, one number per search and goal."""
    reached: list[float] = []
    censored: list[float] = []
    for row in rows:
        for goal in goals:
            found = row["found"].get(goal)
            (censored if found is None else reached).append((found or row)["evaluations"])
    return Times(tuple(reached), tuple(censored))


def groups(rows: Rows, part: str) -> dict[str, list[Mapping[str, Any]]]:
    """The rows of a part by configuration."""
    labels = dict.fromkeys(row["label"] for row in rows if row["part"] == part)
    return {label: [row for row in rows if (row["part"], row["label"]) == (part, label)] for label in labels}


def sections(rows: Rows) -> list[tuple[str, str, list[str]]]:
    """(part, title, goals) of each table: one per goal, and one for all planted rules of a family together."""
    found = []
    for part in dict.fromkeys(row["part"] for row in rows):
        goals = goals_of([row for row in rows if row["part"] == part])
        if part.startswith("planted/"):
            found.append((part, f"{part}: {len(goals)} rules", goals))
        else:
            found += [(part, f"{part}: {goal}", [goal]) for goal in goals]
    return found


def text(rows: Rows) -> str:
    """Markdown: per goal the success rate of each configuration, evaluations to it, and the first one compared."""
    parts = []
    head = [
        "configuration",
        "found",
        "rate",
        "95 % (Wilson)",
        "median",
        "quartiles",
        "seconds",
        "p (Fisher)",
        "p (log-rank)",
    ]
    for part, title, goals in sections(rows):
        lines = []
        first: tuple[int, int, Times] | None = None
        for label, group in groups(rows, part).items():
            times = times_of(group, goals)
            successes, n = len(times.reached), times.n
            low, high = wilson(successes, n)
            lower, median, upper = quartiles(times)
            seconds = [
                row["found"][goal]["seconds"]
                for row in group
                for goal in goals
                if "seconds" in row["found"].get(goal, {})
            ]
            line = [label, f"{successes} of {n}", number(successes / n), f"{low:.2f} … {high:.2f}"]
            line += [_count(median), f"{_count(lower)}, {_count(upper)}"]
            line.append(number(sorted(seconds)[len(seconds) // 2]) if seconds else "–")
            if first is None:
                first = successes, n, times
                line += ["", ""]
            else:
                line += [
                    probability(fisher_exact(first[0], first[1], successes, n)),
                    probability(log_rank(first[2], times)[1]),
                ]
            lines.append(line)
        parts.append(f"### {title}\n\n{table(head, lines)}")
    return "\n".join(parts)


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def draw(rows: Rows, path: Path) -> None:
    """The share of searches that have found each goal, over evaluations: Kaplan and Meier's estimate."""
    from matplotlib.figure import Figure

    every = sections(rows)
    figure = Figure(figsize=(5.0 * len(every), 3.6), layout="constrained")
    panels = figure.subplots(1, len(every), squeeze=False)[0]
    for axes, (part, title, goals) in zip(panels, every, strict=True):
        draw_found(axes, {label: times_of(group, goals) for label, group in groups(rows, part).items()}, title)
    figure.savefig(path, dpi=100)
