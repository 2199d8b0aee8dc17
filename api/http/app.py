"""The application: routes, errors, description, and what lives as long as it does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from api.http import families, jobs, operations, problems, rules, streams, studies
from api.http.cluster import ClusterView, RunnerStatus
from api.http.description import document
from api.http.drawing import Drawing
from api.http.events import EventHub
from api.http.request_forms import RequestForms
from api.http.service import Service
from api.http.telemetry import Metrics
from ruleforge.store import Store

DESCRIPTION = """Submit evolution jobs, follow them, and search the rules that were ever found.

Errors are `application/problem+json` (RFC 9457), with a JSON pointer to each refused field. Lists come in pages:
`next` goes into `cursor`, or follow the Link header. Answers to GET have an ETag; ask again with If-None-Match.
Numbers that are not finite are null."""


def create_app(store: Store, runner: RunnerStatus | None = None, scheduler: str | None = None) -> FastAPI:
    """The application on an open record. runner, scheduler: who works for it, if known, for /cluster."""
    hub = EventHub(store)
    cluster = ClusterView(store, runner, scheduler)
    service = Service(store, hub, Drawing(), cluster, Metrics(store, hub, cluster))

    @asynccontextmanager
    async def living(app: FastAPI) -> AsyncIterator[None]:
        looking = asyncio.create_task(hub.run())
        yield
        hub.close()
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
        await service.drawing.close()

    app = FastAPI(
        title="ruleforge",
        version=version("ruleforge"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=living,
        generate_unique_id_function=lambda route: route.name,
    )
    app.add_middleware(RequestForms)
    app.state.service = service
    for router in (jobs.router, streams.router, rules.router, studies.router, families.router, operations.router):
        app.include_router(router)
    operations.install_docs(app)
    problems.install(app)
    app.add_exception_handler(streams.NothingMore, _nothing_more)
    app.openapi = _description_of(app)  # type: ignore[method-assign]
    return app


def _nothing_more(_request: Request, _error: Exception) -> Response:
    return Response(status_code=204)


def _description_of(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """The OpenAPI document, made once."""

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = document(app)
        return app.openapi_schema

    return describe
