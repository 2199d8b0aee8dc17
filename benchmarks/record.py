"""`python -m benchmarks.record [--quick]`: pages of a large record, and what committing a generation costs."""

from __future__ import annotations

import argparse
import hashlib
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import postgresql
from benchmarks.machine import description, use_one_core
from benchmarks.peers.process import NoPeer
from benchmarks.tables import duration, table
from ruleforge.context import Context
from ruleforge.store import (
    SORTS,
    CandidateRecord,
    GenerationRecord,
    NewJob,
    Page,
    RuleQuery,
    RuleRecord,
    ScoreRecord,
    Store,
    open_store,
)
from workers.origin import found_under

REPEATS = 5
LIMIT = 50
TASKS = ("reward", "supervised", "correlation")
SYMBOLS = {"reward": ("R", "E", "V"), "supervised": ("v", "u", "s"), "correlation": ("w", "x", "y")}
KNOWN = {"reward": "policy gradient", "supervised": "delta rule (Urbanczik–Senn)", "correlation": "additive STDP"}
GENERATION = 50  # rules
SCORES = 10  # per rule
NEW_GENERATIONS = 4  # of a job; before them comes one of rules that every job finds
CONTEXTS = 3  # of each task


@dataclass(frozen=True)
class Sizes:
    """How many rules, each with `SCORES` scores, and of how many jobs."""

    rules: int

    @property
    def jobs(self) -> int:
        """As many as it takes."""
        return max(len(TASKS), self.rules // (GENERATION * NEW_GENERATIONS))


FULL, QUICK = {"rules": 100_000}, {"rules": 2_000}


def _text(generator: random.Random, task: str, depth: int) -> str:
    if depth == 0 or generator.random() < 0.2:
        return generator.choice(SYMBOLS[task]) if generator.random() < 0.7 else f"{generator.uniform(-2, 2):.3f}"
    left, right = (_text(generator, task, depth - 1) for _ in range(2))
    return f"({left} {generator.choice('+-*/')} {right})"


def _rule(generator: random.Random, task: str) -> RuleRecord:
    text = _text(generator, task, generator.randint(1, 5))
    id = hashlib.blake2b(f"{task} {text} {generator.random()}".encode(), digest_size=16).hexdigest()
    behaviour = hashlib.blake2b(id.encode(), digest_size=16).hexdigest()
    named = generator.random() < 0.001
    known: dict[str, Any] = {"known_as": KNOWN[task], "known_factor": generator.uniform(0.1, 10)} if named else {}
    tokens = text.replace("(", "").replace(")", "").split()
    return RuleRecord(id, task, text, [tokens], len(tokens), behaviour, **known)


def _scores(task: str, rule: RuleRecord, fitness: float) -> Iterator[ScoreRecord]:
    for instance in range(SCORES):
        yield ScoreRecord(
            rule.id, f"context of {task}", f"sampled/training/1/{instance}", fitness, "ok", {"spikes": instance / 7}
        )


def _generation(number: int, task: str, rules: Sequence[RuleRecord], generator: random.Random) -> GenerationRecord:
    candidates, scores = [], []
    for order, rule in enumerate(rules):
        ok = generator.random() < 0.95
        fitness = generator.gauss(0, 50) + 2 * len(rule.text) if ok else float("-inf")
        outcome = "ok" if ok else "non_finite"
        candidates.append(CandidateRecord(rule, fitness, outcome, order, "mutation", (rules[0].id,)))
        scores += [replace(score, outcome=outcome) for score in _scores(task, rule, fitness)]
    best = max(candidates, key=lambda candidate: candidate.fitness)
    return GenerationRecord(
        number=number,
        search_state={"population": [rule.behaviour for rule in rules]},
        history="0" * 32,
        evaluations=(number + 1) * len(rules),
        best=best.fitness,
        median=0.0,
        n_distinct=len(rules),
        seconds=float(number),
        candidates=candidates,
        scores=scores,
        front=[best.rule.id],
    )


def fill(store: Store, sizes: Sizes) -> dict[str, float]:
    """Make the record; seconds of the processor per generation of new rules, over all and over the last tenth."""
    generator = random.Random(1)
    common = {task: [_rule(generator, task) for _ in range(GENERATION)] for task in TASKS}
    taken = []
    for index in range(sizes.jobs):
        task = TASKS[min(generator.randrange(6), 2)]  # the last is four times as frequent as the others
        kind = "evaluation" if index % 10 == 9 else "evolution"
        parameters = {"rate": float(index % CONTEXTS)}
        spec = {"task": task, "seed": index, "parameters": parameters}
        context = Context.of(task, 1, parameters)
        job = store.create_job(NewJob(task=task, kind=kind, spec=spec, spec_hash=f"{index}", context=context))
        store.set_state(job, "running", "")
        store.commit_generation(job, _generation(0, task, common[task], generator))
        for number in range(1, 1 + NEW_GENERATIONS):
            new = [_rule(generator, task) for _ in range(GENERATION)]
            generation = _generation(number, task, new, generator)
            start = time.process_time()
            store.commit_generation(job, generation)
            taken.append(time.process_time() - start)
        front = new[:4]
        figures = {rule.id: generator.gauss(0, 50) for rule in front}
        validations = {
            id: {"aggregate": mean, "mean": mean, "standard_error": 1.0, "n": 40} for id, mean in figures.items()
        }
        library = [(rule, {**validations[rule.id], "aggregate": generator.gauss(0, 50)}) for rule in front]
        if index % 10:
            result = {
                "job": job,
                "reported": {"behaviour": front[0].behaviour, "test_fitness": validations[front[0].id]},
            }
            store.finish(job, "succeeded", "target", "", result, validations, [], library=library)
    return {"all": statistics.median(taken), "last": statistics.median(taken[-len(taken) // 10 :])}


def queries() -> dict[str, RuleQuery]:
    """What a page of rules can be restricted by."""
    return {
        "all": RuleQuery(),
        "task": RuleQuery(task="supervised"),
        "parameters": RuleQuery(parameters="rate=1.0"),
        "known = a name": RuleQuery(known=KNOWN["correlation"]),
        "known = any": RuleQuery(known="any"),
        "known = none, of a task": RuleQuery(known="none", task="reward"),
        "min_fitness, 1 in 40": RuleQuery(min_fitness=140.0),
        "max_complexity = 3": RuleQuery(max_complexity=3),
        "max_complexity = 5, of a task": RuleQuery(max_complexity=5, task="correlation"),
        "text, of many": RuleQuery(text="w"),
        "text, of some": RuleQuery(text="(X * Y)"),
        "text, of few": RuleQuery(text="1.234"),
        "text, of none, of a task": RuleQuery(text="q", task="correlation"),
        "text, fitness, complexity": RuleQuery(text="w*x", min_fitness=50.0, max_complexity=20, task="correlation"),
    }


def _timed(call: Callable[[], object], server: Callable[[], float]) -> dict[str, float]:
    """Seconds on the clock and of the processor, here and in the server: the median of some calls."""
    clock, processor = [], []
    for _ in range(REPEATS):
        # In this order, so that the time to ask for the server's is not counted to anybody.
        server_began, began, own_began = server(), time.perf_counter(), time.process_time()
        call()
        own, ended = time.process_time() - own_began, time.perf_counter()
        clock.append(ended - began)
        processor.append(own + server() - server_began)
    return {"clock": statistics.median(clock), "processor": statistics.median(processor)}


def _places(ask: Callable[[str | None, int], Page[Any]], step: int) -> dict[str, str | None]:
    """Cursors at the beginning, in the middle and near the end of a list."""
    cursors: list[str | None] = [None]
    while (cursor := ask(cursors[-1], step).next) is not None:
        cursors.append(cursor)
    return {"first": None, "middle": cursors[len(cursors) // 2], "deep": cursors[-1]}


def measured(url: str, sizes: Sizes, server: Callable[[], float]) -> dict[str, Any]:
    """Fill a record and measure: rows as in `summary`, in seconds.

    server: what the server has used of the processor so far.
    """
    rows: list[dict[str, Any]] = []
    with open_store(url) as store:
        commit = fill(store, sizes)
        step = max(LIMIT, sizes.rules // 20)

        def add(name: str, sort: str, place: str, call: Callable[[], object]) -> None:
            rows.append({"list": name, "sort": sort, "place": place, **_timed(call, server)})

        newest = store.jobs_page(state="succeeded", limit=1).items[0].id
        for name, query in (queries() | {"job": RuleQuery(job=newest)}).items():
            for sort in SORTS:
                sorted_query = replace(query, sort=sort)

                def ask(cursor: str | None, limit: int, query: RuleQuery = sorted_query) -> Page[Any]:
                    return store.browse(query, cursor, limit)

                for place, cursor in _places(ask, step).items():
                    add(f"rules, {name}", sort, place, partial(ask, cursor, LIMIT))
        for name, filters in _job_filters().items():

            def ask_jobs(cursor: str | None, limit: int, filters: Mapping[str, str] = filters) -> Page[Any]:
                return store.jobs_page(**filters, cursor=cursor, limit=limit)

            for place, cursor in _places(ask_jobs, max(LIMIT, sizes.jobs // 20)).items():
                add(f"jobs, {name}", "newest", place, partial(ask_jobs, cursor, LIMIT))
        best = store.rules(top=1)[0].rule.id
        add("one rule", "", "", lambda: store.rule(best))
        # Every job of its task found it.
        often = store.browse(RuleQuery(sort="found"), limit=1).items[0].rule
        add("one rule, under what it was found", "", "", lambda: found_under(store, often))
        add("lineage", "", "", lambda: store.lineage(best))
        add("statistics", "", "", store.statistics)
        judged = store.statistics().rules_judged
    rules = sizes.jobs * GENERATION * NEW_GENERATIONS
    return {"rules": rules, "scores": rules * SCORES, "judged": judged, "commit": commit, "rows": summary(rows)}


def _job_filters() -> dict[str, dict[str, str]]:
    return {
        "all": {},
        "task": {"task": "supervised"},
        "state": {"state": "running"},
        "kind": {"kind": "evaluation"},
        "spec_hash": {"spec_hash": "7"},
        "task, state and kind": {"task": "reward", "state": "succeeded", "kind": "evaluation"},
    }


def measure(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same on SQLite and on PostgreSQL, by backend; a reason instead where there is no server."""
    sizes = Sizes(**settings)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="ruleforge-record-") as folder:
        results["SQLite"] = measured(f"sqlite:///{Path(folder) / 'record.db'}", sizes, lambda: 0.0)
        results["SQLite"]["bytes"] = (Path(folder) / "record.db").stat().st_size
        print("SQLite: done", file=sys.stderr, flush=True)
    with ExitStack() as stack:
        try:
            url, process = stack.enter_context(postgresql.server())
        except NoPeer as reason:
            results["PostgreSQL"] = {"absent": str(reason)}
        else:
            results["PostgreSQL"] = measured(url, sizes, partial(postgresql.processor_seconds, process))
            print("PostgreSQL: done", file=sys.stderr, flush=True)
    return results


def summary(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Of every list the median over its orders and places, and the slowest in processor time and where that was."""
    summaries = []
    for name in dict.fromkeys(row["list"] for row in rows):
        of_list = [row for row in rows if row["list"] == name]
        most = max(of_list, key=lambda row: row["processor"])
        summaries.append(
            {
                "list": name,
                "processor": statistics.median(row["processor"] for row in of_list),
                "slowest": most["processor"],
                "where": ", ".join(filter(None, (most["sort"], most["place"]))),
                "clock": statistics.median(row["clock"] for row in of_list),
            }
        )
    return summaries


def slowest(found: Mapping[str, Any], pages: bool = True) -> float:
    """Processor time of the slowest page of a list, or of the statistics."""
    taken: list[float] = [row["slowest"] for row in found["rows"] if (row["list"] != "statistics") == pages]
    return max(taken)


def markdown(results: Mapping[str, Any]) -> str:
    """One row per list: all its orders and places, and the slowest of them."""
    there = {name: found for name, found in results.items() if "absent" not in found}
    sizes = next(iter(there.values()))
    rows = [
        [
            lists[0]["list"],
            *(
                cell
                for row in lists
                for cell in (
                    duration(row["processor"]),
                    f"{duration(row['slowest'])}{' (' + row['where'] + ')' if row['where'] else ''}",
                    duration(row["clock"]),
                )
            ),
        ]
        for lists in zip(*(found["rows"] for found in there.values()), strict=True)
    ]
    head = ["list", *(cell for name in there for cell in (name, f"{name}, the slowest", f"{name}, clock"))]
    said = [
        f"{sizes['scores']:,} scores of {sizes['rules']:,} rules; pages of {LIMIT} entries. Each figure is the median "
        f"of {REPEATS} calls; a list has the first, a middle and the last page in every order, of which the median and "
        "the slowest are given in processor time (client and server together), the median also on the clock.",
        *(
            f"{name}: committing a generation of {GENERATION} new rules with {GENERATION * SCORES} scores takes "
            f"{duration(found['commit']['last'])} of the client's processor time when the record is full."
            for name, found in there.items()
        ),
        *(f"{name}: absent, {found['absent']}." for name, found in results.items() if "absent" in found),
    ]
    return "\n\n".join([*said, table(head, rows)])


def main(arguments: list[str] | None = None) -> None:
    """Measure, and print the section that `benchmarks.run --only record` writes into the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small record: to see that it runs")
    options = parser.parse_args(arguments)
    use_one_core()
    print(markdown(measure(QUICK if options.quick else FULL)))
    print(f"\n{description()}")


if __name__ == "__main__":
    main()
