"""What an operator sees: one line of log and one measurement for each request, figures of the whole service."""

from __future__ import annotations

import logging
import re
import sys
import time
import uuid
from collections.abc import Iterator
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.cluster import ClusterView, age
from api.http.events import EventHub
from api.http.problems import CLIENT_LEFT, client_left
from ruleforge.errors import StoreError
from ruleforge.passwords import hidden_in_log
from ruleforge.store import Store

REQUEST_ID = "X-Request-ID"
_USABLE_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")
# Which job a request is about: in its path, or in the Location of one that it made.
_JOB = re.compile(r"/jobs/([0-9a-f]{4,64})")
# Seconds; the first of them are the answers that a person does not notice.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
UNKNOWN_ROUTE = "(none)"


def configure_logging() -> None:
    """Structured logs on standard error: JSON, or coloured lines on a terminal; other libraries' included."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, hidden_in_log, renderer],
        # Line and end in one write: the runner, another process, writes to the same place.
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                hidden_in_log,
                renderer,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


class Metrics:
    """The measurements of one service, for Prometheus."""

    def __init__(self, store: Store, hub: EventHub, cluster: ClusterView) -> None:
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "ruleforge_http_request_seconds",
            "Time to answer, by route, method and status (event streams: to their end)",
            ("route", "method", "status"),
            registry=self.registry,
            buckets=BUCKETS,
        )
        self._store, self._hub, self._cluster = store, hub, cluster
        self.registry.register(self)

    def describe(self) -> list[Metric]:
        """Nothing: registering must not ask the record."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The figures of the record and of the runner, as they stand."""
        yield GaugeMetricFamily("ruleforge_event_streams", "Clients that watch a job", value=self._hub.clients)
        runner = self._cluster.runner_object()
        if runner is not None:
            yield GaugeMetricFamily("ruleforge_runner_up", "The runner of this service lives", value=runner.alive)
            yield CounterMetricFamily("ruleforge_runner_restarts", "Runners that had to be replaced", runner.restarts)
        if (workers := self._cluster.workers) is not None:
            yield GaugeMetricFamily("ruleforge_workers", "Workers that score at the same time", value=workers)
        try:
            figures = self._store.statistics()
        except StoreError:
            yield GaugeMetricFamily("ruleforge_record_up", "The record can be reached", value=0)
            return
        yield GaugeMetricFamily("ruleforge_record_up", "The record can be reached", value=1)
        jobs = GaugeMetricFamily("ruleforge_jobs", "Jobs by kind and state", labels=("kind", "state"))
        for kind, states in sorted(figures.jobs.items()):
            for state, number in sorted(states.items()):
                jobs.add_metric((kind, state), number)
        yield jobs
        yield GaugeMetricFamily("ruleforge_queue_length", "Jobs that wait", value=figures.queued)
        yield GaugeMetricFamily(
            "ruleforge_queue_oldest_seconds", "Age of the job that waits longest", value=age(figures.oldest_queued) or 0
        )
        rules = CounterMetricFamily(
            "ruleforge_rules", "Rules judged (their rate is rules per second), by outcome", labels=("outcome",)
        )
        for outcome, number in sorted(figures.judged.items()):
            rules.add_metric((outcome,), number)
        yield rules


class Observed:
    """Around the application: a request id in and out, a line of log, a measurement."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(REQUEST_ID.lower().encode(), b"").decode("latin-1")
        request_id = given if _USABLE_ID.fullmatch(given) else uuid.uuid4().hex
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        began, status, location = time.perf_counter(), 0, ""

        async def named(message: Message) -> None:
            nonlocal status, location
            if message["type"] == "http.response.start":
                status = message["status"]
                location = dict(message["headers"]).get(b"location", b"").decode("latin-1")
                message["headers"] = [*message["headers"], (REQUEST_ID.lower().encode(), request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, named)
        except Exception as error:
            if client_left(error):
                status = status or CLIENT_LEFT
            elif not status:  # else it was answered, and logged, as a fault of the service
                raise
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
            self._metrics.seconds.labels(route, _method(scope), str(status)).observe(seconds)
            job = _JOB.search(location or scope["path"])
            structlog.get_logger().info(
                "request",
                method=scope["method"],
                path=scope["path"],
                route=route,
                status=status,
                seconds=round(seconds, 4),
                client=(scope.get("client") or ("",))[0],
                **({"job": job[1]} if job else {}),
            )


def _method(scope: Scope) -> str:
    """The method as a label: what a client invents must not make new ones without end."""
    method: str = scope["method"]
    return method if method in ("GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "TRACE") else "other"
