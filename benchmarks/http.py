"""`python -m benchmarks.http [--quick]`: how soon the service answers while a job runs, and what that costs the job.

The service and its client share one core, a runner has another. The record holds 100 000 rules. Requests go out at 20 a
second, whether or not those before are answered. The job is timed with and without them in turns, since a machine's
speed drifts.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.machine import description
from benchmarks.tables import duration, table
from ruleforge.family import family_class
from ruleforge.language.identity import Recogniser
from ruleforge.language.rule import Rule
from ruleforge.store import CandidateRecord, GenerationRecord, NewJob, Store, open_store
from workers.scoring import rule_record

REQUESTS_PER_SECOND = 20
GENERATION = 500
TASKS = ("reward", "supervised")
# What must be reached: seconds, seconds, share of the job's speed.
SLOWEST_ANSWER, SLOWEST_EVENT, LARGEST_LOSS = 0.1, 3.0, 0.1
# A generation of which takes a part of a second of one core, and which does not end by itself.
JOB: dict[str, Any] = {
    **{
        "task": "reward",
        "seed": 1,
        "budget": {"generations": 1_000_000},
        "search": {"small_rules": 0.0, "offspring": 16},
    },
    **{"evaluator": {"racing": False}, "instances": {"training": 4, "validation": 4, "test": 4}},
}


@dataclass(frozen=True)
class Sizes:
    """rules: of the record; seconds: of each turn; turns: with requests, and as many without; jobs: submitted."""

    rules: int
    seconds: float
    turns: int
    jobs: int


FULL, QUICK = Sizes(100_000, 20.0, 4, 5), Sizes(2_000, 12.0, 1, 1)


def _expression(generator: random.Random, symbols: Sequence[str], depth: int) -> list[str | float]:
    if depth == 0 or generator.random() < 0.15:
        return [generator.choice(symbols) if generator.random() < 0.6 else round(generator.uniform(-9, 9), 3)]
    left, right = (_expression(generator, symbols, depth - 1) for _ in range(2))
    return [generator.choice("+-*/"), *left, *right]


def fill(store: Store, n_rules: int) -> None:
    """Finished jobs with that many different rules, of made-up fitness."""
    generator = random.Random(1)
    for index in range(max(1, n_rules // GENERATION)):
        declared = family_class(TASKS[index % len(TASKS)])
        recogniser = Recogniser(declared.known_rules())
        symbols = declared.slots[0].default_symbols
        job = store.create_job(NewJob(task=declared.name, spec={"task": declared.name}, spec_hash=f"{index}"))
        store.set_state(job, "running", "")
        candidates = []
        for order in range(GENERATION):
            rule = Rule.from_tokens([_expression(generator, symbols, generator.randint(3, 5))], declared)
            # By its text: to work out the behaviour of each would take most of the time, and changes nothing here.
            record = rule_record(rule, recogniser, f"{generator.getrandbits(128):032x}")
            candidates.append(CandidateRecord(record, generator.gauss(0, 50), "ok", order, "random"))
        best = max(candidates, key=lambda candidate: candidate.fitness)
        store.commit_generation(
            job,
            GenerationRecord(
                number=0,
                search_state={},
                history="0" * 32,
                evaluations=GENERATION,
                best=best.fitness,
                median=0.0,
                n_distinct=GENERATION,
                seconds=1.0,
                candidates=candidates,
                scores=[],
                front=[best.rule.id],
            ),
        )
        figures = {"aggregate": best.fitness, "mean": best.fitness, "standard_error": 1.0, "n": 40}
        store.finish(job, "succeeded", "generations", "", {"job": job}, {best.rule.id: figures}, [])


@contextmanager
def program(core: int, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A `ruleforge` command on one core."""
    command = [sys.executable, "-m", "api.command_line", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        os.sched_setaffinity(process.pid, {core})  # before it has any thread or child
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def address_of(service: subprocess.Popen[str]) -> str:
    """Where it listens; its log is read on, so that it never waits for a reader."""
    assert service.stderr is not None
    for line in service.stderr:
        said = json.loads(line)
        if said["event"] == "serving":
            threading.Thread(target=lambda: [None for _ in service.stderr or ()], daemon=True).start()
            return str(said["address"])
    raise RuntimeError("the service did not begin")


def processor_seconds(process: int) -> float:
    """What a process has used of the processor so far (fields 14 and 15 of /proc/PID/stat, proc(5))."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def queries(client: httpx.Client) -> list[dict[str, Any]]:
    """Pages as users ask for them: every order and filter, and pages further on."""
    plain: list[dict[str, Any]] = [
        *({"sort": sort} for sort in ("fitness", "complexity", "found", "newest")),
        {"task": "reward"},
        {"task": "supervised", "sort": "complexity"},
        {"min_fitness": 100},
        {"max_complexity": 7},
        {"known": "any"},
        {"text": "R*E"},
        {"text": "v - u", "task": "supervised"},
        {"max_complexity": 9, "min_fitness": 50, "task": "reward"},
    ]
    further = []
    for query in plain:
        cursor = client.get("/api/v1/rules", params=query).json()["next"]
        if cursor is not None:
            further.append({**query, "cursor": cursor})
    return plain + further


def load(client: httpx.Client, asked: Sequence[dict[str, Any]], seconds: float, seed: int) -> list[float]:
    """Seconds to answer each of the requests that go out at fixed times."""
    generator = random.Random(seed)

    def ask(query: dict[str, Any], due: float) -> float:
        answer = client.get("/api/v1/rules", params=query)
        assert answer.status_code == 200, answer.text
        # From when it was due, so that waiting behind a slow one counts too.
        return time.perf_counter() - due

    began = time.perf_counter()
    with ThreadPoolExecutor(16) as pool:
        waiting = []
        for number in range(int(seconds * REQUESTS_PER_SECOND)):
            due = began + number / REQUESTS_PER_SECOND
            time.sleep(max(0.0, due - time.perf_counter()))
            waiting.append(pool.submit(ask, generator.choice(asked), due))
        return [future.result() for future in waiting]


def measured(sizes: Sizes) -> dict[str, Any]:
    """Everything, in seconds."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        sys.exit("expected two cores, one for the service and one for the job, and this process may use one only")
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder)}/record.db"
        with open_store(url) as store:
            fill(store, sizes.rules)
        os.sched_setaffinity(0, {cores[0]})
        with (
            program(cores[0], "serve", "--port", "0", "--no-runner", "--db", url) as service,
            program(cores[1], "runner", "--workers", "1", "--db", url) as runner,
        ):
            threading.Thread(target=lambda: [None for _ in runner.stderr or ()], daemon=True).start()
            with httpx.Client(base_url=address_of(service), timeout=30) as client:
                _first_events(client, 0)  # after this the runner has its kernels
                events = [_first_events(client, 1 + number) for number in range(sizes.jobs)]
                return {"events": events, **_in_turns(client, sizes, service.pid, runner.pid)}


def _first_events(client: httpx.Client, seed: int) -> dict[str, float]:
    """From POST to the first event, and to the first generation."""
    began = time.perf_counter()
    id = client.post("/api/v1/jobs", json={**JOB, "seed": 100 + seed}).json()["id"]
    found: dict[str, float] = {}
    with client.stream("GET", f"/api/v1/jobs/{id}/events") as stream:
        for line in stream.iter_lines():
            if line.startswith("event: "):
                found.setdefault(line.removeprefix("event: "), time.perf_counter() - began)
            if "generation" in found:
                break
    client.post(f"/api/v1/jobs/{id}/cancel")
    return found


def _in_turns(client: httpx.Client, sizes: Sizes, service: int, runner: int) -> dict[str, Any]:
    id = client.post("/api/v1/jobs", json=JOB).json()["id"]
    asked = queries(client)
    load(client, asked, 2.0, 0)
    answers: list[float] = []
    used = 0.0
    rates: dict[str, list[float]] = {"alone": [], "served": []}
    efforts: dict[str, list[float]] = {"alone": [], "served": []}
    for turn in range(sizes.turns):
        for kind in ("alone", "served"):
            before, effort = client.get(f"/api/v1/jobs/{id}").json()["generation"], processor_seconds(runner)
            if kind == "served":
                used -= processor_seconds(service)
                answers += load(client, asked, sizes.seconds, turn + 1)
                used += processor_seconds(service)
            else:
                time.sleep(sizes.seconds)
            history = client.get(f"/api/v1/jobs/{id}/history").json()["items"][before:]
            efforts[kind].append((processor_seconds(runner) - effort) / len(history))
            rates[kind].append(statistics.median(b["seconds"] - a["seconds"] for a, b in itertools.pairwise(history)))
    client.post(f"/api/v1/jobs/{id}/cancel")
    return {
        "answers": sorted(answers),
        "processor": used / len(answers),
        "generation": statistics.median(rates["alone"]),
        "loss": _loss(rates),
        "loss_of_processor": _loss(efforts),
    }


def _loss(turns: Mapping[str, Sequence[float]]) -> float:
    """How much longer it took under requests, turn by turn beside the one before."""
    return statistics.median(served / alone - 1 for alone, served in zip(turns["alone"], turns["served"], strict=True))


def share(values: Sequence[float], part: float) -> float:
    """The value that this part of the sorted values lies below."""
    return values[min(len(values) - 1, int(part * len(values)))]


def main() -> int:
    """Measure, print, and fail if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small, to see that it runs; its figures mean nothing")
    sizes = QUICK if parser.parse_args().quick else FULL
    machine = description()
    found = measured(sizes)
    answers, first = found["answers"], max(item["state"] for item in found["events"])
    generation = max(item["generation"] for item in found["events"])
    rows = [
        (f"GET /rules, {len(answers)} requests: median", duration(share(answers, 0.5)), ""),
        ("99 % of them within", duration(share(answers, 0.99)), f"< {duration(SLOWEST_ANSWER)}"),
        ("slowest", duration(answers[-1]), ""),
        ("processor time of the service for each", duration(found["processor"]), ""),
        ("a generation of the job, alone", duration(found["generation"]), ""),
        ("the same under requests: longer by", f"{100 * found['loss']:.1f} %", f"< {100 * LARGEST_LOSS:.0f} %"),
        ("the same in processor time: more by", f"{100 * found['loss_of_processor']:.1f} %", ""),
        (f"POST /jobs to its first event, slowest of {sizes.jobs}", duration(first), f"< {duration(SLOWEST_EVENT)}"),
        ("POST /jobs to its first generation", duration(generation), f"< {duration(SLOWEST_EVENT)}"),
    ]
    sys.stdout.write(
        f"{machine['processor']}, {machine['date']}, commit {machine['commit']}, load {machine['load'][0]} at the "
        f"beginning; {sizes.rules} rules in SQLite, {REQUESTS_PER_SECOND} requests/s\n\n"
        f"{table(('what', 'measured', 'target'), rows)}"
    )
    missed = share(answers, 0.99) >= SLOWEST_ANSWER or found["loss"] >= LARGEST_LOSS
    return int(missed or max(first, generation) >= SLOWEST_EVENT)


if __name__ == "__main__":
    sys.exit(main())
