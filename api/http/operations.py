"""Beside the prefix: health, metrics, the description, and a page to look at."""

from __future__ import annotations

from http import HTTPStatus
from importlib.resources import files

import fastapi_offline
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from api.http import models
from api.http.negotiation import JSON, offering
from api.http.problems import RETRY_AFTER, Problem, responses
from api.http.service import Here

router = APIRouter(tags=["operations"])
in_json = Depends(offering(JSON))
TEXT = "text/plain"


@router.get("/livez", responses=responses(), dependencies=[in_json])
async def is_alive() -> models.Health:
    """The process answers."""
    return models.Health(status="ok")


@router.get("/readyz", responses=responses(), dependencies=[in_json])
def is_ready(here: Here) -> models.Health:
    """The record can be reached, so that jobs can be taken; 503 otherwise."""
    here.store.jobs_page(limit=1)
    if here.hub.closing:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the service is ending", headers=RETRY_AFTER)
    return models.Health(status="ok")


@router.get(
    "/metrics",
    response_class=Response,
    responses=responses() | {200: {"content": {TEXT: {"schema": {"type": "string"}}}}},
    dependencies=[Depends(offering(TEXT))],
)
def get_metrics(here: Here) -> Response:
    """Figures for Prometheus: queue, jobs, rules judged, workers, request times."""
    return Response(generate_latest(here.metrics.registry), media_type=CONTENT_TYPE_LATEST)


@router.get("/", include_in_schema=False)
async def home() -> HTMLResponse:
    """The page: newest jobs, best rules, where to go."""
    return HTMLResponse(files("api.http").joinpath("home.html").read_text(encoding="utf-8"))


def install_docs(app: FastAPI) -> None:
    """/docs, with everything that it needs from an installed package and nothing from elsewhere."""
    assets = files(fastapi_offline).joinpath("static")
    app.mount("/docs/assets", StaticFiles(directory=str(assets)), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        root = request.scope.get("root_path", "")
        return get_swagger_ui_html(
            openapi_url=f"{root}/openapi.json",
            title=f"{app.title}: the service over HTTP",
            swagger_js_url=f"{root}/docs/assets/swagger-ui-bundle.js",
            swagger_css_url=f"{root}/docs/assets/swagger-ui.css",
            swagger_favicon_url=f"{root}/docs/assets/favicon.png",
        )
