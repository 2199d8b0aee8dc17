"""Taking a search further: a job goes on to other limits as if it had had them from the first.

No part of a search depends on its limits but one: the limit of evaluations cuts the generation that reaches it. A job
that is taken further begins that generation again, whole; what it scored is in the record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ruleforge.errors import InputError, SpecificationError
from ruleforge.spec import Budget, JobSpec, job_spec, limits
from ruleforge.store import EXTENSION, Extension, JobRecord, RequestKey, RevisionError, RollBack, Store
from workers.evolve import CUT, new_job

# How often a job is read again that others change meanwhile.
TRIES = 10
# A limit → how it is said: of the limit, and of what the job has reached.
_SAID = {
    "generations": "{:d} generations",
    "evaluations": "{:d} evaluations",
    "seconds": "{:g} seconds",
    "target": "a target of {:g}",
}


def extend(store: Store, job_id: str, budget: Any, request: RequestKey | None = None) -> JobRecord:
    """Give an evolution that nobody runs other limits, and queue it; the job as it is then.

    budget: as in a specification, where a number alone is one of evaluations. It takes the place of all limits that the
    job had, and each limit has to be larger than what ran. The history, and the front at its end, are those of a job
    that had this budget from the first. A job that is on its way to exactly these limits is left as it is, and so is
    any for a request that came before. Raises InputError for what cannot be taken further, and nothing is changed then.
    """
    if request is not None and store.made_by(request, EXTENSION) is not None:
        return store.job(job_id)
    for _ in range(TRIES):
        job = store.job(job_id)
        if job.kind != "evolution":
            raise InputError(f"job {job.id} is an {job.kind}: only an evolution can be taken further")
        spec = _further(job, budget)
        if job.state in ("queued", "running", "paused") and job.spec.get("budget") == spec.budget.model_dump(
            mode="json"
        ):
            if job.state == "paused":
                store.set_state(job.id, "queued", "resumed", allowed=("paused", "queued"))
            return store.job(job.id)
        extension = _extension(job, spec)
        try:
            store.extend_job(job.id, extension, request)
        except RevisionError:
            continue
        return store.job(job.id)
    raise InputError(f"job {job_id} changes all the time: pause it first with `ruleforge pause {job_id}`")


def _further(job: JobRecord, budget: Any) -> JobSpec:
    """The job's specification with the other limits."""
    budget = limits(budget)
    if not isinstance(budget, Mapping) or not any(value is not None for value in budget.values()):
        names = ", ".join(Budget.model_fields)
        raise SpecificationError([("/budget", f"expected a limit that the job goes on to, one or more of {names}")])
    return job_spec({**job.spec, "name": job.name, "notes": job.notes, "tags": job.tags, "budget": dict(budget)})


def _extension(job: JobRecord, spec: JobSpec) -> Extension:
    back_to = _back_to(job)
    generation = job.generation if back_to is None else back_to.generation
    if job.stopped_by == "exhausted":
        raise InputError(
            f"job {job.id} found nothing new for many generations, and a larger limit changes nothing about it: start "
            f"another search from its front with `ruleforge evolve {job.task} --from {job.id}`"
        )
    errors = list(_too_small(job, spec.budget, generation))
    if errors:
        raise SpecificationError(errors)
    made = new_job(spec)
    return Extension(
        spec=made.spec,
        spec_hash=made.spec_hash,
        reason=f"extended to {said(spec.budget)}",
        revision=job.revision,
        generation=generation,
        back_to=back_to,
    )


def said(budget: Budget) -> str:
    """The limits of a budget in words."""
    stated = {name: value for name, value in budget.model_dump().items() if value is not None}
    return ", ".join(_SAID[name].format(value) for name, value in stated.items())


def _too_small(job: JobRecord, budget: Budget, generation: int) -> Iterator[tuple[str, str]]:
    """The limits that the job has reached already: (JSON pointer, sentence). generation: of so many whole ones."""
    reached = {
        "generations": generation,
        "evaluations": job.evaluations,
        "seconds": job.seconds,
        "target": job.best,
    }
    for name, limit in budget.model_dump().items():
        done = reached[name]
        if limit is not None and done is not None and limit <= done:
            has = f"its champion has {done:g}" if name == "target" else f"{_SAID[name].format(done)} have run"
            yield f"/budget/{name}", f"expected more than what job {job.id} has reached ({has}), and {limit:g} came"


def _back_to(job: JobRecord) -> RollBack | None:
    """Where the generation began that the limit of evaluations cut, if it is the last one."""
    state = job.search_state or {}
    began = state.get(CUT)
    if began is not None:
        search = began["search"]
        return RollBack(
            generation=search["generation"],
            evaluations=search["evaluations"],
            history=search["history"],
            search_state=began,
        )
    limit = job.spec.get("budget", {}).get("evaluations")
    if job.generation and limit is not None and job.evaluations >= limit:
        raise InputError(
            f"the last generation of job {job.id} was cut to {limit} evaluations by an earlier version, which did not "
            "keep where it began: submit its specification with the larger limit as a new job"
        )
    return None
