"""`python -m benchmarks.scaling [--quick]`: what more workers bring, and what a cluster costs beside their work.

Here too: two threads against one, a cluster against threads, and how soon a new worker is at work.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import page, sleeping
from benchmarks.machine import description, use_cores, use_one_core
from benchmarks.peers.process import ROOT
from benchmarks.problems import CORRELATION_RULES, REWARD_RULES, parsed
from benchmarks.tables import duration, number, table
from ruleforge.family import family
from ruleforge.language import Rule
from ruleforge.search import Generation
from ruleforge.spec import JobSpec, job_spec
from ruleforge.store import JobRecord, open_store
from workers.evaluators import Evaluator, ThreadEvaluator
from workers.evaluators.choose import make_evaluator
from workers.evolve import SilentObserver, run_job, submit

RULES = {
    "reward": REWARD_RULES * 4,
    "supervised": tuple(f"s*(v - u)*{1 + n}" for n in range(64)),
    "correlation": CORRELATION_RULES * 4,
}
# For each round of other measurements, because a shortest one is looked for.
THREAD_ROUNDS = 4


# Scores the same batch for every line that comes, in a process of its own: what the machine's second core gives to work
# that has nothing in common with that of the first.
ALONE = """
import json, sys
from benchmarks.problems import parsed
from benchmarks.scaling import RULES
from ruleforge.family import family
from workers.evaluators import SerialEvaluator
task, n_instances = sys.argv[1], int(sys.argv[2])
bound = family(task, json.loads(sys.argv[3]))
rules, keys = parsed(bound, RULES[task]), bound.keys("training", n_instances, seed=0)
for _ in sys.stdin:
    SerialEvaluator().score(bound, rules, keys)
    print(flush=True)
"""


@contextlib.contextmanager
def _two_processes(task: str, parameters: Mapping[str, Any], n_instances: int) -> Iterator[Callable[[int], None]]:
    """A function that lets so many of two processes score the batch, at the same time, and returns when all have."""
    command = [sys.executable, "-c", ALONE, task, str(n_instances), json.dumps(dict(parameters))]
    with contextlib.ExitStack() as stack:
        processes = []
        for _ in range(2):
            process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            processes.append(stack.enter_context(process))

        def score(n: int) -> None:
            for process in processes[:n]:
                print(file=process.stdin, flush=True)
            for process in processes[:n]:
                assert process.stdout is not None
                assert process.stdout.readline(), "a process ended before it had scored"

        yield score
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()


def threads(task: str, parameters: Mapping[str, Any], n_instances: int, rounds: int) -> dict[str, Any]:
    """Seconds on the clock for one batch with one thread and with two, and for two processes of one thread each.

    In turn, round after round; of each the shortest counts, because whatever else runs on the machine can only add to
    it. ceiling: how much more two processes get done than one alone, and so the most that the machine allows.
    """
    if not use_cores(2):
        return {"family": task, "absent": "this machine has one core"}
    bound = family(task, parameters)
    rules, keys = parsed(bound, RULES[task]), bound.keys("training", n_instances, seed=0)
    one_thread, two_threads = ThreadEvaluator(1), ThreadEvaluator(2)
    try:
        with _two_processes(task, parameters, n_instances) as processes:
            contenders: dict[str, Callable[[], object]] = {
                "alone": lambda: processes(1),
                "side_by_side": lambda: processes(2),
                "one": lambda: one_thread.score(bound, rules, keys),
                "two": lambda: two_threads.score(bound, rules, keys),
            }
            taken: dict[str, list[float]] = {name: [] for name in contenders}
            for number in range(THREAD_ROUNDS * rounds + 1):
                for name, call in contenders.items():
                    start = time.perf_counter()
                    call()
                    if number:
                        taken[name].append(time.perf_counter() - start)
    finally:
        one_thread.close()
        two_threads.close()
        use_one_core()
    best = {name: min(seconds) for name, seconds in taken.items()}
    return {
        "family": task,
        **best,
        "speed_up": best["one"] / best["two"],
        "ceiling": 2 * best["alone"] / best["side_by_side"],
    }


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
    "correlation": '{"duration": 2000, "readout": 1000}',
}


def start_time(task: str, rounds: int) -> dict[str, Any]:
    """Seconds on the clock of a new process until it has scored its first rules, kernels cached by an earlier one."""
    seconds = []
    for index in range(rounds + 1):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", START, task, SHORT[task]], cwd=ROOT, check=True)
        if index:
            seconds.append(time.perf_counter() - start)
    return {"family": task, "seconds": statistics.median(seconds)}


class _Watch(SilentObserver):
    """Notes when each generation has ended."""

    def __init__(self) -> None:
        self.moments: list[float] = []

    def on_start(self, job: JobRecord, spec: JobSpec) -> None:
        """The first one begins."""
        self.moments.append(time.perf_counter())

    def on_generation(self, generation: Generation, seconds: float) -> None:
        """One has ended."""
        self.moments.append(time.perf_counter())


def _search(
    task: str, parameters: Mapping[str, Any], generations: int, evaluator: Evaluator, n_instances: int | None = None
) -> tuple[list[float], str]:
    """Seconds of each generation of a job, and the digest of its history.

    n_instances: of training, on all of which every rule is scored; without it the job has default sizes, and races.
    """
    given = {"task": task, "seed": 1, "parameters": parameters, "budget": {"generations": generations, "target": 1e9}}
    if n_instances is not None:
        given |= {"instances": {"training": n_instances}, "evaluator": {"racing": False}}
    watch = _Watch()
    with open_store("sqlite://") as store:
        result = run_job(store, submit(store, job_spec(given)), evaluator, observer=watch)
    return [after - before for before, after in itertools.pairwise(watch.moments)], result["history"]


def cluster(
    task: str, parameters: Mapping[str, Any], generations: int, rounds: int, n_instances: int | None = None
) -> dict[str, Any]:
    """The same search with two threads and with two Dask workers, alternating: seconds of a generation on the clock.

    n_instances: so many that a generation takes about a second and more; without it the job has default sizes, and
    races. Of each generation the shortest of its rounds counts, because whatever else runs on the machine can only add
    to it. Scheduler and client share the two cores with the workers. Raises AssertionError unless the histories are
    the same.
    """
    if not use_cores(2):
        return {"family": task, "absent": "this machine has one core"}
    evaluators = [make_evaluator(None, 2), make_evaluator("local", 2)]
    taken: list[list[list[float]]] = [[], []]
    try:
        for round_number in range(rounds + 1):
            histories = set()
            for rows, evaluator in zip(taken, evaluators, strict=True):
                seconds, history = _search(task, parameters, generations, evaluator, n_instances)
                histories.add(history)
                if round_number:
                    rows.append(seconds)
            assert len(histories) == 1, "a cluster gave another history than threads"
    finally:
        for evaluator in evaluators:
            evaluator.close()
        use_one_core()
    threads, dask = (statistics.fmean(map(min, zip(*rows, strict=True))) for rows in taken)
    found = {"family": task, "threads": threads, "dask": dask, "overhead": dask / threads - 1}
    return found if n_instances is None else found | {"instances": n_instances}


def real_workers(task: str, parameters: Mapping[str, Any], n_instances: int, rounds: int) -> dict[str, Any]:
    """Seconds on the clock of one batch with one and with two Dask workers of this machine; median of the ratios."""
    if not use_cores(2):
        return {"family": task, "absent": "this machine has one core"}
    bound = family(task, parameters)
    rules, keys = parsed(bound, RULES[task]), bound.keys("training", n_instances, seed=0)
    evaluators = [make_evaluator("local", 1), make_evaluator("local", 2)]
    taken: list[list[float]] = [[], []]
    try:
        for round_number in range(rounds + 2):  # the first measures how long it takes, for the second to be cut by
            for seconds, evaluator in zip(taken, evaluators, strict=True):
                start = time.perf_counter()
                evaluator.score(bound, rules, keys)
                if round_number > 1:
                    seconds.append(time.perf_counter() - start)
    finally:
        for evaluator in evaluators:
            evaluator.close()
        use_one_core()
    medians = [statistics.median(seconds) for seconds in taken]
    efficiency = statistics.median(one / two / 2 for one, two in zip(*taken, strict=True))
    return {"family": task, "one": medians[0], "two": medians[1], "efficiency": efficiency}


class Sleep(NamedTuple):
    """seconds: of a batch of rules on an instance; per_worker: how much of it there is for every worker, in seconds."""

    seconds: float
    per_worker: float


# As long as the slower simulations are, and so much that it is tasks; and a short call, which goes by messages.
LONG, SHORT_CALL = Sleep(0.5, 5.0), Sleep(0.02, 1.0)


@contextlib.contextmanager
def _sleeping_cluster(n_workers: int, environment: Mapping[str, str], *options: str) -> Iterator[str]:
    """A scheduler in a process of its own, and sleeping workers in another; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    host, _, port = address.removeprefix("tcp://").partition(":")
    quiet = {**environment, "DASK_LOGGING__DISTRIBUTED": "error"}
    dask = [str(Path(sys.executable).parent / "dask"), "scheduler", "--no-dashboard", "--host", host, "--port", port]
    workers = [sys.executable, "-m", "benchmarks.sleeping", address, str(n_workers), *options]
    with contextlib.ExitStack() as stack:
        for command in (dask, workers):
            process = subprocess.Popen(command, cwd=ROOT, env=quiet, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        yield address


def sleeping_workers(
    n_workers: int, rounds: int, environment: Mapping[str, str], sleep: Sleep, *, messages: bool
) -> dict[str, Any]:
    """How much longer than its sleep a call takes, and the processor time of scheduler and client for each worker."""
    from workers.evaluators.dask import DaskEvaluator

    with _sleeping_cluster(n_workers, environment, *(["messages"] if messages else [])) as address:
        evaluator = DaskEvaluator(address)
        client = evaluator.connection.client
        try:
            client.wait_for_workers(n_workers, timeout=120)
            bound = family("sleeping", {"seconds": sleep.seconds})
            keys = bound.keys("training", 10, seed=0)
            batches = max(1, round(n_workers * sleep.per_worker / sleep.seconds / len(keys)))
            rules = [Rule.parse(f"{place}*x", type(bound)) for place in range(batches * bound.rules_per_batch)]
            ideal = batches * len(keys) * sleep.seconds / n_workers
            found = []
            for round_number in range(rounds + 1):
                by_tasks = evaluator._last
                busy = [time.process_time(), client.run_on_scheduler(time.process_time)]
                start = time.perf_counter()
                evaluator.score(bound, rules, keys)
                wall = time.perf_counter() - start
                now = [time.process_time(), client.run_on_scheduler(time.process_time)]
                if round_number:
                    assert (evaluator._last is by_tasks) == messages, "the call went another way"
                    found.append((wall, *(after - before for before, after in zip(busy, now, strict=True))))
            units = 0 if messages or evaluator._last is None else len(evaluator._last.units)
        finally:
            evaluator.close()
    wall, of_client, of_scheduler = (statistics.median(values) for values in zip(*found, strict=True))
    return {
        "workers": n_workers,
        "units": units,
        "ideal": ideal,
        "wall": wall,
        "efficiency": ideal / wall,
        "client": of_client,
        "scheduler": of_scheduler,
    }


def markdown(
    real: Sequence[Mapping[str, Any]], long: Sequence[Mapping[str, Any]], short: Sequence[Mapping[str, Any]]
) -> str:
    """The section of the page."""
    rows = [
        [row["family"], row["absent"], "–", "–"]
        if "absent" in row
        else [
            row["family"],
            duration(row["one"]),
            duration(row["two"]),
            f"{100 * row['efficiency']:.0f} %",
        ]
        for row in real
    ]
    text = table(["family", "one worker", "two workers", "efficiency"], rows)
    rows = [
        [
            str(row["workers"]),
            str(row["units"]),
            duration(row["ideal"]),
            duration(row["wall"]),
            f"{100 * row['efficiency']:.1f} %",
            duration(row["scheduler"] / row["units"]),
            duration(row["client"] / row["units"]),
        ]
        for row in long
    ]
    head = ["sleeping workers", "units", "sleep of each worker", "call", "efficiency", "scheduler, per unit"]
    text += f"\n{table([*head, 'client, per unit'], rows)}"
    largest = long[-1]
    per_unit = max(largest["client"], largest["scheduler"]) / largest["units"]
    text += (
        f"\nAt {largest['workers']} workers the busier of scheduler and client takes {duration(per_unit)} of a "
        f"core per unit: {number(1 / per_unit)} units a second are the most that one scheduler gives out.\n"
    )
    rows = [
        [
            str(row["workers"]),
            duration(row["ideal"]),
            duration(row["wall"]),
            f"{100 * row['efficiency']:.1f} %",
            duration(row["client"] / row["workers"]),
        ]
        for row in short
    ]
    head = ["by messages: sleeping workers", "sleep of each worker", "call", "efficiency", "client, per worker"]
    return f"{text}\n{table(head, rows)}"


def main(arguments: list[str] | None = None) -> None:
    """Measure; the tables go to standard output, and in full mode into docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few workers, one round; the page is left as it is")
    parser.add_argument(
        "--workers", type=int, nargs="+", help="numbers of sleeping workers [1 4 16 64 256; quick: 1 4]"
    )
    options = parser.parse_args(arguments)
    rounds = 1 if options.quick else 3
    # Long enough for both to have several units.
    sizes = {"reward": 4, "supervised": 60, "correlation": 8}
    real = [real_workers(task, {}, n if not options.quick else 1, rounds) for task, n in sizes.items()]
    numbers = options.workers or ([1, 4] if options.quick else [1, 4, 16, 64, 256])
    with tempfile.TemporaryDirectory(prefix="ruleforge-scaling-") as folder, sleeping.installed(Path(folder)) as known:
        use_cores(2)
        long, short = [], []
        for n_workers in numbers:
            long.append(sleeping_workers(n_workers, rounds, known, LONG, messages=False))
            short.append(sleeping_workers(n_workers, rounds, known, SHORT_CALL, messages=True))
            print(f"{n_workers} sleeping workers: done", file=sys.stderr, flush=True)
    text = markdown(real, long, short)
    print(text)
    if not options.quick:
        machine = description()
        where = f"{machine['processor']}, two cores, commit {machine['commit']}, load averages {machine['load']}"
        page.write("scaling", f"{text}\n{where}.")


if __name__ == "__main__":
    main()
