"""`python -m benchmarks.run [--quick] [--only PART …] [--success-seeds N]`: measure everything, write the results."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import calibration, record, report, scaling, searching, sides
from benchmarks.machine import description, load, use_one_core
from benchmarks.peers.others import hal_cgp
from benchmarks.peers.process import ROOT, NoPeer
from benchmarks.problems import SUPERVISED_RULES

FAMILIES = ("reward", "supervised", "correlation")
FULL: dict[str, Any] = {
    "rounds": 5,
    "n_trials": 500,
    "n_trials_fine": 100,
    "peers_trials": 50,
    "duration": 10_000.0,
    "duration_correlation": 100_000.0,
    "budget": {
        "reward": {"evaluations": 1000},
        "supervised": {"evaluations": 1000},
        "correlation": {"evaluations": 400},
    },
    "parameters": {"reward": {}, "supervised": {}, "correlation": {}},
    "thread_instances": {"reward": 4, "supervised": 15, "correlation": 4},
    "cluster_generations": {"reward": 5, "supervised": 20, "correlation": 5},
    "cluster_instances": {"reward": 24, "supervised": 240, "correlation": 16},
    "hal_cgp": {"parameters": {}, "instances": 10, "generations": 50},
    "record": record.FULL,
    "calibration": calibration.FULL,
}
# Enough to see that everything runs; the figures mean little.
QUICK: dict[str, Any] = {
    "rounds": 2,
    "n_trials": 30,
    "n_trials_fine": 5,
    "peers_trials": 5,
    "duration": 500.0,
    "duration_correlation": 3000.0,
    "budget": {name: {"evaluations": 100} for name in FAMILIES},
    "parameters": {
        "reward": {"n_trials": 20},
        "supervised": {"duration": 500.0, "comparison_start": 100.0},
        "correlation": {"duration": 3000.0, "readout": 3000.0},
    },
    "thread_instances": {"reward": 2, "supervised": 15, "correlation": 2},
    "cluster_generations": dict.fromkeys(FAMILIES, 2),
    "cluster_instances": dict.fromkeys(FAMILIES, 4),
    "hal_cgp": {"parameters": {"n_trials": 20}, "instances": 3, "generations": 10},
    "record": record.QUICK,
    "calibration": calibration.QUICK,
}


def side_by_side(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each family beside the C limit, NEST and Brian2."""
    rounds = settings["rounds"]
    steps: list[Callable[[], dict[str, Any]]] = [
        lambda: sides.reward(0.1, settings["n_trials"], settings["peers_trials"], rounds),
        lambda: sides.reward(0.01, settings["n_trials_fine"], settings["peers_trials"] // 5 or 1, rounds),
        lambda: sides.reward_search(settings["n_trials"], rounds),
        lambda: sides.supervised(0.1, settings["duration"], SUPERVISED_RULES["5 nodes"], "5 nodes", rounds, True),
        lambda: sides.supervised(0.1, settings["duration"], SUPERVISED_RULES["11 nodes"], "11 nodes", rounds, False),
        lambda: sides.supervised(0.01, settings["duration"], SUPERVISED_RULES["5 nodes"], "5 nodes", rounds, True),
        lambda: sides.supervised(0.01, settings["duration"], SUPERVISED_RULES["11 nodes"], "11 nodes", rounds, False),
        lambda: sides.correlation(settings["duration_correlation"], rounds),
        lambda: sides.several_rules(settings["duration_correlation"], rounds),
    ]
    sections = []
    for step in steps:
        section = step()
        say(f"{section['family']}, {section['setting']}")
        sections.append(section)
    return sections


def search_overhead(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Time beside scoring, per candidate: this project's search with its record, and hal-cgp's."""
    given = settings["hal_cgp"]
    own = searching.search(
        {
            "task": "reward",
            "seed": 1,
            "parameters": given["parameters"],
            "instances": {"training": given["instances"]},
            "budget": {"evaluations": 4 * given["generations"] + 4},
            "evaluator": {"racing": False},
        }
    )
    rows = [
        {
            "name": "ruleforge, with its record",
            "candidates": own.candidates,
            "distinct": own.distinct,
            "overhead": own.overhead,
            "scoring": own.scoring / own.candidates,
            "per_distinct": own.seconds / own.distinct,
        }
    ]
    try:
        peer = hal_cgp(given)
    except NoPeer as reason:
        return {"rows": rows, "absent": str(reason)}
    try:
        answer = peer.ask()
    finally:
        peer.close()
    rows.append(
        {
            "name": "hal-cgp 0.3",
            "candidates": answer["judged"],
            "distinct": answer["units"],
            "overhead": (answer["cpu"] - answer["scoring"]) / answer["judged"],
            "scoring": answer["scoring"] / answer["judged"],
            "per_distinct": answer["cpu"] / answer["units"],
        }
    )
    return {"rows": rows, "note": peer.note}


def say(text: str) -> None:
    """A line of progress."""
    print(f"{text}: done", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Measure what was asked for and write results.json and results.md; parts not asked for stay as they were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small problems, two rounds: to see that it runs")
    parts = [*SECTIONS, "success"]
    parser.add_argument("--only", nargs="*", choices=parts, help="measure these parts, keep the others' figures")
    parser.add_argument("--success-seeds", type=int, default=0, help="also compare success rates over so many seeds")
    parser.add_argument("--output", type=Path, help="folder of the results [benchmarks, or out/benchmarks if quick]")
    options = parser.parse_args(arguments)
    settings = QUICK if options.quick else FULL
    folder: Path = options.output or (ROOT / "out" / "benchmarks" if options.quick else ROOT / "benchmarks")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "results.json"
    kept = options.only is not None and path.exists()
    results = json.loads(path.read_text(encoding="utf-8")) if kept else {}
    use_one_core()
    if options.only != []:  # an empty list only writes the page anew
        results["machine"], results["quick"] = description(), options.quick
    for name, measure in SECTIONS.items():
        if options.only is None or name in options.only:
            results[name] = {"load": load(), "measured": measure(settings)}
            say(name)
    if options.success_seeds:
        results["success"] = {
            name: searching.success(name, settings["budget"][name], settings["parameters"][name], options.success_seeds)
            for name in FAMILIES
        }
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    path.with_suffix(".md").write_text(report.markdown(results), encoding="utf-8")
    say(str(path.with_suffix(".md")))


SECTIONS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "sides": side_by_side,
    "elementary": lambda settings: sides.elementary(settings, settings["rounds"]),
    "savings": lambda settings: {
        name: searching.savings(name, settings["budget"][name], settings["parameters"][name]) for name in FAMILIES
    },
    "overhead": search_overhead,
    "threads": lambda settings: [
        scaling.threads(name, settings["parameters"][name], settings["thread_instances"][name], settings["rounds"])
        for name in FAMILIES
    ],
    "record": lambda settings: record.measure(settings["record"]),
    "calibration": lambda settings: calibration.measure(settings["calibration"]),
    "cluster": lambda settings: (
        [
            scaling.cluster(
                name, settings["parameters"][name], settings["cluster_generations"][name], settings["rounds"]
            )
            for name in FAMILIES
        ]
        + [
            scaling.cluster(name, settings["parameters"][name], 2, 3, settings["cluster_instances"][name])
            for name in FAMILIES
        ]
    ),
    "start": lambda settings: [scaling.start_time(name, settings["rounds"]) for name in FAMILIES],
}


if __name__ == "__main__":
    main()
