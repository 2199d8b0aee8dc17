"""Every path and every error: one shape, the right status, a sentence, never a trace."""

from __future__ import annotations

import asyncio
import json
from http import HTTPStatus

import httpx
import pytest

from api.http.app import create_app
from api.http.bodies import MAX_BODY
from api.http.description import METHODS, document
from ruleforge.spec import job_spec
from ruleforge.store import open_store
from tests.api.http.conftest import SMALL
from workers.evaluators import SerialEvaluator
from workers.evolve import run_job, submit

UNKNOWN = "0123456789ab"
SPEC = {"task": "reward", "parameters": {"n_trials": 20}}
BODIES = {
    "submit_job": SPEC,
    "evaluate_rule": {"task": "reward", "rule": "(R - 1)*E"},
    "describe_job": {"name": "other"},
    "extend_job": {"budget": {"evaluations": 1}},  # fewer than it had: the finished job, shared by all tests, stays
}
with open_store("sqlite://") as _store:
    OPERATIONS = [
        (method, path, operation)
        for path, operations in document(create_app(_store))["paths"].items()
        for method, operation in operations.items()
        if method in METHODS
    ]
EACH = pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[operation["operationId"] for _, _, operation in OPERATIONS]
)


def problem(answer: httpx.Response, status: int) -> dict:
    """The one shape."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert set(found) == {"type", "title", "status", "detail", "instance", "errors"}
    assert (found["status"], found["title"]) == (status, HTTPStatus(status).phrase)
    assert found["instance"] == answer.request.url.path
    assert len(found["detail"]) > 10
    assert all(set(error) == {"pointer", "message"} for error in found["errors"])
    assert "Traceback" not in answer.text
    assert ".py" not in answer.text
    return found


@pytest.fixture
def filled(done):
    """A path with the ids of what is there."""
    rule = done["result"]["champion"]["id"]

    def fill(path, name="reward"):
        return path.replace("{id}", rule if "/rules/" in path else done["id"]).replace("{name}", name)

    return fill


def request(service, method, path, operation, **options):
    body = BODIES.get(operation["operationId"])
    return service.request(method, path, **({"json": body} if body else {}), **options)


@EACH
def test_what_is_not_there(service, method, path, operation):
    assert problem(service.request(method, path + "/no/such"), 404)["errors"] == []
    if "{" not in path:
        return
    assert "404" in operation["responses"]
    for id in (UNKNOWN, "0" * 32, "x", "%00", "..%2f", "é"):
        missing = path.replace("{id}", id).replace("{name}", id)
        found = request(service, method, missing, operation)
        if found.status_code != 404 or "nothing at this path" not in found.text:
            problem(found, 404)


@EACH
def test_other_methods(service, filled, method, path, operation):
    here = filled(path)
    allowed = {other.upper() for other, same, _ in OPERATIONS if same == path}
    if "GET" in allowed:
        allowed.add("HEAD")
    for other in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"} - allowed:
        answer = service.request(other, here)
        problem(answer, 405)
        assert {name.strip() for name in answer.headers["allow"].split(",")} == allowed


@EACH
def test_media_types_that_cannot_be_sent(service, filled, method, path, operation):
    if "406" not in operation["responses"]:
        assert method == "delete"
        return
    answer = request(service, method, filled(path), operation, headers={"accept": "application/x-nothing, text/*;q=0"})
    assert "'application/x-nothing, text/*;q=0' came" in problem(answer, 406)["detail"]


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [each for each in OPERATIONS if "requestBody" in each[2]],
    ids=lambda each: each["operationId"] if isinstance(each, dict) else "",
)
def test_bodies(service, filled, method, path, operation):
    here, kind = filled(path), {"content-type": "application/json"}

    def send(content, **headers):
        return service.request(method, here, content=content, headers={**kind, **headers})

    assert "413" in operation["responses"]
    problem(send(b" " * (MAX_BODY + 1)), 413)
    problem(send(b" " * MAX_BODY for _ in range(2)), 413)  # in chunks, without Content-Length
    for other in ("text/plain", "", "application/x-www-form-urlencoded"):
        answer = send(b"{}", **{"content-type": other})
        problem(answer, 415)
        assert "application/json" in answer.headers["accept"]
    for broken in (b"", b"{", b'{"a": NaN}', b"\xff", b"[" * 100_000):
        problem(send(broken), 400)
    assert problem(send(b"[]"), 422)["errors"][0]["pointer"] == ""
    body = {**BODIES[operation["operationId"]], "colour~/": 1}
    assert problem(send(json.dumps(body)), 422)["errors"] == [
        {"pointer": "/colour~0~1", "message": problem(send(json.dumps(body)), 422)["errors"][0]["message"]}
    ]
    for text in ("\0", "\ud800"):
        body = {**BODIES[operation["operationId"]], "task": ["x", text]}
        assert problem(send(json.dumps(body)), 422)["errors"][0]["pointer"] == "/task/1"


@pytest.mark.parametrize(
    ("over", "pointer", "said"),
    [
        ({"task": "nonsense"}, "/task", "expected one of correlation, reward, supervised"),
        ({"task": 3}, "/task", "string"),
        ({"seed": "3"}, "/seed", "'3' came"),
        ({"seed": -1}, "/seed", "greater than or equal to 0"),
        ({"seeed": 1}, "/seeed", "Did you mean 'seed'?"),
        ({"parameters": {"n_trial": 20}}, "/parameters/n_trial", "Did you mean 'n_trials'?"),
        ({"parameters": {"n_trials": "many"}}, "/parameters/n_trials", "'many' came"),
        ({"budget": {"seconds": 0}}, "/budget/seconds", "greater than 0"),
        ({"budget": 0}, "/budget/evaluations", "greater than or equal to 1"),
        ({"budget": 2.0}, "/budget/evaluations", "integer"),
        ({"budget": "1000"}, "/budget", "expected a number of evaluations"),
        ({"budget": True}, "/budget", "expected a number of evaluations"),
        ({"instances": {"source": "other"}}, "/instances/source", "'published'"),
        ({"grammar": {"operators": ["+", "?"]}}, "/grammar/operators", "unknown operator '?'"),
        ({"grammar": {"seed_rules": ["(R - 1)*E", "R -"]}}, "/grammar/seed_rules/1", "R -"),
        ({"replicates": 0}, "/replicates", "greater than or equal to 1"),
    ],
)
def test_refused_specifications(service, over, pointer, said):
    found = problem(service.post("/api/v1/jobs", json={**SPEC, **over}), 422)
    (error,) = found["errors"]
    assert error["pointer"] == pointer
    assert said in error["message"]


def test_every_fault_of_a_specification_is_told(service):
    body = {"seed": -1, "budget": {"generations": 0}, "x": 1}
    found = problem(service.post("/api/v1/jobs", json=body), 422)
    assert {error["pointer"] for error in found["errors"]} == {"/task", "/seed", "/budget/generations", "/x"}
    assert found["detail"].startswith("4 fields are refused")


@pytest.mark.parametrize(
    ("over", "pointer"),
    [
        ({"rule": "s*(v-u"}, "/rule"),
        ({"rule": "(R - 1)*Q"}, "/rule"),
        ({"rule": "__import__('os')"}, "/rule"),
        ({"rule": ""}, "/rule"),
        ({"task": "nonsense"}, "/task"),
        ({"parameters": {"n_trials": 0}}, "/parameters/n_trials"),
        ({"n": 0}, "/n"),
        ({"split": "all"}, "/split"),
    ],
)
def test_refused_rules(service, over, pointer):
    body = {**BODIES["evaluate_rule"], **over}
    (error,) = problem(service.post("/api/v1/rules:evaluate", json=body), 422)["errors"]
    assert error["pointer"] == pointer


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/api/v1/jobs?limit=0", "/limit"),
        ("/api/v1/jobs?limit=many", "/limit"),
        ("/api/v1/jobs?state=lost", "/state"),
        ("/api/v1/jobs?cursor=xyz", "/cursor"),
        ("/api/v1/jobs?taks=reward", "/taks"),
        ("/api/v1/jobs?task=%00", "/task"),
        ("/api/v1/rules?cursor=xyz", "/cursor"),
        ("/api/v1/rules?sort=best", "/sort"),
        ("/api/v1/rules?min_fitness=nan", "/min_fitness"),
        ("/api/v1/rules?max_complexity=-1", "/max_complexity"),
        ("/api/v1/rules?text=%00", "/text"),
        ("/api/v1/rules/{rule}/export?format=word", "/format"),
        ("/api/v1/rules/{rule}/lineage?depth=0", "/depth"),
        ("/api/v1/jobs/{id}/history?points=1", "/points"),
    ],
)
def test_refused_queries(service, filled, path, pointer):
    (error,) = problem(service.get(filled(path.replace("{rule}", "{id}"))), 422)["errors"]
    assert error["pointer"] == pointer


def test_refused_headers(service, done):
    events = f"/api/v1/jobs/{done['id']}/events"
    for wrong in ("x", "-1", "1.5", "9" * 30):
        (error,) = problem(service.get(events, headers={"last-event-id": wrong}), 422)["errors"]
        assert error["pointer"] == "/Last-Event-ID"
    (error,) = problem(service.post("/api/v1/jobs", json=SPEC, headers={"idempotency-key": "k" * 201}), 422)["errors"]
    assert error["pointer"] == "/Idempotency-Key"


def test_conflicts(service, done):
    here = f"/api/v1/jobs/{done['id']}"
    for action in ("pause", "resume", "cancel"):
        assert "has succeeded" in problem(service.post(f"{here}/{action}"), 409)["detail"]
    queued = f"/api/v1/jobs/{service.submit(seed=77)}"
    problem(service.delete(queued), 409)
    assert service.post(f"{queued}/pause").status_code == 200
    problem(service.delete(queued), 409)
    problem(service.post(f"{queued}/pause/x"), 404)
    assert service.post(f"{queued}/cancel").status_code == 200
    problem(service.post(f"{queued}/resume"), 409)
    assert service.delete(queued).status_code == 204
    problem(service.get(queued), 404)
    problem(service.delete(queued), 404)


def test_a_record_out_of_reach(new_database, postgresql_server):
    """Every path that needs the record says 503 while its server refuses, and works again when it is back."""
    url = new_database()
    name = url.rpartition("/")[2]

    async def visit(client, job):
        rule = job.result["champion"]["id"]
        found = {}
        for method, path, operation in OPERATIONS:
            here = path.replace("{id}", rule if "/rules/" in path else job.id).replace("{name}", "reward")
            body = BODIES.get(operation["operationId"])
            answer = await client.request(method, here, **({"json": body} if body else {}))
            found[operation["operationId"]] = answer
        return found

    async def both():
        with open_store(url) as store:
            run_job(store, submit(store, job_spec(SMALL)), SerialEvaluator())
            job = store.job(store.jobs()[0].id)
            transport = httpx.ASGITransport(app=create_app(store))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                assert (await client.get("/readyz")).status_code == 200
                postgresql_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
                postgresql_server.sql(
                    f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
                )
                out_of_reach = await visit(client, job)
                postgresql_server.sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
                return out_of_reach, await client.get("/readyz")

    out_of_reach, after = asyncio.run(both())
    for operation, answer in out_of_reach.items():
        if operation == "get_metrics":
            assert "ruleforge_record_up 0.0" in answer.text
        elif operation in ("list_tasks", "get_task", "is_alive"):
            assert answer.status_code == 200
        else:
            assert "not currently accepting connections" in problem(answer, 503)["detail"]
            assert answer.headers["retry-after"] == "2"
    assert after.status_code == 200


def test_a_fault_of_our_own(tmp_path):
    """What nobody foresaw is a problem too, and its text stays in the log."""

    async def ask():
        with open_store(f"sqlite:///{tmp_path}/record.db") as store:
            store.statistics = lambda: 1 / 0
            transport = httpx.ASGITransport(app=create_app(store), raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.get("/api/v1/cluster")

    found = problem(asyncio.run(ask()), 500)
    assert "division" not in found["detail"]
