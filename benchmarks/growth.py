"""`python -m benchmarks.growth [--quick]`: how the cost grows with rules, inputs, instances and size of expressions."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import page
from benchmarks.machine import description, use_one_core
from benchmarks.peers.process import ROOT
from benchmarks.problems import CORRELATION_RULES, REWARD_RULES, parsed
from benchmarks.tables import duration, table
from ruleforge.family import TaskFamily, family
from ruleforge.language.rule import Rule
from workers.evaluators import SerialEvaluator

FIGURES = ROOT / "docs" / "figures"
FAMILIES = ("reward", "supervised", "correlation")
COLOURS = {"reward": "#1b7f79", "supervised": "#c8553d", "correlation": "#5b6770"}
# Short problems: the shape of the curve does not depend on how long an experiment lasts.
SHORT: dict[str, dict[str, Any]] = {
    "reward": {"n_trials": 50},
    "supervised": {"duration": 1000.0, "comparison_start": 100.0},
    "correlation": {"duration": 10_000.0, "readout": 5000.0},
}
RULES = {
    "reward": REWARD_RULES,
    "supervised": tuple(f"s*(v - u)*{1 + n / 8:g}" for n in range(16)),
    "correlation": CORRELATION_RULES,
}


@dataclass(frozen=True)
class Axis:
    """One way for work to grow. sizes: by family; work: family name and size → what is then scored."""

    title: str
    label: str
    sizes: Mapping[str, Sequence[int]]
    work: Callable[[str, int], tuple[TaskFamily, list[Rule], int]]


def _bound(name: str, **changed: Any) -> TaskFamily:
    return family(name, {**SHORT[name], **changed})


def _batch(name: str, size: int) -> tuple[TaskFamily, list[Rule], int]:
    bound, texts = _bound(name), RULES[name]
    return bound, parsed(bound, [texts[n % len(texts)] for n in range(size)]), 1


def _inputs(name: str, size: int) -> tuple[TaskFamily, list[Rule], int]:
    """The drive of the neuron is kept: weights, or the threshold, go with the number of inputs."""
    changed: dict[str, Any] = {
        "reward": {"initial_weight_deviation": 1000.0 * (50 / size) ** 0.5, "n_patterns": 5, "n_trials": 10},
        "supervised": {
            "initial_weight": 25 / size,
            "teacher_weight_spread": 100 / size,
            "teacher_weight_shift": 75 / size,
            "learning_rate": 1.7 * 25 / size**2,
            "duration": 200.0,
        },
        "correlation": {"threshold": 20.0 * size / 1000, "initial_weight": 0.4, "duration": 3000.0, "readout": 3000.0},
    }[name]
    bound = _bound(name, n_inputs=size, **changed)
    return bound, parsed(bound, RULES[name][:4]), 1


def _instances(name: str, size: int) -> tuple[TaskFamily, list[Rule], int]:
    bound = _bound(name)
    return bound, parsed(bound, RULES[name][:4]), size


def _sum(terms: Sequence[str]) -> str:
    """A sum as a balanced tree: rules may not be deep."""
    half = len(terms) // 2
    return f"({_sum(terms[:half])} + {_sum(terms[half:])})" if half else terms[0]


def _expression(name: str, size: int) -> tuple[TaskFamily, list[Rule], int]:
    """Rules of about `size` nodes: a known rule and further terms, each with a constant of its own."""
    base, symbol, nodes = {"reward": ("(R - 1)*E", "E", 5), "supervised": ("s*(v - u)", "s", 5)}.get(
        name, ("w*x", "x", 3)
    )
    text = _sum([base, *(f"{symbol}*{n / 1e6:.6f}" for n in range(1, 1 + max(0, size - nodes) // 4))])
    bound = _bound(name)
    whole = f"depress: {text}; facilitate: {text.replace('w*x', '(1 - w)*x')}" if name == "correlation" else text
    return bound, [Rule.parse(whole, type(bound))] * (16 if name == "reward" else 1), 1


def _same(*sizes: int) -> dict[str, Sequence[int]]:
    return dict.fromkeys(FAMILIES, sizes)


AXES = {
    "rules": Axis("rules in a batch", "rules", _same(*(2**n for n in range(11))), _batch),
    "inputs": Axis(
        "inputs of the neuron",
        "inputs",
        {
            "reward": (10, 30, 100, 300, 1000, 3000, 10_000),
            "supervised": (10, 30, 100, 300, 1000),  # as many as the family allows
            "correlation": (10, 30, 100, 300, 1000, 3000, 10_000),
        },
        _inputs,
    ),
    "instances": Axis("instances", "instances", _same(1, 2, 4, 8, 16, 32, 64), _instances),
    "expression": Axis("size of the expression", "nodes per slot", _same(5, 9, 17, 33, 65, 129), _expression),
}


def measured(axis: Axis, name: str, sizes: Sequence[int], repeats: int) -> NDArray[np.float64]:
    """Processor seconds at each size, the least of some repeats: (n_sizes,). Building instances is not counted."""
    seconds = np.full(len(sizes), np.inf)
    work = [axis.work(name, size) for size in sizes]
    evaluator = SerialEvaluator()
    for repeat in range(repeats + 1):
        for place, (bound, rules, n_instances) in enumerate(work):
            keys = bound.keys("training", n_instances, seed=0)
            start = time.process_time()
            evaluator.score(bound, rules, keys)
            if repeat:  # the first one builds the instances
                seconds[place] = min(seconds[place], time.process_time() - start)
    return seconds


def exponent(sizes: Sequence[int], seconds: NDArray[np.float64]) -> float:
    """Slope of log(seconds) over log(size), least squares over the upper half of the sizes."""
    first = len(sizes) // 2
    slope, _ = np.polyfit(np.log(np.array(sizes[first:], dtype=np.float64)), np.log(seconds[first:]), 1)
    return float(slope)


def draw(key: str, axis: Axis, found: Mapping[str, tuple[Sequence[int], NDArray[np.float64]]]) -> None:
    """One figure per axis, both scales logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.6))
    axes = figure.subplots()
    for name, (sizes, seconds) in found.items():
        label = f"{name}, exponent {exponent(sizes, seconds):.2f}"
        axes.loglog(sizes, 1e3 * seconds, marker="o", markersize=4, color=COLOURS[name], label=label)
    axes.set(xlabel=axis.label, ylabel="time on one core (ms)", title=f"Cost over {axis.title}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    figure.set_layout_engine("constrained")
    figure.savefig(FIGURES / f"performance-{key}.png", dpi=110, metadata={"Software": None})


def markdown(results: Mapping[str, Mapping[str, tuple[Sequence[int], NDArray[np.float64]]]]) -> str:
    """A figure and a table per axis."""
    parts = []
    for key, found in results.items():
        axis = AXES[key]
        rows = [
            [
                name,
                f"{sizes[0]} … {sizes[-1]}",
                duration(float(seconds[0])),
                duration(float(seconds[-1])),
                f"{exponent(sizes, seconds):.2f}",
            ]
            for name, (sizes, seconds) in found.items()
        ]
        head = ["family", axis.label, "at the least", "at the most", "exponent"]
        title = f"### {axis.title[0].upper()}{axis.title[1:]}"
        picture = f"![Cost over {axis.title}](figures/performance-{key}.png)"
        parts.append(f"{title}\n\n{picture}\n\n{table(head, rows)}")
    return "\n".join(parts)


def main(arguments: list[str] | None = None) -> None:
    """Measure all axes; in full mode the figures and the page are written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the smallest sizes; nothing is written")
    options = parser.parse_args(arguments)
    use_one_core()
    results: dict[str, dict[str, tuple[Sequence[int], NDArray[np.float64]]]] = {}
    for key, axis in AXES.items():
        results[key] = {}
        for name in FAMILIES:
            sizes = axis.sizes[name][:3] if options.quick else axis.sizes[name]
            results[key][name] = (sizes, measured(axis, name, sizes, 1 if options.quick else 3))
        print(f"{axis.title}: done", file=sys.stderr, flush=True)
    text = markdown(results)
    print(text)
    if not options.quick:
        for key, found in results.items():
            draw(key, AXES[key], found)
        machine = description()
        where = f"{machine['processor']}, one core, commit {machine['commit']}, load averages {machine['load']}"
        page.write("growth", f"{text}\nProcessor time, the least of three. {where}.")


if __name__ == "__main__":
    main()
