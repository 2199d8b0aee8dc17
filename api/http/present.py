"""Records as they are sent."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from api.http.models import FoundRuleObject, Job, JobDetails, Progress, RuleObject
from ruleforge.errors import InputError
from ruleforge.language.rule import Rule
from ruleforge.store import FoundRule, JobRecord, RuleRecord
from workers.scoring import rule_object

PREFIX = "/api/v1"
# In which state a job must be for what can be asked of it.
ACTIONS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "pause": ("paused", ("queued", "running")),
    "resume": ("queued", ("paused",)),
    "cancel": ("cancelled", ("queued", "running", "paused")),
}


def job_links(job: JobRecord) -> dict[str, str]:
    """Where to go from a job, what can be asked of it now included."""
    here = f"{PREFIX}/jobs/{job.id}"
    parts = ("events", "history", "front") if job.kind == "evolution" else ("events",)
    asked = [name for name, (_, allowed) in ACTIONS.items() if job.state in allowed]
    if job.kind == "evolution" and job.state != "running":
        asked.append("extend")
    return {"self": here, **{name: f"{here}/{name}" for name in (*parts, *asked)}}


def rule_links(rule: RuleRecord, job: str | None = None) -> dict[str, str]:
    """Where to go from a rule; `job`: whose parameters its pictures are drawn with."""
    here = f"{PREFIX}/rules/{rule.id}"
    whose = f"?job={job}" if job else ""
    links = {name: f"{here}/{name}" for name in ("trace", "figure.svg", "simplified", "lineage", "export")}
    return {"self": here, **links, "trace": f"{here}/trace{whose}", "figure.svg": f"{here}/figure.svg{whose}"}


def progress(job: JobRecord) -> Progress:
    """How near the job is to the limit that it will reach first."""
    if job.state == "succeeded":
        return Progress(fraction=1.0, limit=job.stopped_by)
    budget = job.spec.get("budget", {})
    budget = budget if isinstance(budget, dict) else {}
    done = {"generations": job.generation, "evaluations": job.evaluations, "seconds": job.seconds}
    shares = {name: min(done[name] / budget[name], 1.0) for name in done if budget.get(name)}
    nearest = max(shares, key=lambda name: shares[name], default=None)
    return Progress(fraction=None if nearest is None else shares[nearest], limit=nearest)


def _job_fields(job: JobRecord) -> dict[str, Any]:
    return {
        **{name: getattr(job, name) for name in Job.model_fields if hasattr(job, name)},
        "tags": list(job.tags),
        "progress": progress(job),
        "links": job_links(job),
    }


def job_object(job: JobRecord) -> Job:
    """A job of a list."""
    return Job(**_job_fields(job))


def job_details(job: JobRecord) -> JobDetails:
    """A job with its result; the rule of an evaluation has a link to its trace."""
    result = job.result
    if result is not None and job.kind == "evaluation" and "id" in result:
        result = {**result, "links": {"trace": f"{PREFIX}/rules/{result['id']}/trace?job={job.id}"}}
    return JobDetails(**_job_fields(job), versions=job.versions, result=result)


def rule_fields(
    record: RuleRecord,
    fitness: float | None,
    outcome: str | None,
    validation: Any,
    context: str | None,
    library: Any = None,
) -> dict[str, Any]:
    """The rule object of every list, with its formula."""
    latex, mathml = formulas(record.task, record.text)
    return {**rule_object(record, fitness, outcome, validation, context, library), "latex": latex, "mathml": mathml}


@functools.lru_cache(maxsize=4096)
def formulas(task: str, text: str) -> tuple[str | None, str | None]:
    """LaTeX and MathML; kept, because pages of the same rules are asked for again and again.

    None for a rule that cannot be read here, of a family that is not installed or from another grammar: its text,
    scores and name are shown all the same.
    """
    try:
        rule = Rule.parse(text, task)
    except InputError:
        return None, None
    return rule.latex, rule.mathml


def recorded_tokens(found: FoundRule) -> list[list[str | float]] | None:
    """The tokens as they are recorded; None for what are none."""
    tokens: Any = found.rule.tokens
    try:
        return TypeAdapter(list[list[str | float]]).validate_python(tokens)
    except ValidationError:
        return None


def front_object(item: Any, context: str) -> RuleObject:
    """A rule of the front of a job of this context."""
    return RuleObject(**rule_fields(item.rule, item.fitness, item.outcome, item.validation, context, item.library))


def found_fields(found: FoundRule) -> dict[str, Any]:
    """A rule of the whole record."""
    return {
        **rule_fields(found.rule, found.fitness, found.outcome, found.validation, found.context, found.library),
        "task": found.rule.task,
        "found": found.found,
        "jobs": found.jobs,
        "configurations": found.configurations,
        "links": rule_links(found.rule),
    }


def found_object(found: FoundRule) -> FoundRuleObject:
    """The same as a model."""
    return FoundRuleObject(**found_fields(found))
