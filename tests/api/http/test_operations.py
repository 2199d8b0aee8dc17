"""What an operator relies on: health, metrics, logs, request ids, how it begins and ends."""

from __future__ import annotations

import re
import socket

import pytest

from tests.api.http.conftest import serving
from tests.ports import free_port


def metrics(service):
    found = {}
    for line in service.get("/metrics").text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


def lines(service, request_id):
    while not (found := [line for line in service.log if line.get("request_id") == request_id]):
        service.get("/livez")
    return found


def test_health(service):
    assert service.get("/livez").json() == {"status": "ok"}
    assert service.get("/readyz").json() == {"status": "ok"}


def test_a_request_has_an_id_that_the_log_knows(service, done):
    answer = service.get(f"/api/v1/jobs/{done['id']}", headers={"x-request-id": "mine-1"})
    assert answer.headers["x-request-id"] == "mine-1"
    (line,) = lines(service, "mine-1")
    assert (line["event"], line["level"], line["status"]) == ("request", "info", 200)
    assert (line["route"], line["job"]) == ("/api/v1/jobs/{id}", done["id"])
    made = [service.get("/nowhere").headers["x-request-id"] for _ in range(2)]
    assert made[0] != made[1]
    assert lines(service, made[0])[0]["status"] == 404
    unusable = service.get("/livez", headers={"x-request-id": 'x" injected="1'}).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{32}", unusable)
    submitted = service.post("/api/v1/jobs", json={"task": "reward"}, headers={"x-request-id": "mine-2"})
    assert lines(service, "mine-2")[0]["job"] == submitted.json()["id"]


def test_metrics(service, done):
    before = metrics(service)
    service.submit(seed=900)
    for id in ("000000000000", done["id"]):
        service.get(f"/api/v1/jobs/{id}")
    for method in ("GET", "QUERY", "INVENTED"):
        service.request(method, "/nowhere/at/all")
    after = metrics(service)

    def grown(name):
        return after[name] - before.get(name, 0)

    count = "ruleforge_http_request_seconds_count"
    assert grown(f'{count}{{method="POST",route="/api/v1/jobs",status="202"}}') == 1
    assert grown(f'{count}{{method="GET",route="/api/v1/jobs/{{id}}",status="404"}}') == 1
    assert grown(f'{count}{{method="GET",route="/api/v1/jobs/{{id}}",status="200"}}') == 1
    assert grown(f'{count}{{method="other",route="(none)",status="404"}}') == 2
    assert grown("ruleforge_queue_length") == grown('ruleforge_jobs{kind="evolution",state="queued"}') == 1
    assert after["ruleforge_queue_oldest_seconds"] > 0
    assert after['ruleforge_rules_total{outcome="ok"}'] > 0
    assert after["ruleforge_record_up"] == 1
    assert not any(name.startswith("ruleforge_runner") for name in after), "this service has none"


def test_tasks_and_cluster(service):
    tasks = service.get("/api/v1/tasks").json()["items"]
    assert [task["name"] for task in tasks] == ["correlation", "reward", "supervised"]
    assert service.get("/api/v1/tasks/reward").json() == tasks[1]
    assert tasks[1]["parameters_schema"]["properties"]["n_trials"]["default"] == 500
    cluster = service.get("/api/v1/cluster").json()
    assert (cluster["runner"], cluster["scheduler"], cluster["running"]) == (None, None, [])


@pytest.mark.timeout(120)
def test_a_service_that_scores_on_a_cluster(tmp_path):
    """`serve --no-runner --scheduler`: shows who is there, and that nobody is when nobody is."""
    nowhere = f"tcp://127.0.0.1:{free_port()}"
    with serving(f"sqlite:///{tmp_path}/a.db", "--no-runner", "--scheduler", nowhere) as service:
        scheduler = service.get("/api/v1/cluster").json()["scheduler"]
        assert scheduler == {"address": nowhere, "reachable": False, "workers": []}


def test_a_port_that_is_taken(command_line, tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        done = command_line.run(tmp_path, "serve", "--port", port)
    assert done.code == 2
    assert f"cannot listen on 127.0.0.1, port {port}" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "256.1.1.1"), "is no address of this machine"),
        (("--db", "mysql://x/y"), "no record can be kept in 'mysql'"),
        (("--workers", "0"), "workers: expected 1 to"),
        (("--scheduler", "nonsense"), "scheduler: expected"),
    ],
)
def test_refused_options(command_line, tmp_path, options, said):
    done = command_line.run(tmp_path, "serve", "--port", "0", *options)
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
