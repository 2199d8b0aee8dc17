"""`python -m benchmarks.profile [--quick]`: where the time of a whole evolve run at default settings goes."""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console

import tasks.correlation.kernel
import tasks.correlation.readout
import tasks.reward.kernel
import tasks.supervised.family
import workers.evolve
from api.command_line.display import JobDisplay
from benchmarks import page
from benchmarks.machine import description, use_one_core
from benchmarks.tables import duration, number, table
from ruleforge.family import family_class
from ruleforge.search import make_search
from ruleforge.spec import job_spec
from ruleforge.store import open_store
from workers.evaluators import SerialEvaluator

FAMILIES = ("reward", "supervised", "correlation")
# The compiled functions that do the simulating, where they are looked up.
KERNELS: dict[str, list[tuple[Any, str]]] = {
    "reward": [(tasks.reward.kernel, "run_trials")],
    "supervised": [(tasks.supervised.family, "simulate")],
    "correlation": [(tasks.correlation.kernel, "learn"), (tasks.correlation.readout, "_read_out")],
}
KERNEL, VALIDATION = "kernels, search", "kernels, validation"
PREPARING, BUILDING, SCORES = "around the kernels", "building instances", "gathering scores, racing"
SEARCH, RECORD, DISPLAY, OTHER = "search", "record", "display", "other"
PARTS = (KERNEL, VALIDATION, PREPARING, BUILDING, SCORES, SEARCH, RECORD, DISPLAY, OTHER)
BESIDE = (SEARCH, RECORD, DISPLAY)


class Ledger:
    """Processor time of this thread by part: what is nested inside a part is not counted to it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.validating = False
        self._open: list[str] = [OTHER]
        self._thread = threading.get_ident()
        self._since = time.thread_time()

    def _turn(self) -> None:
        now = time.thread_time()
        self.seconds[self._open[-1]] += now - self._since
        self._since = now

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What runs inside belongs to this part; another thread, as that of the heartbeats, is not looked at."""
        if threading.get_ident() != self._thread:
            yield
            return
        self._turn()
        self._open.append(VALIDATION if name == KERNEL and self.validating else name)
        try:
            yield
        finally:
            self._turn()
            self._open.pop()

    def timed(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The function, its time counted to a part."""

        def run(*arguments: Any, **named: Any) -> Any:
            with self.part(name):
                return function(*arguments, **named)

        return run


class Timed:
    """An object whose methods are counted to one part."""

    def __init__(self, inner: Any, ledger: Ledger, name: str) -> None:
        self._inner, self._ledger, self._name = inner, ledger, name

    def __getattr__(self, attribute: str) -> Any:
        # `survivors` and its like are properties that do work as well.
        with self._ledger.part(self._name):
            value = getattr(self._inner, attribute)
        return self._ledger.timed(value, self._name) if callable(value) else value


class TimedDisplay(Timed):
    """The display; it is also told when the search is over."""

    def on_validation(self, n_rules: int, n_instances: int) -> None:
        """The search has ended."""
        self._ledger.validating = True
        with self._ledger.part(self._name):
            self._inner.on_validation(n_rules, n_instances)


def profiled(task: str, specification: dict[str, Any]) -> dict[str, float]:
    """Processor seconds by part of one job in this thread, live display and record on disk included."""
    ledger = Ledger()
    declared = family_class(task)
    spec = job_spec({"task": task, "seed": 1, **specification})
    record = workers.evolve._Run._record
    with contextlib.ExitStack() as stack:
        for place, name in KERNELS[task]:
            stack.enter_context(patch.object(place, name, ledger.timed(getattr(place, name), KERNEL)))
        for name, part in (("build", BUILDING), ("evaluate_many", PREPARING)):
            stack.enter_context(patch.object(declared, name, ledger.timed(getattr(declared, name), part)))
        stack.enter_context(
            patch.object(workers.evolve, "make_search", lambda given: Timed(make_search(given), ledger, SEARCH))
        )
        stack.enter_context(patch.object(workers.evolve._Run, "_record", ledger.timed(record, RECORD)))
        for name in ("score_rules", "race"):
            stack.enter_context(patch.object(workers.evolve, name, ledger.timed(getattr(workers.evolve, name), SCORES)))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="ruleforge-profile-"))
        nowhere = stack.enter_context(Path(os.devnull).open("w"))
        display = stack.enter_context(JobDisplay(Console(file=nowhere, force_terminal=True, width=100)))
        everything, wall = time.process_time() - time.thread_time(), time.perf_counter()
        with open_store(f"sqlite:///{Path(folder) / 'record.db'}") as store:
            timed: Any = Timed(store, ledger, RECORD)
            observer: Any = TimedDisplay(display, ledger, DISPLAY)
            job = workers.evolve.submit(timed, spec)
            workers.evolve.run_job(timed, job, SerialEvaluator(), observer=observer)
        ledger._turn()
        # What other threads took is the live display's.
        ledger.seconds[DISPLAY] += time.process_time() - time.thread_time() - everything
        ledger.seconds["clock"] = time.perf_counter() - wall
    return dict(ledger.seconds)


def markdown(by_family: dict[str, dict[str, float]]) -> str:
    """Seconds and shares per family."""
    totals = {name: sum(found.get(part, 0.0) for part in PARTS) for name, found in by_family.items()}
    rows = []
    for part in PARTS:
        cells = [part]
        for name, found in by_family.items():
            seconds = found.get(part, 0.0)
            cells.append(f"{duration(seconds)} ({100 * seconds / totals[name]:.1f} %)")
        rows.append(cells)
    rows.append(["all", *(duration(total) for total in totals.values())])
    beside = {name: sum(found.get(part, 0.0) for part in BESIDE) for name, found in by_family.items()}
    shares = (f"{number(100 * beside[name] / totals[name], 2)} %" for name in by_family)
    rows.append(["search, record and display", *shares])
    rows.append(["on the clock", *(duration(found["clock"]) for found in by_family.values())])
    return table(["part", *by_family], rows)


def main(arguments: list[str] | None = None) -> None:
    """Profile every family; the table goes to standard output, and in full mode into docs/performance.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few evaluations; the page is left as it is")
    parser.add_argument("--family", nargs="+", choices=FAMILIES, default=list(FAMILIES))
    options = parser.parse_args(arguments)
    use_one_core()
    by_family = {}
    for name in options.family:
        profiled(
            name, {"budget": {"evaluations": 1}, "instances": {"training": 1, "validation": 1, "test": 1}}
        )  # kernels loaded
        gc.freeze()  # as the command line does
        by_family[name] = profiled(name, {"budget": {"evaluations": 64}} if options.quick else {})
        print(f"{name}: done", file=sys.stderr, flush=True)
    text = markdown(by_family)
    print(text)
    if not options.quick and tuple(options.family) == FAMILIES:
        machine = description()
        where = f"{machine['processor']}, one core, commit {machine['commit']}, load averages {machine['load']}"
        page.write("profile", f"{text}\nProcessor time. {where}.")


if __name__ == "__main__":
    main()
