"""Two threads against one, and how soon a new worker is at work."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from benchmarks.machine import use_cores, use_one_core
from benchmarks.peers.process import ROOT
from benchmarks.problems import CORRELATION_RULES, REWARD_RULES, parsed
from ruleforge.family import family
from workers.evaluators import ThreadEvaluator

RULES = {
    "reward": REWARD_RULES * 4,
    "supervised": tuple(f"s*(v - u)*{1 + n}" for n in range(64)),
    "correlation": CORRELATION_RULES * 4,
}


def threads(task: str, parameters: Mapping[str, Any], n_instances: int, rounds: int) -> dict[str, Any]:
    """Seconds on the clock for one batch with one and with two threads, alternating; median of the ratios."""
    if not use_cores(2):
        return {"family": task, "absent": "this machine has one core"}
    bound = family(task, parameters)
    rules, keys = parsed(bound, RULES[task]), bound.keys("training", n_instances, seed=0)
    evaluators = [ThreadEvaluator(1), ThreadEvaluator(2)]
    taken: list[list[float]] = [[], []]
    try:
        for number in range(rounds + 1):
            for seconds, evaluator in zip(taken, evaluators, strict=True):
                start = time.perf_counter()
                evaluator.score(bound, rules, keys)
                if number:
                    seconds.append(time.perf_counter() - start)
    finally:
        for evaluator in evaluators:
            evaluator.close()
        use_one_core()
    ratios = [one / two for one, two in zip(*taken, strict=True)]
    medians = [statistics.median(seconds) for seconds in taken]
    return {"family": task, "one": medians[0], "two": medians[1], "speed_up": statistics.median(ratios)}


# From nothing to the first score: what a worker does before it is of use. The shortest problem, so that the score
# itself takes no time.
START = """
import sys, json
from workers.evaluators import SerialEvaluator
from ruleforge.family import family
parameters = json.loads(sys.argv[2])
bound = family(sys.argv[1], parameters)
rules = [known.rule for known in type(bound).known_rules().values()]
SerialEvaluator().score(bound, rules, bound.keys("training", 1, 0))
"""
SHORT = {
    "reward": '{"n_trials": 1}',
    "supervised": '{"duration": 10, "comparison_start": 0}',
    "correlation": '{"duration": 1000, "readout": 1000}',
}


def start_time(task: str, rounds: int) -> dict[str, Any]:
    """Seconds on the clock of a new process until it has scored its first rules, kernels cached by an earlier one."""
    seconds = []
    for number in range(rounds + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", START, task, SHORT[task]], cwd=ROOT, check=True)
        if number:
            seconds.append(time.perf_counter() - start)
    return {"family": task, "seconds": statistics.median(seconds)}
