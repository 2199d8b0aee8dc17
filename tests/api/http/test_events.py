"""Events over HTTP: in order, taken up again without gap or repeat, through anything that dies on the way."""

from __future__ import annotations

import json
import signal
import socket
import threading
from urllib.parse import urlsplit

import httpx
import pytest

import ruleforge
from ruleforge.store import open_store
from tests.api.http.conftest import SMALL, serving

LONG = {"search": {"population": 16, "offspring": 16}, "parameters": {"n_trials": 100}}
ENDED = ("succeeded", "failed", "cancelled")


def parsed(stream):
    """The events of a stream, as (id, kind, data); comments are None."""
    event = {}
    for line in stream.iter_lines():
        if not line:
            if "id" in event:
                yield int(event["id"]), event["event"], json.loads(event["data"])
            event = {}
        elif line.startswith(":"):
            yield None
        else:
            name, _, value = line.partition(": ")
            event[name] = value


def watch(service, id, after=None, until=None):
    """Events of a job from `after` on, until one is as wanted or the stream ends."""
    found = []
    headers = {} if after is None else {"last-event-id": str(after)}
    with service.client.stream("GET", f"/api/v1/jobs/{id}/events", headers=headers, timeout=60) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for event in parsed(stream):
            found.append(event)
            if until is not None and until(event):
                break
    return found


def recorded(url, id):
    with open_store(url) as store:
        return [(e["id"], e["kind"], {**e["payload"], "time": e["time"].isoformat()}) for e in store.events(id)]


def test_a_finished_job_tells_its_story_and_ends(service, done):
    events = watch(service, done["id"])
    assert [kind for _, kind, _ in events if kind != "front"] == ["state", "state", *["generation"] * 4, "state"]
    assert [data["number"] for _, kind, data in events if kind == "generation"] == [0, 1, 2, 3]
    assert events[-1][2]["state"] == "succeeded"
    fronts = [data for _, kind, data in events if kind == "front"]
    assert [item["id"] for item in fronts[-1]["items"]] == [item["id"] for item in done["result"]["front"]]
    ids = [id for id, _, _ in events]
    assert ids == sorted(set(ids))
    for place, id in enumerate(ids[:-1]):
        assert watch(service, done["id"], after=id) == events[place + 1 :]
    nothing = service.get(f"/api/v1/jobs/{done['id']}/events", headers={"last-event-id": str(ids[-1])})
    assert (nothing.status_code, nothing.content) == (204, b"")


def test_events_come_as_they_happen(with_runner):
    id = with_runner.submit(budget={"generations": 100_000})
    live = watch(with_runner, id, until=lambda event: event[1] == "generation" and event[2]["number"] >= 3)
    last, _, newest = live[-1]
    assert with_runner.job(id)["generation"] >= newest["number"] + 1
    with_runner.post(f"/api/v1/jobs/{id}/cancel")
    rest = watch(with_runner, id, after=last)
    assert rest[-1][2]["state"] == "cancelled"
    assert [event[0] for event in live + rest] == sorted({event[0] for event in live + rest})


def test_clients_that_do_not_read_harm_nobody(with_runner):
    id = with_runner.submit(**LONG, budget={"generations": 100_000})
    place = urlsplit(with_runner.address)
    silent = []
    for _ in range(60):  # more than there are threads
        connection = socket.create_connection((place.hostname, place.port))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(f"GET /api/v1/jobs/{id}/events HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        silent.append(connection)
    with_runner.until(id, lambda job: job["generation"] >= 10)
    assert "ruleforge_event_streams 60.0" in with_runner.get("/metrics").text
    assert len(watch(with_runner, id, until=lambda event: event[1] == "generation")) >= 3
    for connection in silent[:30]:
        connection.close()
    while "ruleforge_event_streams 30.0" not in with_runner.get("/metrics").text:
        threading.Event().wait(0.1)
    # Those that still say nothing do not hold up the end either.
    with_runner.process.send_signal(signal.SIGTERM)
    assert with_runner.process.wait(timeout=40) == 0
    for connection in silent[30:]:
        connection.close()


@pytest.mark.timeout(280)
def test_killing_the_service_in_mid_job_loses_nothing(tmp_path):
    """kill -9 of the server: the next one goes on with the job, a client goes on with its stream."""
    url = f"sqlite:///{tmp_path}/record.db"
    spec = {**SMALL, **LONG, "budget": {"generations": 40}}
    expected = ruleforge.evolve(db="sqlite://", **spec).raw
    with serving(url, "--workers", "1") as first:
        id = first.submit(**{name: spec[name] for name in (*LONG, "budget")})
        seen = watch(first, id, until=lambda event: event[1] == "generation" and event[2]["number"] >= 5)
        runner = first.get("/api/v1/cluster").json()["runner"]["process"]
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    with serving(url, "--workers", "1") as second:
        seen += watch(second, id, after=seen[-1][0])
        job = second.job(id)
        assert second.get("/api/v1/cluster").json()["runner"]["process"] != runner
    assert job["state"] == "succeeded"
    assert (job["result"]["history"], job["result"]["front"]) == (expected["history"], expected["front"])
    assert seen == recorded(url, id)
    assert [data["number"] for _, kind, data in seen if kind == "generation"] == list(range(40))
    states = [data for _, kind, data in seen if kind == "state"]
    # The first runner gave the job back when its service died, or was taken over from.
    assert [data["state"] for data in states if data["state"] != "queued"] == ["running", "running", "succeeded"]
    assert len({data["process"] for data in states if "process" in data}) == 2


@pytest.mark.timeout(200)
def test_a_runner_that_dies_is_replaced(with_runner):
    import os

    id = with_runner.submit(**LONG, budget={"generations": 30})
    with_runner.until(id, lambda job: job["generation"] >= 2)
    runner = with_runner.get("/api/v1/cluster").json()["runner"]
    assert runner["alive"]
    os.kill(runner["process"], signal.SIGKILL)
    job = with_runner.until(id, lambda job: job["state"] in ENDED)
    assert job["state"] == "succeeded"
    after = with_runner.get("/api/v1/cluster").json()["runner"]
    assert after["alive"]
    assert (after["restarts"], after["process"] != runner["process"]) == (1, True)
    assert any(line.get("event") == "runner_died" for line in with_runner.log)


def test_an_orderly_end_gives_the_job_back(tmp_path):
    url = f"sqlite:///{tmp_path}/record.db"
    with serving(url, "--workers", "1") as running:
        id = running.submit(**LONG, budget={"generations": 100_000})
        running.until(id, lambda job: job["generation"] >= 2)
        streaming = threading.Thread(target=lambda: watch(running, id))
        streaming.start()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(timeout=40) == 0
        streaming.join(timeout=30)
        assert not streaming.is_alive(), "the stream was ended, not cut"
        assert not any("Traceback" in str(line) for line in running.log)
    with open_store(url) as store:
        assert store.job(id).state == "queued"
    with serving(url, "--no-runner") as again:
        events = watch(again, id, until=lambda event: event[2].get("reason") == "stopped on request")
        assert events == recorded(url, id)


def test_a_connection_says_now_and_then_that_it_lives(service, monkeypatch, tmp_path):
    """A comment, when nothing happens: of the framework, every 15 s; here in less."""
    import asyncio

    import fastapi.routing

    from api.http.app import create_app

    monkeypatch.setattr(fastapi.routing, "_PING_INTERVAL", 0.05)

    async def listen():
        import uvicorn

        with open_store(f"sqlite:///{tmp_path}/record.db") as store:
            config = uvicorn.Config(create_app(store), port=0, log_config=None, timeout_graceful_shutdown=1)
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
                id = (await client.post("/api/v1/jobs", json=dict(SMALL))).json()["id"]
                comments = 0
                async with client.stream("GET", f"/api/v1/jobs/{id}/events") as stream:
                    async for line in stream.aiter_lines():
                        comments += line.startswith(":")
                        if comments == 3:
                            break
            server.should_exit = True
            await serving
            return comments

    assert asyncio.run(listen()) == 3
