"""Task families and the cluster: what can be asked for, and who does the work."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api.http import cluster_models, models
from api.http.lookup import family_named
from api.http.negotiation import JSON, ConditionalRoute, offering
from api.http.present import PREFIX
from api.http.problems import responses
from api.http.service import Here
from ruleforge.family import family_class, loadable_families
from workers.describe import describe_family
from workers.pictures import figure_kinds

router = APIRouter(prefix=PREFIX, route_class=ConditionalRoute, dependencies=[Depends(offering(JSON))])


def _task(name: str) -> models.Task:
    declared = family_class(name)
    schema = declared.Parameters.model_json_schema()
    links = {"self": f"{PREFIX}/tasks/{name}", "rules": f"{PREFIX}/rules?task={name}"}
    return models.Task(
        **describe_family(declared), figures=figure_kinds(declared), parameters_schema=schema, links=links
    )


@router.get("/tasks", tags=["tasks"], responses=responses())
def list_tasks() -> models.Items[models.Task]:
    """The task families: slots, signals with units, parameters with defaults and sources, known rules."""
    return models.Items[models.Task](items=[_task(name) for name in loadable_families()])


@router.get("/tasks/{name}", tags=["tasks"], responses=responses(404))
def get_task(name: str) -> models.Task:
    """One task family."""
    return _task(family_named(name))


@router.get("/cluster", tags=["cluster"], responses=responses())
async def get_cluster(here: Here) -> cluster_models.Cluster:
    """Who scores, what is running and where, what is waiting."""
    return await here.cluster.look()
