"""What is saved by not simulating, and what a search costs beside its simulations."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ruleforge.family import Scores
from ruleforge.search import Generation
from ruleforge.spec import job_spec
from ruleforge.store import open_store
from workers.evaluators import SerialEvaluator
from workers.evaluators.interface import Request
from workers.evolve import SilentObserver, run_job, submit

# When a search has found what the publication found: a training fitness (reward and supervised: a little below that of
# the published rule on the family's instances; correlation: the ratio that half of the published runs reached).
FOUND = {"reward": 150.0, "supervised": -15.0, "correlation": 10.0}


class TimedEvaluator(SerialEvaluator):
    """Scores in this thread and adds up the processor time that it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0

    def answer(self, request: Request) -> list[Scores]:
        """Scores of all rules on each instance."""
        start = time.process_time()
        result = super().answer(request)
        self.seconds += time.process_time() - start
        return result


class Watch(SilentObserver):
    """Notes the processor time from the first generation's start to the last one's end."""

    def __init__(self, evaluator: TimedEvaluator) -> None:
        self.evaluator = evaluator
        self.start = time.process_time()
        self.searching = 0.0
        self.scoring = 0.0

    def on_generation(self, generation: Generation, seconds: float) -> None:
        """A generation was committed."""
        self.searching, self.scoring = time.process_time() - self.start, self.evaluator.seconds


@dataclass(frozen=True)
class Search:
    """One evolve run, validation left out of the times. Seconds of processor time on one core.

    distinct: rules of different behaviour that were judged; candidates: all that were asked for.
    """

    seconds: float
    scoring: float
    candidates: int
    distinct: int
    champion: float | None
    champion_text: str | None
    known: dict[str, float]

    @property
    def per_second(self) -> float:
        """Distinct rules judged per second."""
        return self.distinct / self.seconds

    @property
    def overhead(self) -> float:
        """Seconds beside scoring, per candidate."""
        return (self.seconds - self.scoring) / self.candidates


def search(specification: Mapping[str, Any]) -> Search:
    """Run one job in a record of its own, in this thread."""
    spec = job_spec(specification)
    evaluator = TimedEvaluator()
    with (
        tempfile.TemporaryDirectory(prefix="ruleforge-search-") as folder,
        open_store(f"sqlite:///{Path(folder) / 'record.db'}") as store,
    ):
        job = submit(store, spec)
        watch = Watch(evaluator)
        result = run_job(store, job, evaluator, observer=watch)
        archive = list(store.archive(job))
    names = {item.rule.id: name for name, item in spec.family().known_rules().items()}
    known = {names[record.rule.id]: record.fitness for record in archive if record.rule.id in names}
    champion = result["champion"]
    return Search(
        watch.searching,
        watch.scoring,
        len(archive),
        len({record.rule.behaviour for record in archive}),
        champion["fitness"] if champion else None,
        champion["rule"] if champion else None,
        known,
    )


def savings(task: str, budget: Mapping[str, Any], parameters: Mapping[str, Any], seed: int = 1) -> list[dict[str, Any]]:
    """The same job with racing and fingerprints on and off; the known rules are in every first generation.

    What counts is rules of different behaviour judged per second; `gain` is relative to both being off. `ranking` are
    the known rules that were scored in full in both, best first: the same list as without savings, or not.
    """
    known = [item.rule.text for item in job_spec({"task": task}).family().known_rules().values()]
    rows = []
    for racing, fingerprints in ((False, False), (False, True), (True, False), (True, True)):
        found = search(
            {
                "task": task,
                "seed": seed,
                "parameters": dict(parameters),
                "grammar": {"seed_rules": known},
                "budget": dict(budget),
                "evaluator": {"racing": racing, "fingerprints": fingerprints},
            }
        )
        rows.append({"racing": racing, "fingerprints": fingerprints, "per_second": found.per_second, **asdict(found)})
    for row in rows:
        row["gain"] = row["per_second"] / rows[0]["per_second"]
        both = [name for name in rows[0]["known"] if name in row["known"] and row["known"][name] > float("-inf")]
        orders = [sorted(both, key=lambda name: -of["known"][name]) for of in (row, rows[0])]
        row["same_ranking"], row["n_ranked"] = orders[0] == orders[1], len(both)
    for row in rows:
        del row["known"]
    return rows


def success(task: str, budget: Mapping[str, Any], parameters: Mapping[str, Any], seeds: int) -> dict[str, Any]:
    """Over how many seeds a search finds what the publication found, with racing and fingerprints and without."""
    counts: dict[str, Any] = {}
    for name, on in (("with", True), ("without", False)):
        champions = [
            search(
                {
                    "task": task,
                    "seed": seed,
                    "parameters": dict(parameters),
                    "budget": dict(budget),
                    "evaluator": {"racing": on, "fingerprints": on},
                }
            ).champion
            for seed in range(1, seeds + 1)
        ]
        counts[name] = sum(champion is not None and champion >= FOUND[task] for champion in champions)
        counts[f"champions_{name}"] = champions
    return {"seeds": seeds, "found": FOUND[task], **counts}
