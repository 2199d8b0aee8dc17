"""Jobs: submitted, listed, described, paused, resumed, cancelled, deleted."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from api.http import models
from api.http.bodies import Body, body_of, described
from api.http.idempotency import RequestKeyHeader, remembered
from api.http.lookup import BegunJob, OneJob
from api.http.negotiation import CSV, JSON, LATEX, ConditionalRoute, matches, offering
from api.http.pages import Listing, Text, link_next
from api.http.pages import Query as StrictQuery
from api.http.present import ACTIONS, PREFIX, front_object, job_details, job_object
from api.http.problems import ACCEPTED, Problem, conflicts, responses
from api.http.service import Here
from api.http.studies import study_object
from api.http.tables import front_table, generations_table, latex_table
from ruleforge.errors import InputError
from ruleforge.spec import JobSpec, job_spec
from ruleforge.store import END_STATES, JobRecord, RevisionError
from workers.evolve import submit
from workers.extension import extend
from workers.starting import from_front
from workers.study import study as read_study
from workers.study import submit_study

router = APIRouter(prefix=PREFIX, tags=["jobs"], route_class=ConditionalRoute)
in_json = Depends(offering(JSON))
MERGE_PATCH = "application/merge-patch+json"
# A description is tried again when the job moved on meanwhile, which changes its revision too.
TRIES = 10


def etag(job: JobRecord) -> str:
    """Of a job as it stands: every change of it raises the revision."""
    return f'"{job.id}-{job.revision}"'


class SubmissionQuery(StrictQuery):
    """What goes beside a specification."""

    from_job: Text | None = Field(None, alias="from", description="id of the job whose front to start from")


@router.post(
    "/jobs",
    status_code=HTTPStatus.ACCEPTED,
    response_model=models.JobDetails | models.Study,
    openapi_extra=described(JobSpec),
    responses=responses(400, 408, 413, 415, 422) | ACCEPTED,
    dependencies=[in_json],
)
def submit_job(
    here: Here,
    body: Annotated[Body[JobSpec], Depends(body_of(JobSpec))],
    query: Annotated[SubmissionQuery, Query()],
    key: RequestKeyHeader = None,
) -> Response:
    """Queue an evolution. The answer has the specification with every default filled in.

    `from` names a job of the same task, whose front becomes seed rules of the specification. With `replicates` > 1 it
    is a study: one job for each seed, and Location names the study.
    """
    spec, source = job_spec(body.given), query.from_job
    if source is not None:
        if spec.replicates > 1:
            raise InputError(
                "expected from or replicates, and both came: a study starts from no front", pointer="/from"
            )
        spec, source = from_front(here.store, source, body.given)
    request = remembered(key, "jobs" if source is None else f"jobs from {source}", body.given)
    content: models.JobDetails | models.Study
    if spec.replicates > 1:
        study = submit_study(here.store, read_study(body.given), request=request)
        location, content = f"{PREFIX}/studies/{study}", study_object(here.store, study)
    else:
        id = submit(here.store, spec, request=request, started_from=source)
        location, content = f"{PREFIX}/jobs/{id}", job_details(here.store.job(id))
    return JSONResponse(content.model_dump(mode="json"), HTTPStatus.ACCEPTED, {"Location": location})


class JobListing(Listing):
    """Which jobs to list."""

    state: models.State | None = None
    task: Text | None = None
    kind: models.Kind | None = None
    spec_hash: Text | None = None


@router.get("/jobs", responses=responses(422), dependencies=[in_json])
def list_jobs(
    here: Here, request: Request, response: Response, query: Annotated[JobListing, Query()]
) -> models.Page[models.Job]:
    """Jobs, newest first. Equal specifications have equal `spec_hash`."""
    page = here.store.jobs_page(
        task=query.task,
        state=query.state,
        kind=query.kind,
        spec_hash=query.spec_hash,
        cursor=query.cursor,
        limit=query.limit,
    )
    link_next(request, response, page.next)
    return models.Page[models.Job](items=[job_object(job) for job in page.items], next=page.next)


@router.get("/jobs/{id}", responses=responses(404), dependencies=[in_json])
def get_job(job: BegunJob, response: Response) -> models.JobDetails:
    """One job. Its ETag changes with it: ask with If-None-Match."""
    response.headers["ETag"] = etag(job)
    return job_details(job)


@router.patch(
    "/jobs/{id}",
    openapi_extra=described(models.Description, MERGE_PATCH),
    responses=responses(400, 404, 408, 409, 412, 413, 415, 422),
    dependencies=[in_json],
)
def describe_job(
    here: Here,
    job: OneJob,
    body: Annotated[Body[models.Description], Depends(body_of(models.Description, MERGE_PATCH))],
    response: Response,
    request: Request,
    if_match: Annotated[str | None, Header(description="ETag of the job as you know it")] = None,
) -> models.JobDetails:
    """Change name, notes and tags; what is left out stays. With If-Match only if nobody changed the job since."""
    known = request.headers.getlist("if-match")
    changes = {name: value for name, value in body.given.items() if name in models.Description.model_fields}
    if "tags" in changes:
        changes["tags"] = tuple(changes["tags"] or ())
    for _ in range(TRIES):
        if if_match is not None and not matches(known, etag(job), strong=True):
            break
        try:
            changed = here.store.describe(job.id, **changes, revision=job.revision)
        except RevisionError:
            if if_match is not None and not matches(known, "*", strong=True):
                break
            job = here.store.job(job.id)
            continue
        response.headers["ETag"] = etag(changed)
        return job_details(changed)
    if if_match is None:
        raise Problem(HTTPStatus.CONFLICT, f"job {job.id} changes all the time: try again")
    raise Problem(
        HTTPStatus.PRECONDITION_FAILED, f"the job has changed since (its ETag is {etag(job)}): GET it, then try again"
    )


@router.delete("/jobs/{id}", status_code=HTTPStatus.NO_CONTENT, responses=responses(404, 409, content=False))
def delete_job(here: Here, job: OneJob) -> None:
    """Delete a job that has ended. The rules that it found, and their scores, stay."""
    if job.state not in END_STATES:
        raise Problem(HTTPStatus.CONFLICT, f"job {job.id} is {job.state}: cancel it first")
    with conflicts():
        here.store.delete_job(job.id)


def _move(here: Here, job: JobRecord, action: str) -> models.JobDetails:
    state, allowed = ACTIONS[action]
    if job.state != state:
        with conflicts():
            here.store.set_state(job.id, state, "requested over HTTP", allowed=allowed)
    return job_details(here.store.job(job.id))


@router.post("/jobs/{id}/pause", responses=responses(404, 409), dependencies=[in_json])
def pause_job(here: Here, job: OneJob) -> models.JobDetails:
    """Pause a job that waits or runs; the generation in flight is dropped."""
    return _move(here, job, "pause")


@router.post("/jobs/{id}/resume", responses=responses(404, 409), dependencies=[in_json])
def resume_job(here: Here, job: OneJob) -> models.JobDetails:
    """Put a paused job back into the queue; it goes on where it stood."""
    return _move(here, job, "resume")


@router.post(
    "/jobs/{id}/extend",
    openapi_extra=described(models.Extension),
    responses=responses(400, 404, 409, 413, 415, 422),
    dependencies=[in_json],
)
def extend_job(
    here: Here,
    job: OneJob,
    body: Annotated[Body[models.Extension], Depends(body_of(models.Extension))],
    key: RequestKeyHeader = None,
) -> models.JobDetails:
    """Queue a job, also one that has ended, to go on to larger limits, as if it had had these from the first.

    A job that runs has to be paused before; jobs of a study keep its limits. The result comes anew at the new end.
    """
    request = remembered(key, f"extend {job.id}", body.given)
    with conflicts():
        return job_details(extend(here.store, job.id, body.given["budget"], request))


@router.post("/jobs/{id}/cancel", responses=responses(404, 409), dependencies=[in_json])
def cancel_job(here: Here, job: OneJob) -> models.JobDetails:
    """End a job without a result; the rules that it found stay."""
    return _move(here, job, "cancel")


class HistoryQuery(StrictQuery):
    """How much of a history."""

    points: int | None = Field(None, ge=2, le=100_000, description="at most so many generations [default: all]")


def _tabular(name: str) -> dict[str, object]:
    return {name: {"schema": {"type": "string"}}}


@router.get(
    "/jobs/{id}/history",
    response_model=models.Items[models.GenerationObject],
    responses=responses(404, 422) | {200: {"content": _tabular(CSV)}},
)
def get_history(
    here: Here,
    job: OneJob,
    query: Annotated[HistoryQuery, Query()],
    media_type: Annotated[str, Depends(offering(JSON, CSV))],
) -> Response:
    """The generations of a job, thinned to `points`: first, last and improvements are kept. Also as CSV."""
    generations = here.store.history(job.id, query.points)
    if media_type == CSV:
        return Response(generations_table(generations), media_type=CSV)
    items = models.Items[models.GenerationObject](items=generations)
    return Response(items.model_dump_json(), media_type=JSON)


@router.get(
    "/jobs/{id}/front",
    response_model=models.Items[models.RuleObject],
    responses=responses(404) | {200: {"content": _tabular(CSV) | _tabular(LATEX)}},
)
def get_front(here: Here, job: OneJob, media_type: Annotated[str, Depends(offering(JSON, CSV, LATEX))]) -> Response:
    """The rules not beaten in both fitness and complexity, simplest first. Also as CSV and as a LaTeX table."""
    front = [front_object(item, job.context) for item in here.store.front(job.id)]
    if media_type == CSV:
        return Response(front_table(front), media_type=CSV)
    if media_type == LATEX:
        return Response(latex_table(front), media_type=LATEX)
    return Response(models.Items[models.RuleObject](items=front).model_dump_json(), media_type=JSON)
