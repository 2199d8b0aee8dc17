"""How often, and after how many evaluations, does a search find what it should find?

    python -m benchmarks.success run PART --seeds 0:20 [--label NAME] [--set KEY=VALUE …] [--out FILE]
    python -m benchmarks.success ablation PART --seeds 0:5 [--out FILE]
    python -m benchmarks.success report [--out FILE] [--figure FILE.png]

PART is reward, supervised, correlation, or planted/FAMILY. Every finished search is written at once, and one that is
there already is not run again: the same command goes on where it was stopped, and several may run one after the other
into one file. `--workers 1` and `nice` leave room for others. `--set` takes any key of a job specification, and `label`
names the configuration in the tables.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import planted, success_report
from benchmarks.goals import AsGoodAs, AtLeast, Goal, Watch
from benchmarks.machine import description
from ruleforge.family import family_class
from ruleforge.spec import apply_setting, job_spec
from ruleforge.store import open_store
from workers.evaluators import ThreadEvaluator
from workers.evaluators.interface import Evaluator
from workers.evolve import run_job, submit


@dataclass(frozen=True)
class Part:
    """Searches of one kind: of which family, how specified beside the seed, and what they are to find."""

    task: str
    goals: Callable[[], list[Goal]]
    given: Mapping[str, Any] = field(default_factory=dict)


def _reward_goals() -> list[Goal]:
    return [AsGoodAs(family_class("reward")({}), "punishment-gated eligibility")]


PUBLISHED = {"source": "published", "validation": 1, "test": 1}
PARTS = {
    "reward": Part(
        "reward", _reward_goals, {"instances": {"validation": 1, "test": 1}, "budget": {"evaluations": 1000}}
    ),
    "supervised": Part(
        "supervised",
        lambda: [AtLeast(-15.0), AtLeast(-13.5)],
        {"instances": PUBLISHED, "budget": {"evaluations": 1500}},
    ),
    "correlation": Part(
        "correlation",
        lambda: [AtLeast(10.0), AtLeast(20.0)],
        {"instances": PUBLISHED, "budget": {"seconds": 600.0}},
    ),
}
PLANTED = {f"planted/{task}": task for task in ("reward", "supervised", "correlation")}
PLANTED_EVALUATIONS = 10_000

# What is taken away or changed, one thing at a time, from the settings that a job has by default.
ABLATIONS: Mapping[str, Sequence[str]] = {
    "default": (),
    "no fingerprints": ("evaluator.fingerprints=false",),
    "no racing": ("evaluator.racing=false",),
    "mu_plus_lambda": ("search.method=mu_plus_lambda",),
    "nsga2": ("search.method=nsga2",),
    "lexicase": ("search.method=lexicase",),
    "jordan2021": ("search.method=jordan2021",),
    "4 islands": ("search.islands=4", "search.population=8", "search.offspring=16"),
    "constants": ("search.tuned=0.2", "grammar.random_constants=[0.01, 100.0]"),
    "no small rules": ("search.small_rules=0.0",),
    "no crossover": ("search.crossover=0.0",),
    "restarts": ("search.stagnation=10",),
}


def specification(task: str, given: Mapping[str, Any], settings: Sequence[str], seed: int) -> dict[str, Any]:
    """A part's specification with settings over it."""
    table: dict[str, Any] = json.loads(json.dumps({**given, "task": task, "seed": seed}))
    for setting in settings:
        apply_setting(table, setting, family_class(task))
    return table


def run_one(part: Part, settings: Sequence[str], seed: int, evaluator: Evaluator) -> dict[str, Any]:
    """One search in a record of its own, until every goal is reached or the budget is spent."""
    spec = job_spec(specification(part.task, part.given, settings, seed))
    goals = part.goals()
    watch = Watch(goals)
    with open_store("sqlite://") as store:
        job = submit(store, spec)
        result = run_job(store, job, evaluator, observer=watch, stop=lambda: watch.done)
    champion = watch.champion
    return {
        "seed": seed,
        "spec_hash": spec.hash,
        "found": watch.found,
        "goals": [goal.name for goal in goals],
        "evaluations": watch.evaluations,
        "generations": watch.generations,
        "seconds": watch.seconds,
        "complexity": watch.complexity,
        "champion": champion.rule.text if champion else None,
        "fitness": champion.fitness if champion else None,
        "history": result["history"],
    }


def run_planted(task: str, settings: Sequence[str], seed: int, evaluations: int) -> dict[str, Any]:
    """All planted rules of a family with one seed; a goal each."""
    signals = planted.recorded_signals(task)
    found: dict[str, Any] = {}
    spent = 0
    goals = []
    given = specification(task, {}, settings, seed)
    for rule in planted.planted_rules(task, signals):
        outcome = planted.search_for(planted.Planted(rule, signals), given, seed, evaluations)
        goals.append(rule.text)
        spent += outcome["evaluations"]
        if outcome["found_at"] is not None:
            found[rule.text] = {"evaluations": outcome["found_at"], "rule": outcome["rule"], "why": "equal"}
    return {"seed": seed, "spec_hash": job_spec(given).hash, "found": found, "goals": goals, "evaluations": evaluations}


class Results:
    """The rows of a file, written after each search; by part, label and seed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []

    def holds(self, part: str, label: str, seed: int) -> bool:
        """It was run already."""
        return any((row["part"], row["label"], row["seed"]) == (part, label, seed) for row in self.rows)

    def add(self, row: dict[str, Any]) -> None:
        """Keep a row: all of the file is written anew, so that a stop at any moment loses nothing."""
        self.rows.append(row)
        text = json.dumps({"rows": self.rows}, indent=1, ensure_ascii=False, allow_nan=False)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(text + "\n", encoding="utf-8")
        os.replace(fresh, self._path)


def run(options: argparse.Namespace, label: str, settings: Sequence[str], results: Results) -> None:
    """The seeds of one configuration that are not there yet."""
    first, last = (int(end) for end in options.seeds.split(":"))
    evaluator = ThreadEvaluator(options.workers)
    machine = description()
    for seed in range(first, last):
        if results.holds(options.part, label, seed):
            continue
        if options.part in PLANTED:
            row = run_planted(PLANTED[options.part], settings, seed, PLANTED_EVALUATIONS)
        else:
            row = run_one(PARTS[options.part], settings, seed, evaluator)
        row |= {"part": options.part, "label": label, "settings": list(settings), "commit": machine["commit"]}
        row["workers"] = options.workers
        results.add(row)
        found = "; ".join(f"{name} after {item['evaluations']}" for name, item in row["found"].items())
        print(f"{options.part}, {label}, seed {seed}: {found or 'nothing found'} ({row['evaluations']})", flush=True)
    evaluator.close()


def main(arguments: list[str] | None = None) -> None:
    """Run, ablate or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "ablation", "report"])
    parser.add_argument("part", nargs="?", choices=[*PARTS, *PLANTED])
    parser.add_argument("--seeds", default="0:5", help="FIRST:LAST, the last one not included [0:5]")
    parser.add_argument("--label", default="default", help="name of the configuration")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a key of the specification")
    parser.add_argument("--only", action="append", choices=list(ABLATIONS), help="of the ablations, these")
    parser.add_argument("--workers", type=int, default=1, help="threads [1]")
    parser.add_argument("--out", type=Path, default=Path("success.json"), help="the file of results [success.json]")
    parser.add_argument("--figure", type=Path, help="draw the distribution of evaluations to the solution")
    options = parser.parse_args(arguments)
    results = Results(options.out)
    if options.command == "report":
        print(success_report.text(results.rows))
        if options.figure:
            success_report.draw(results.rows, options.figure)
        return
    if options.part is None:
        parser.error("name a part")
    if options.command == "run":
        run(options, options.label, options.set, results)
        return
    for label in options.only or ABLATIONS:
        run(options, label, [*options.set, *ABLATIONS[label]], results)


if __name__ == "__main__":
    main()
