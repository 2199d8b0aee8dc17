"""Rules: searched over all jobs, shown, drawn, exported, evaluated."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Annotated, Any, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field
from starlette.responses import JSONResponse, Response

from api.http import models
from api.http.bodies import Body, body_of, described
from api.http.idempotency import RequestKeyHeader, remembered
from api.http.lookup import BegunRule, OneRule, job_named, readable
from api.http.negotiation import JSON, SVG, ConditionalRoute, offering
from api.http.pages import Listing, Text, link_next
from api.http.pages import Query as StrictQuery
from api.http.present import PREFIX, found_fields, found_object, job_details, recorded_tokens
from api.http.problems import ACCEPTED, Problem, responses
from api.http.rule_models import RuleDetails
from api.http.service import Here
from ruleforge.family import family_class
from ruleforge.language.identity import Recogniser
from ruleforge.store import FoundRule, RuleQuery
from workers.describe import describe_context
from workers.evaluation import EvaluationSpec, submit_evaluation
from workers.export import FORMATS, Format, format_named
from workers.export import export_rule as exported
from workers.origin import found_under
from workers.scoring import finite, nearest_known

router = APIRouter(prefix=PREFIX, tags=["rules"], route_class=ConditionalRoute)
in_json = Depends(offering(JSON))


class RuleListing(Listing):
    """Which rules to list."""

    task: Text | None = None
    job: Text | None = Field(None, description="found by this job")
    parameters: Text | None = Field(
        None, description="a context or its first digits, or NAME=VALUE, several with commas between them"
    )
    known: Text | None = Field(None, description="name of a rule of the literature; `any` or `none`")
    min_fitness: float | None = Field(None, allow_inf_nan=False, description="training fitness")
    max_complexity: int | None = Field(None, ge=0, le=1_000_000)
    text: Text | None = Field(None, description="part of the rule's text, blanks and case aside")
    sort: Literal["fitness", "complexity", "found", "newest"] = "fitness"


@router.get("/rules", responses=responses(422), dependencies=[in_json])
def list_rules(
    here: Here, request: Request, response: Response, query: Annotated[RuleListing, Query()]
) -> models.Page[models.FoundRuleObject]:
    """The rules of all jobs, one for each behaviour and context: its simplest text. Context by context, each ranked by
    the library; what has no score there comes after it."""
    asked = RuleQuery(**query.model_dump(exclude={"cursor", "limit"}))
    page = here.store.browse(asked, query.cursor, query.limit)
    link_next(request, response, page.next)
    return models.Page[models.FoundRuleObject](items=[found_object(found) for found in page.items], next=page.next)


@router.get("/contexts", responses=responses(), dependencies=[in_json])
def list_contexts(here: Here) -> models.Items[models.ContextObject]:
    """Under what scores can be compared: the families, versions and parameters of all jobs, in the order of lists."""
    found = here.store.contexts().values()
    return models.Items[models.ContextObject](
        items=[models.ContextObject(**describe_context(context)) for context in found]
    )


@router.get("/rules/{id}", responses=responses(404), dependencies=[in_json])
def get_rule(here: Here, found: BegunRule) -> RuleDetails:
    """One rule as it was written, with its formula as LaTeX and MathML, and under what it was found."""
    fields = {**found_fields(found), "found_under": found_under(here.store, found.rule)}
    try:
        rule = readable(found)
    except Problem:  # it is shown all the same, without what needs its family
        return RuleDetails(**fields, tokens=recorded_tokens(found), nearest_known=None)
    nearest = nearest_known(rule, Recogniser(family_class(rule.task).known_rules()))
    return RuleDetails(**fields, tokens=rule.to_tokens(), nearest_known=nearest)


@router.get("/rules/{id}/simplified", responses=responses(404, 422), dependencies=[in_json])
async def get_simplified(here: Here, found: OneRule) -> models.Simplification:
    """A form with fewer nodes, where there is one. It stands beside the rule that ran, never in its place."""
    readable(found)
    simple = await here.drawing.simplified(found)
    return models.Simplification(rule=found.rule.text, simplified=json.loads(simple))


class PictureQuery(StrictQuery):
    """Whose parameters a rule is simulated with."""

    job: Text | None = Field(None, description="with the parameters of this job [default: the newest that found it]")


class FigureQuery(PictureQuery):
    """Which picture."""

    kind: Text | None = Field(None, description="one of the family's kinds [default: the first]")


def _parameters(here: Here, found: FoundRule, job: str | None) -> dict[str, Any]:
    """Of the family, as the job had them; its defaults for a rule that no job found. 422 for one that is unreadable."""
    readable(found)
    chosen = job or (found.jobs[0] if found.jobs else None)
    if chosen is None:
        return {}
    record = job_named(here, chosen)
    if record.task != found.rule.task:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"job {record.id} is of the task {record.task!r}, and the rule is of {found.rule.task!r}",
            [("/job", f"expected a job of the task {found.rule.task!r}")],
        )
    parameters = record.spec.get("parameters")
    if not isinstance(parameters, dict):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"the specification of job {record.id} is damaged in the record: name another job",
            [("/job", "expected a job with parameters")],
        )
    return parameters


@router.get(
    "/rules/{id}/trace", response_model=models.TraceObject, responses=responses(404, 422), dependencies=[in_json]
)
async def get_trace(here: Here, found: OneRule, query: Annotated[PictureQuery, Query()]) -> Response:
    """What happens in a simulation with the rule, as arrays for charts."""
    parameters = await run_sync(_parameters, here, found, query.job)
    return Response(await here.drawing.trace(found, parameters), media_type=JSON)


@router.get(
    "/rules/{id}/figure.svg",
    response_class=Response,
    responses=responses(404, 422) | {200: {"content": {SVG: {"schema": {"type": "string"}}}}},
    dependencies=[Depends(offering(SVG))],
)
async def get_figure(here: Here, found: OneRule, query: Annotated[FigureQuery, Query()]) -> Response:
    """A picture of what the rule does, as `ruleforge show --figure` draws it."""
    parameters = await run_sync(_parameters, here, found, query.job)
    return Response(await here.drawing.figure(found, parameters, query.kind), media_type=SVG)


class ExportQuery(PictureQuery):
    """In which form."""

    format: Text = Field("text", description="in which form", json_schema_extra={"enum": list(FORMATS)})


def _exported_schema(form: Format) -> dict[str, str]:
    own = {"$ref": f"#/components/schemas/{models.ExportedRule.__name__}"}
    return own if form.media_type == JSON else {"type": "string"}


@router.get(
    "/rules/{id}/export",
    response_class=Response,
    responses=responses(404, 422)
    | {200: {"content": {form.media_type: {"schema": _exported_schema(form)} for form in FORMATS.values()}}},
)
def export_rule(here: Here, found: OneRule, request: Request, query: Annotated[ExportQuery, Query()]) -> Response:
    """The rule in a form that other programs read, as `ruleforge export` writes it."""
    form = format_named(query.format)
    offering(form.media_type)(request)
    text = exported(found, form.name, parameters=_parameters(here, found, query.job))
    named = {"Content-Disposition": f'inline; filename="{found.rule.id[:12]}{form.suffix}"'}
    return Response(text, media_type=form.media_type, headers=named)


class LineageQuery(StrictQuery):
    """How far back."""

    depth: int = Field(20, ge=1, le=1000, description="generations of ancestors")


@router.get("/rules/{id}/lineage", responses=responses(404, 422), dependencies=[in_json])
def get_lineage(here: Here, found: OneRule, query: Annotated[LineageQuery, Query()]) -> models.Lineage:
    """What the rule was made of, in the job that found it first."""
    lineage = here.store.lineage(found.rule.id, depth=query.depth)
    nodes = [
        models.LineageNode(
            id=node.rule.id,
            rule=node.rule.text,
            complexity=node.rule.complexity,
            generation=node.generation,
            fitness=finite(node.fitness),
            outcome=node.outcome,
            origin=node.origin,
        )
        for node in lineage.nodes
    ]
    edges = [models.LineageEdge(parent=parent, child=child) for parent, child in lineage.edges]
    return models.Lineage(job=lineage.job, nodes=nodes, edges=edges, complete=lineage.complete)


@router.post(
    "/rules:evaluate",
    status_code=HTTPStatus.ACCEPTED,
    response_model=models.JobDetails,
    openapi_extra=described(EvaluationSpec),
    responses=responses(400, 408, 413, 415, 422) | ACCEPTED,
    dependencies=[in_json],
)
def evaluate_rule(
    here: Here, body: Annotated[Body[EvaluationSpec], Depends(body_of(EvaluationSpec))], key: RequestKeyHeader = None
) -> Response:
    """Score a rule that you wrote: a job of kind `evaluation`, which goes ahead of evolutions."""
    id = submit_evaluation(here.store, body.model, remembered(key, "rules:evaluate", body.given))
    content = job_details(here.store.job(id)).model_dump(mode="json")
    return JSONResponse(content, HTTPStatus.ACCEPTED, {"Location": f"{PREFIX}/jobs/{id}"})
