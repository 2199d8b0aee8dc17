"""Scoring one rule as a job: queued like an evolution, run ahead of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from typing import Any

from pydantic import ConfigDict, Field

from ruleforge.checked import CheckedModel
from ruleforge.cost import check_cost
from ruleforge.errors import InputError
from ruleforge.family import Split, family
from ruleforge.language.rule import Rule
from ruleforge.store import END_STATES, NewJob, RequestKey, Store
from workers.evaluate import MAX_INSTANCES, evaluate_rules
from workers.evaluators.interface import Evaluator, never
from workers.lease import RESUMABLE, attended
from workers.patience import PatientStore
from workers.versions import versions

KIND = "evaluation"
# Somebody waits for it, and it takes seconds.
PRIORITY = 1000


class EvaluationSpec(CheckedModel):
    """Which rule to score on what."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: str = Field(description="name of the task family")
    rule: str = Field(max_length=100_000, description="its text")
    parameters: dict[str, Any] = Field(default_factory=dict, description="of the task family")
    split: Split = Field("training", description="which instances: training, validation, test or library")
    n: int | None = Field(None, ge=1, le=MAX_INSTANCES, description="how many instances [default: the family's]")
    seed: int = Field(0, ge=0, lt=2**63, description="of the instances")


def submit_evaluation(store: Store, asked: EvaluationSpec, request: RequestKey | None = None) -> str:
    """Record the job, queued, and return its id. Raises InputError if task, parameters or rule are refused."""
    bound = family(asked.task, asked.parameters)
    rule = Rule.parse(asked.rule, type(bound))
    bound.keys(asked.split, 1, asked.seed)  # refuses what cannot be drawn
    check_cost(bound.cost(rule.complexity), bound.parameters)
    defaults = type(bound).search_defaults
    spec = {
        **asked.model_dump(mode="json"),
        "rule": rule.text,
        "parameters": bound.parameters.model_dump(mode="json"),
        "n": asked.n or defaults.instances(asked.split),
    }
    canonical = json.dumps([KIND, spec], sort_keys=True, separators=(",", ":"), allow_nan=False)
    job = NewJob(
        task=asked.task,
        kind=KIND,
        spec=spec,
        spec_hash=hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest(),
        versions=versions(bound),
        context=bound.context,
        priority=PRIORITY,
    )
    return store.create_job(job) if request is None else store.create_job_once(job, request).id


def run_evaluation(
    store: Store,
    job_id: str,
    evaluator: Evaluator,
    *,
    stop: Callable[[], bool] = never,
    when_stopped: str = "paused",
    allowed: Collection[str] = RESUMABLE,
) -> str:
    """Run the job and record its result and the rule; the state that it is in then. Raises as `run_job`."""
    patient = PatientStore(store, stop)
    if patient.job(job_id).state in END_STATES:
        raise InputError(f"job {job_id} has ended already")
    with attended(store, job_id, "started", when_stopped, allowed, stop) as lease:
        _evaluate(patient, job_id, evaluator, lambda: stop() or lease.lost(), lease.token)
    return patient.job(job_id).state


def _evaluate(store: Store, job_id: str, evaluator: Evaluator, stop: Callable[[], bool], lease: str) -> None:
    spec = store.job(job_id).spec
    bound = family(spec["task"], spec["parameters"])
    rule = Rule.parse(spec["rule"], type(bound))
    # The rule is recorded first, and its place in lists, so that whoever has the result can ask for them.
    (found,) = evaluate_rules(
        evaluator, bound, [rule], split=spec["split"], n=spec["n"], seed=spec["seed"], store=store, stop=stop
    )
    result = {"job": job_id, **found}
    store.finish(job_id, "succeeded", None, "evaluated", result, {}, [], lease)
