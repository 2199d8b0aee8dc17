"""`python -m benchmarks.memory [--quick]`: how much memory a worker takes, and whether it stays at that."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import page
from benchmarks.machine import description
from benchmarks.peers.process import ROOT
from benchmarks.tables import number, table
from ruleforge.family import family
from ruleforge.search import Generation
from ruleforge.spec import job_spec
from ruleforge.store import open_store
from workers.evaluators import ThreadEvaluator
from workers.evolve import SilentObserver, run_job, submit

FAMILIES = ("reward", "supervised", "correlation")
N_RULES = 64
# When the memory of a long job is told, beside its end.
TENTHS = (1, 2, 5)
# A job of many generations that take no time: the shortest problem, a small population, and constants by chance, so
# that rules never run out.
CHEAP: dict[str, Any] = {
    "task": "reward",
    "seed": 1,
    "parameters": {"n_trials": 2, "n_patterns": 1, "n_inputs": 2, "trial_duration": 5.0},
    "instances": {"training": 1, "validation": 1, "test": 1},
    "grammar": {
        "max_complexity": 100,
        "max_depth": 15,
        "operators": ["+", "-", "*", "/", "tanh"],
        "random_constants": [0.1, 10.0],
    },
    "search": {"population": 4, "offspring": 4},
}


def resident() -> float:
    """Memory of this process now, MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def peak() -> float:
    """The most memory that this process has had, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def worker(name: str) -> dict[str, float]:
    """A worker at default sizes: training and validation instances, N_RULES rules, two threads."""
    bound = family(name)
    defaults = type(bound).search_defaults
    known = [item.rule for item in type(bound).known_rules().values()]
    rules = [known[n % len(known)] for n in range(N_RULES)]
    start = resident()
    evaluator = ThreadEvaluator(2)
    for split, n in (("training", defaults.training), ("validation", defaults.validation)):
        evaluator.score(bound, rules, bound.keys(split, n, seed=0))  # type: ignore[arg-type]
    evaluator.close()
    return {"imported": start, "peak": peak()}


class Samples(SilentObserver):
    """Notes the memory every so many generations."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.taken: list[tuple[int, float]] = []

    def on_generation(self, generation: Generation, seconds: float) -> None:
        """A generation was committed."""
        if generation.number % self.every == 0:
            self.taken.append((generation.number, resident()))


def generations(n: int) -> dict[str, Any]:
    """A job of n generations: memory over them, MB, and its slope over the later half in bytes per judged rule."""
    spec = job_spec({**CHEAP, "budget": {"generations": n}})
    samples, evaluator = Samples(max(1, n // 100)), ThreadEvaluator(1)
    with (
        tempfile.TemporaryDirectory(prefix="ruleforge-memory-") as folder,
        open_store(f"sqlite:///{Path(folder) / 'record.db'}") as store,
    ):
        result = run_job(store, submit(store, spec), evaluator, observer=samples)
    later = np.array(samples.taken[len(samples.taken) // 2 :])
    slope = float(np.polyfit(later[:, 0], later[:, 1], 1)[0])
    return {
        "generations": result["generations"],
        "evaluations": result["evaluations"],
        "samples": samples.taken,
        "peak": peak(),
        "per_generation": slope * 1e6,
        "per_rule": slope * 1e6 * result["generations"] / max(result["evaluations"], 1),
    }


def alone(*arguments: str) -> Any:
    """What this module prints in a process of its own: peaks of one measurement do not hide those of the next."""
    command = [sys.executable, "-m", "benchmarks.memory", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def main(arguments: list[str] | None = None) -> None:
    """Measure each part in a process of its own; in full mode the page is written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="200 generations; the page is left as it is")
    parser.add_argument("--worker", choices=FAMILIES, help="measure this only, in this process, and print JSON")
    parser.add_argument("--generations", type=int, help="the same for a job of so many generations")
    options = parser.parse_args(arguments)
    if options.worker or options.generations:
        found: Any = worker(options.worker) if options.worker else generations(options.generations)
        print(json.dumps(found))
        return
    rows = []
    for name in FAMILIES:
        found = alone("--worker", name)
        rows.append([name, number(found["imported"]), number(found["peak"])])
    long = alone("--generations", "200" if options.quick else "10000")
    text = table(["family", "after the imports, MB", "peak, MB"], rows)
    samples = long["samples"]
    moments = [samples[len(samples) * tenths // 10] for tenths in TENTHS] + samples[-1:]
    text += (
        f"\nA job of {long['generations']} generations, {long['evaluations']} distinct rules: "
        + ", ".join(f"{memory:.1f} MB after {when}" for when, memory in moments)
        + f"; {number(long['per_generation'])} bytes per generation over the later half, {number(long['per_rule'])} "
        "per distinct rule. The record's cache of pages fills up to SQLite's 2 MB in the first thousand or two.\n"
    )
    print(text)
    if not options.quick:
        machine = description()
        page.write("memory", f"{text}\n{machine['processor']}, commit {machine['commit']}.")


if __name__ == "__main__":
    main()
