"""Side by side: per family ruleforge, the C limit, NEST and Brian2 on the same problem, in alternating rounds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks import problems
from benchmarks.c_limits import FLAGS, Limit, NoLimit
from benchmarks.peers.brian import Brian
from benchmarks.peers.others import nest
from benchmarks.peers.process import NoPeer
from benchmarks.problems import Problem
from benchmarks.timing import Contender, InProcess, Row, Timing, alternate

OURS, OURS_BATCH, LIMIT = "ruleforge", "ruleforge, 16 rules", "C limit"


class LimitContender:
    """The C limit of a problem; `problem` may have fewer rules than the one that it is compared with."""

    def __init__(self, problem: Problem, *, block: int | None = None, name: str = LIMIT, note: str = "") -> None:
        self.name, self.note = name, note or f"gcc {' '.join(FLAGS[:3])}; the same rules, inputs and results"
        self._limit, self._n_units = Limit(problem, block=block), problem.n_units

    def measure(self) -> Timing:
        """Run it once; reading the input is not counted."""
        run = self._limit.run()
        return Timing(run.cpu_seconds / self._n_units, run.wall_seconds / self._n_units)

    def close(self) -> None:
        """Remove its files."""
        self._limit.close()


def ours(problem: Problem, name: str = OURS) -> InProcess:
    """The kernel as a search calls it: from rules and instances to scores."""
    return InProcess(
        name,
        problem.measure,
        problem.n_units,
        f"{len(problem.rules)} rule{'s' if len(problem.rules) > 1 else ''} in one call",
    )


def compared(makers: Sequence[tuple[str, Callable[[], Contender]]], rounds: int) -> list[Row]:
    """Rows of all contenders that can be had; the others say why not."""
    contenders: list[Contender] = []
    absent: list[Row] = []
    with contextlib.ExitStack() as stack:
        for name, make in makers:
            try:
                contender = make()
            except (NoPeer, NoLimit) as reason:
                absent.append(Row(name, absent=str(reason)))
                continue
            stack.callback(contender.close)
            contenders.append(contender)
        return alternate(contenders, rounds) + absent


def reward(resolution: float, n_trials: int, peers_trials: int, rounds: int, peers: bool = True) -> dict[str, Any]:
    """Per 500 ms trial of one rule, sixteen rules in a batch."""
    given = {"resolution": resolution, "n_trials": n_trials}
    problem = problems.reward(given)
    few: dict[str, Any] = {"resolution": resolution, "n_trials": peers_trials}
    makers: list[tuple[str, Callable[[], Contender]]] = [
        (OURS, lambda: ours(problem)),
        (LIMIT, lambda: LimitContender(problem)),
    ]
    if peers:
        makers += [
            ("NEST", lambda: nest("reward", few)),
            ("NEST, trial by trial", lambda: nest("reward_by_trial", few)),
            ("Brian2", lambda: Brian(problems.reward(few, problems.REWARD_RULES[:1]))),
        ]
    return _section("reward", f"h = {resolution:g} ms", problem, compared(makers, rounds))


def reward_search(n_trials: int, rounds: int) -> dict[str, Any]:
    """Per trial of one rule that a search would ask for; many of these drive the weights far off."""
    problem = problems.reward({"n_trials": n_trials}, problems.rules_of_a_search("reward", 16))
    makers: list[tuple[str, Callable[[], Contender]]] = [
        (OURS, lambda: ours(problem)),
        (LIMIT, lambda: LimitContender(problem)),
    ]
    return _section("reward", "h = 0.1 ms, first rules of a search", problem, compared(makers, rounds))


def supervised(resolution: float, duration: float, text: str, label: str, rounds: int, peers: bool) -> dict[str, Any]:
    """Per experiment of one rule, sixteen experiments in lanes."""
    given = {"resolution": resolution, "duration": duration, "comparison_start": min(1000.0, duration / 10)}
    problem = problems.supervised(given, [text])
    batch = problems.supervised(given, [text] * 16)
    makers: list[tuple[str, Callable[[], Contender]]] = [
        (OURS, lambda: ours(problem)),
        (OURS_BATCH, lambda: ours(batch, OURS_BATCH)),
        (LIMIT, lambda: LimitContender(problem, note=f"gcc {' '.join(FLAGS[:3])}; blocks of steps as in the kernel")),
        ("C, step by step", lambda: LimitContender(problem, block=1, name="C, step by step", note="no blocks")),
    ]
    if peers:
        makers += [
            ("NEST", lambda: nest("supervised", given)),
            ("Brian2", lambda: Brian(problems.supervised(given, ["s*(v - u)"], 1))),
        ]
    return _section("supervised", f"h = {resolution:g} ms, {label}", problem, compared(makers, rounds))


def correlation(duration: float, rounds: int) -> dict[str, Any]:
    """Per experiment of one rule; additive STDP everywhere."""
    given = {"duration": duration, "readout": min(11_000.0, duration)}
    problem = problems.correlation(given, [problems.CORRELATION_RULE])
    makers: list[tuple[str, Callable[[], Contender]]] = [
        (OURS, lambda: ours(problem)),
        (LIMIT, lambda: LimitContender(problem)),
        ("NEST", lambda: nest("correlation", given)),
        ("Brian2", lambda: Brian(problem)),
        ("Brian2, 8 at once", lambda: Brian(problem, 8)),
    ]
    return _section("correlation", "additive STDP", problem, compared(makers, rounds))


def several_rules(duration: float, rounds: int) -> dict[str, Any]:
    """Per experiment of one rule, four rules of 3 to 9 nodes, in one call."""
    problem = problems.correlation({"duration": duration, "readout": min(11_000.0, duration)})
    makers: list[tuple[str, Callable[[], Contender]]] = [
        (OURS, lambda: ours(problem)),
        (LIMIT, lambda: LimitContender(problem)),
    ]
    return _section("correlation", f"{len(problem.rules)} rules", problem, compared(makers, rounds))


def elementary(settings: Mapping[str, Any], rounds: int) -> list[dict[str, Any]]:
    """Rules with pow, exp, log, apart from the others; ruleforge and the C limit."""
    sections = []
    correlated = {"duration": settings["duration_correlation"]}
    correlated["readout"] = min(11_000.0, correlated["duration"])
    chosen: list[tuple[str, Problem]] = [
        (
            "pow",
            problems.correlation(correlated, problems.CORRELATION_RULES_ELEMENTARY),
        )
    ]
    given = {"duration": settings["duration"], "comparison_start": min(1000.0, settings["duration"] / 10)}
    for label in ("with exp", "with log", "with pow"):
        chosen.append((label.removeprefix("with "), problems.supervised(given, [problems.SUPERVISED_RULES[label]])))
    texts = [text for text in problems.REWARD_RULES_ELEMENTARY if "tanh" not in text]
    chosen.append(("exp, log, pow", problems.reward({"n_trials": settings["n_trials"]}, texts)))
    for label, problem in chosen:
        makers: list[tuple[str, Callable[[], Contender]]] = [
            (OURS, lambda problem=problem: ours(problem)),  # type: ignore[misc]
            (LIMIT, lambda problem=problem: LimitContender(problem)),  # type: ignore[misc]
        ]
        sections.append(_section(problem.name, f"rules with {label}", problem, compared(makers, rounds)))
    return sections


def _section(family: str, setting: str, problem: Problem, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "family": family,
        "setting": setting,
        "unit": problem.unit,
        "rules": [rule.text for rule in problem.rules],
        "rows": [vars(row) for row in rows],
    }
