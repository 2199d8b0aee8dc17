"""A study: configurations × seeds, run as jobs, and what they say together."""

from __future__ import annotations

import hashlib
import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ruleforge.errors import InputError, JobStopped, SpecificationError
from ruleforge.family import family_class
from ruleforge.nesting import refuse_deep
from ruleforge.spec import JobSpec, job_spec
from ruleforge.statistics.searches import Times, fisher_exact, log_rank, quartiles, wilson
from ruleforge.store import END_STATES, JobHeldError, JobRecord, NewStudy, RequestKey, Store, StudyRecord
from workers.evaluators.interface import Evaluator, never
from workers.evolve import new_job, run_job
from workers.observer import Observer, harmless_observer
from workers.study_winner import open_test_of_study, winners

# Between two looks at jobs of the study that another process runs, in seconds.
LOOK_SECONDS = 0.5
MAX_CONFIGURATIONS = 1000
MAX_JOBS = 10_000
CONFIGURATION = "configurations"


@dataclass(frozen=True)
class Study:
    """A study as it was asked for: (label, specification) of each configuration; its `replicates` are the seeds."""

    name: str | None
    configurations: tuple[tuple[str, JobSpec], ...]

    @property
    def hash(self) -> str:
        """32 hexadecimal digits of BLAKE2b of all that determines the result."""
        content = json.dumps([[label, spec.canonical()] for label, spec in self.configurations])
        return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def study(given: Mapping[str, Any]) -> Study:
    """Validate a study: a job specification with `replicates`, and optionally a list of `configurations`.

    Each configuration is a table with a `label` and any keys of the specification, which go over the common ones.
    Raises SpecificationError with a JSON pointer and a sentence for each fault.
    """
    refuse_deep(given)
    common = {key: value for key, value in given.items() if key != CONFIGURATION}
    tables = given.get(CONFIGURATION, [{"label": str(common.get("task", ""))}])
    if not isinstance(tables, list) or not 1 <= len(tables) <= MAX_CONFIGURATIONS:
        raise SpecificationError([(f"/{CONFIGURATION}", f"expected a list of 1 to {MAX_CONFIGURATIONS} tables")])
    configurations: dict[str, JobSpec] = {}
    for index, table in enumerate(tables):
        here = f"/{CONFIGURATION}/{index}"
        if not isinstance(table, Mapping):
            raise SpecificationError([(here, f"expected a table with a label and what differs, and {table!r} came")])
        label = table.get("label")
        if not isinstance(label, str) or not label or label in configurations:
            raise SpecificationError([(f"{here}/label", f"expected a text that no other has, and {label!r} came")])
        try:
            configurations[label] = job_spec(_over(common, {k: v for k, v in table.items() if k != "label"}))
        except SpecificationError as error:
            raise SpecificationError(
                [(pointer if CONFIGURATION not in given else here + pointer, said) for pointer, said in error.errors]
            ) from None
    n_jobs = sum(spec.replicates for spec in configurations.values())
    if n_jobs > MAX_JOBS:
        sentence = f"configurations times replicates are expected to be at most {MAX_JOBS:,} jobs, and {n_jobs:,} came"
        raise SpecificationError([("/replicates", sentence)])
    name = common.get("name")
    return Study(name, tuple(configurations.items()))


def _over(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The common keys with a configuration's own over them, table by table."""
    merged = dict(common)
    for key, value in own.items():
        before = merged.get(key)
        merged[key] = _over(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged


def submit_study(store: Store, asked: Study, priority: int = 0, request: RequestKey | None = None) -> str:
    """Record a study and its jobs, queued, and return its id; the same study is there only once.

    The first seed of every configuration comes first, so that a table of all of them fills evenly.
    """
    jobs = []
    most = max(spec.replicates for _, spec in asked.configurations)
    for replicate in range(most):
        for label, spec in asked.configurations:
            if replicate < spec.replicates:
                single = spec.model_copy(update={"replicates": 1, "seed": spec.seed + replicate})
                jobs.append((label, new_job(single, priority)))
    content = {
        "configurations": [
            {"label": label, "specification": spec.model_dump(mode="json")} for label, spec in asked.configurations
        ]
    }
    made = NewStudy(spec=content, spec_hash=asked.hash, name=asked.name, jobs=jobs)
    return store.create_study(made) if request is None else store.create_study_once(made, request).id


def run_study(
    store: Store,
    study_id: str,
    evaluator: Evaluator,
    *,
    observer: Observer | None = None,
    stop: Callable[[], bool] = never,
) -> dict[str, Any]:
    """Run the jobs of a study that have not ended, one after the other, and return its result (JSON-ready).

    Jobs that other processes run are waited for; what somebody else pauses meanwhile stays paused, and what fails or
    has failed does not hold up the others. On `stop` the job in flight is paused and JobStopped is raised.
    """
    watched = harmless_observer(observer)
    open_jobs = [id for _, id in store.study(study_id).jobs]
    while open_jobs:
        for id in list(open_jobs):
            if stop():
                raise JobStopped(f"the study {study_id} was stopped: the same command goes on with it")
            if _run_one(store, id, evaluator, watched, stop):
                open_jobs.remove(id)
        if open_jobs:
            time.sleep(LOOK_SECONDS)
    end_study(store, study_id, evaluator, stop)
    return study_result(store, study_id)


def end_study(store: Store, study_id: str, evaluator: Evaluator, stop: Callable[[], bool] = never) -> bool:
    """Judge the winners of a study on its test stream if all its jobs have ended; whether they have.

    Whoever ends its last job calls it. Twice, or by two processes at once, it is the same stream and the same scores,
    and what the record holds is not simulated again. Raises JobStopped on `stop`; nothing is recorded then.
    """
    record = store.study(study_id)
    jobs = _job_rows(store, record)
    if _state(jobs) not in END_STATES:
        return False
    open_test_of_study(store, record.spec_hash, jobs, evaluator, stop)
    return True


def end_study_of(store: Store, job_id: str, evaluator: Evaluator, stop: Callable[[], bool] = never) -> None:
    """`end_study` of the study that a job belongs to, if it belongs to one; on `stop` a runner does it later."""
    study_id = store.job(job_id).study
    if study_id is not None:
        with suppress(JobStopped):
            end_study(store, study_id, evaluator, stop)


def _run_one(store: Store, job_id: str, evaluator: Evaluator, observer: Observer, stop: Callable[[], bool]) -> bool:
    """Run a job of a study unless it has ended; False if another process is at it, or `stop` came."""
    if store.job(job_id).state in END_STATES:
        return True
    try:
        run_job(store, job_id, evaluator, observer=observer, stop=stop)
    except JobHeldError:
        return False
    except Exception as error:
        if store.job(job_id).state not in END_STATES:
            raise
        observer.on_warning(f"job {job_id} ended without a result, {type(error).__name__}: {error}")
    return not stop()


def study_result(store: Store, study_id: str) -> dict[str, Any]:
    """What the jobs of a study say so far: one row per configuration, and every job (JSON-ready)."""
    record = store.study(study_id)
    jobs = _job_rows(store, record)
    labels = [item["label"] for item in record.spec.get(CONFIGURATION, ())]
    labels = labels or list(dict.fromkeys(job["configuration"] for job in jobs))
    groups = [[job for job in jobs if job["configuration"] == label] for label in labels]
    return {
        "study": record.id,
        "name": record.name,
        "state": _state(jobs),
        "rows": [
            _row(label, group, groups[0] if place else None)
            for place, (label, group) in enumerate(zip(labels, groups, strict=True))
        ],
        "winners": winners(store, record.spec_hash, jobs) if _state(jobs) in END_STATES else [],
        "jobs": jobs,
    }


def _job_rows(store: Store, record: StudyRecord) -> list[dict[str, Any]]:
    labelled = {id: label for label, id in record.jobs}
    # Of a study of thousands a question for each would take a minute.
    return [_job_row(store, labelled[job.id], job) for job in store.study_jobs(record.id) if job.id in labelled]


def _state(jobs: Sequence[Mapping[str, Any]]) -> str:
    states = {job["state"] for job in jobs}
    if states <= END_STATES:
        return "succeeded" if states == {"succeeded"} else "failed"
    return next(state for state in ("running", "queued", "paused") if state in states)


def _job_row(store: Store, label: str, job: JobRecord) -> dict[str, Any]:
    budget = job.spec.get("budget")
    target = budget.get("target") if isinstance(budget, dict) else None
    if target is None:  # then what its family calls a success, if that is installed here
        with suppress(InputError):
            target = family_class(job.task).search_defaults.target
    reached = None
    if target is not None and job.generation:
        reached = next(
            (g["evaluations"] for g in store.generations(job.id) if g["best"] is not None and g["best"] >= target), None
        )
    result = job.result or {}
    champion = result.get("champion")
    return {
        "job": job.id,
        "configuration": label,
        "seed": job.spec.get("seed"),
        "state": job.state,
        "evaluations": job.evaluations,
        "target": target,
        "evaluations_to_target": reached,
        "seconds": job.seconds,
        "history": job.history,
        "champion": champion,
        "reported": result.get("reported") or result.get("best_validated"),
        "best_validated": result.get("best_validated"),
    }


def _row(label: str, jobs: Sequence[Mapping[str, Any]], first: Sequence[Mapping[str, Any]] | None) -> dict[str, Any]:
    done = [job for job in jobs if job["state"] == "succeeded"]
    times = times_of(jobs)
    successes, n = len(times.reached), times.n
    targets = [job["target"] for job in done if job["target"] is not None]
    reported = [job["reported"] for job in done if job["reported"]]
    validations = [rule["validation_fitness"]["aggregate"] for rule in reported]
    tests = [rule.get("test_fitness", {}).get("aggregate") for rule in reported]
    return {
        "configuration": label,
        "n": len(jobs),
        "succeeded": len(done),
        "target": targets[0] if targets else None,
        "reached": successes,
        "success_rate": successes / n if n else None,
        "interval": wilson(successes, n) if n else None,
        "evaluations_to_target": _evaluations(times),
        "against_first": None if first is None else _compared(times, times_of(first)),
        "validation_fitness": _summary([value for value in validations if value is not None]),
        "test_fitness": _summary([value for value in tests if value is not None]),
    }


def _evaluations(times: Times) -> dict[str, float | None]:
    """Quartiles of the evaluations to the target; `censored_at`: the most that a job had which did not reach it."""
    names = ("lower_quartile", "median", "upper_quartile")
    return {**dict(zip(names, quartiles(times), strict=True)), "censored_at": max(times.censored, default=None)}


def times_of(jobs: Sequence[Mapping[str, Any]]) -> Times:
    """Evaluations to the target of the jobs that have ended and have one."""
    judged = [job for job in jobs if job["state"] == "succeeded" and job["target"] is not None]
    reached = tuple(job["evaluations_to_target"] for job in judged if job["evaluations_to_target"] is not None)
    return Times(reached, tuple(job["evaluations"] for job in judged if job["evaluations_to_target"] is None))


def _compared(times: Times, first: Times) -> dict[str, float] | None:
    """How probable such a difference to the first configuration is by chance, of the rates and of the evaluations."""
    if not times.n or not first.n:
        return None
    p_rate = fisher_exact(len(times.reached), times.n, len(first.reached), first.n)
    return {"p_success_rate": p_rate, "p_evaluations": log_rank(times, first)[1]}


def _summary(values: Sequence[float]) -> dict[str, float | int | None]:
    """Of a fitness per job, each the family's statistic: mean, standard error, best and number of jobs."""
    if not values:
        return {"mean": None, "standard_error": None, "best": None, "n": 0}
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "standard_error": error, "best": max(values), "n": len(values)}
