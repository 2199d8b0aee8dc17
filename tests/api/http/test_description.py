"""openapi.json is up to date and says what it should; /docs needs nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.http.app import create_app
from api.http.description import as_text, document
from ruleforge.spec import JobSpec
from ruleforge.store import open_store

ROOT = Path(__file__).parents[3]
# Clients are generated from these names: they stay.
OPERATIONS = {
    ("post", "/api/v1/jobs"): "submit_job",
    ("get", "/api/v1/jobs"): "list_jobs",
    ("get", "/api/v1/jobs/{id}"): "get_job",
    ("patch", "/api/v1/jobs/{id}"): "describe_job",
    ("delete", "/api/v1/jobs/{id}"): "delete_job",
    ("post", "/api/v1/jobs/{id}/pause"): "pause_job",
    ("post", "/api/v1/jobs/{id}/resume"): "resume_job",
    ("post", "/api/v1/jobs/{id}/extend"): "extend_job",
    ("post", "/api/v1/jobs/{id}/cancel"): "cancel_job",
    ("get", "/api/v1/jobs/{id}/events"): "watch_job",
    ("get", "/api/v1/jobs/{id}/history"): "get_history",
    ("get", "/api/v1/jobs/{id}/front"): "get_front",
    ("get", "/api/v1/rules"): "list_rules",
    ("get", "/api/v1/contexts"): "list_contexts",
    ("get", "/api/v1/rules/{id}"): "get_rule",
    ("get", "/api/v1/rules/{id}/simplified"): "get_simplified",
    ("get", "/api/v1/rules/{id}/trace"): "get_trace",
    ("get", "/api/v1/rules/{id}/figure.svg"): "get_figure",
    ("get", "/api/v1/rules/{id}/export"): "export_rule",
    ("get", "/api/v1/rules/{id}/lineage"): "get_lineage",
    ("post", "/api/v1/rules:evaluate"): "evaluate_rule",
    ("get", "/api/v1/tasks"): "list_tasks",
    ("get", "/api/v1/tasks/{name}"): "get_task",
    ("get", "/api/v1/cluster"): "get_cluster",
    ("get", "/api/v1/studies/{id}"): "get_study",
    ("get", "/livez"): "is_alive",
    ("get", "/readyz"): "is_ready",
    ("get", "/metrics"): "get_metrics",
}


@pytest.fixture(scope="module")
def app():
    with open_store("sqlite://") as store:
        yield create_app(store)


def test_the_document_is_up_to_date(app):
    kept = (ROOT / "openapi.json").read_text(encoding="utf-8")
    assert kept == as_text(app), "run `python -m api.http.description >openapi.json`"


def test_the_names_of_operations_stay(app):
    paths = document(app)["paths"]
    named = {(method, path): item["operationId"] for path, items in paths.items() for method, item in items.items()}
    assert named == OPERATIONS


def test_every_operation_says_what_it_does_and_how_it_fails(app):
    for path, items in document(app)["paths"].items():
        for operation in items.values():
            assert len(operation["description"]) > 10, path
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"], (path, status)
            if "{id}" in path or "{name}" in path:
                assert "404" in operation["responses"]


def test_the_specification_is_the_one_model(app):
    described = document(app)["components"]["schemas"]["JobSpec"]
    own = JobSpec.model_json_schema(ref_template="#/components/schemas/{model}")
    assert described == {name: part for name, part in own.items() if name != "$defs"}
    assert described["additionalProperties"] is False


def test_the_service_sends_it(service, app):
    assert service.get("/openapi.json").json() == document(app)


@pytest.mark.parametrize("page", ["/", "/docs"])
def test_pages_need_nothing_from_elsewhere(service, page):
    answer = service.get(page)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    asked = re.findall(r'(?:src|href)="([^"]*)"', answer.text) + re.findall(r"url: '([^']*)'", answer.text)
    for address in asked:
        if address.startswith("data:"):
            continue
        assert not re.match(r"(https?:)?//", address), address
        assert service.get("/" + address.lstrip("/")).status_code == 200, address
    assert len(asked) >= 3
