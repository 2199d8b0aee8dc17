"""What the routes work with: one per application, opened at start and closed at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from api.http.cluster import ClusterView
from api.http.drawing import Drawing
from api.http.events import EventHub
from api.http.telemetry import Metrics
from ruleforge.store import Store


@dataclass(frozen=True)
class Service:
    """The record, and the parts that are shared by all requests."""

    store: Store
    hub: EventHub
    drawing: Drawing
    cluster: ClusterView
    metrics: Metrics


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


Here = Annotated[Service, Depends(_service)]
