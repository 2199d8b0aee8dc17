"""What HTTP asks of every server: HEAD, forms of targets, requests that come slowly or never, what is no request."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from api.http import bodies
from api.http.app import create_app
from api.http.connection import Connection
from api.http.telemetry import Observed
from ruleforge.store import open_store
from tests.api.http.test_errors import OPERATIONS

GETS = [(path, operation["operationId"]) for method, path, operation in OPERATIONS if method == "get"]


def exchange(address: str, *pieces: bytes, pause: float = 0.0) -> tuple[bytes, bool]:
    """What comes back for these bytes, read until the other side closes or says nothing for a while; whether closed."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        answer = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
                threading.Event().wait(pause)
            while part := connection.recv(65536):
                answer += part
        except (ConnectionError, TimeoutError) as error:
            return answer, isinstance(error, ConnectionError)
    return answer, True


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(("path", "name"), [*GETS, ("/", "home"), ("/docs", "docs"), ("/openapi.json", "openapi")])
def test_head_is_get_without_the_body(service, done, path, name):
    rule = done["result"]["champion"]["id"]
    here = path.replace("{id}", rule if "/rules/" in path else done["id"]).replace("{name}", "reward")
    head = service.head(here)
    assert head.content == b""
    with service.stream("GET", here) as got:
        assert head.status_code == got.status_code
        changing = ("date", "x-request-id", "content-length" if name == "get_metrics" else "", "etag")
        for header in (set(head.headers) | set(got.headers)) - set(changing):
            assert head.headers.get(header) == got.headers.get(header), header
    # The connection is good for another request: nothing of a body is left on it.
    assert service.head("/livez").status_code == 200


def test_head_of_a_stream_ends_and_is_measured(service):
    events = f"/api/v1/jobs/{service.submit(seed=99)}/events"
    measured = 'ruleforge_http_request_seconds_count{method="HEAD",route="/api/v1/jobs/{id}/events",status="200"} '

    def count(metrics):
        lines = [line.removeprefix(measured) for line in metrics.splitlines() if line.startswith(measured)]
        return sum(map(float, lines))

    before = service.get("/metrics").text
    assert service.head(events).headers["content-type"].startswith("text/event-stream")
    after = service.get("/metrics").text
    assert count(after) == count(before) + 1
    assert "ruleforge_event_streams 0.0" in after


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("http://{host}/livez", 200),
        ("HTTP://{host}/livez", 200),
        ("https://elsewhere.example/livez", 200),
        ("http://user:password@{host}/livez", 200),
        ("http://{host}/api/v1/jobs?limit=1", 200),
        ("http://{host}/api/v1/jobs?limit=0", 422),
        ("http://{host}", 200),
        ("http://{host}/", 200),
        ("http://[::1]:80/livez", 200),
        ("http://a%20b/livez", 200),
        ("http://{host}/%6Civez", 200),
        ("http://{host}/no/such", 404),
        ("http://{host}//livez", 404),
        ("/http://{host}/livez", 404),
        ("{host}", 404),
        ("*", 404),
        ("//livez", 404),
        ("/./livez", 404),
    ],
)
def test_targets(service, target, expected):
    host = service.address.removeprefix("http://")
    request = f"GET {target.replace('{host}', host)} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    answer, closed = exchange(service.address, request.encode())
    assert closed
    assert status(answer) == expected, answer


@pytest.mark.parametrize(
    "request_",
    [
        b"nonsense\r\n\r\n",
        b"GET /livez\r\n\r\n",
        b"GET  /livez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /l\xffvez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
        b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_request(service, request_):
    answer, closed = exchange(service.address, request_ + b"\r\n\r\n")
    assert closed
    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(head) == 400, answer
    assert b"application/problem+json" in head
    assert set(json.loads(body)) == {"type", "title", "status", "detail", "instance", "errors"}
    assert service.get("/livez").status_code == 200


@pytest.mark.parametrize("kilobytes", [1, 20, 70, 300, 5000])
def test_heads_of_any_length(service, kilobytes):
    long = b"x" * (kilobytes * 1000)
    for request in (
        b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nLong: " + long + b"\r\n\r\n",
        b"GET /livez?" + long + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + b"A: b\r\n" * (kilobytes * 100) + b"\r\n",
    ):
        answer, closed = exchange(service.address, request)
        assert closed
        # Where more is sent than was ever read, the system may take the answer away with the connection.
        assert not answer or status(answer) in (200, 400)
    assert service.get("/livez").status_code == 200


@contextmanager
def impatient(monkeypatch) -> Iterator[str]:
    """A service that waits for requests a fraction of a second, on a record of its own."""

    class Impatient(Connection):
        arrival_seconds = 0.6

    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.3)
    with open_store("sqlite://") as store:
        app = create_app(store)
        config = uvicorn.Config(
            Observed(app, app.state.service.metrics), port=0, http=Impatient, log_config=None, access_log=False
        )
        server = uvicorn.Server(config)
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=lambda: server.run(sockets=[listener]))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


POST = b"POST /api/v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def test_bodies_that_never_come(monkeypatch):
    with impatient(monkeypatch) as address:
        for request in (
            POST + b"Content-Length: 100\r\n\r\n",
            POST + b'Content-Length: 100\r\n\r\n{"task": ',
            POST + b"Transfer-Encoding: chunked\r\n\r\n",
            POST + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"tas\r\n',
            POST.replace(b"/api/v1/jobs", b"/api/v1/rules:evaluate") + b"Content-Length: 100\r\n\r\n",
            POST + b"Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
        ):
            answer, closed = exchange(address, request)
            assert closed
            final = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert status(final) == 408, answer
            assert b"connection: close" in final.lower()
            assert b"send it again" in final


def test_bodies_that_trickle(monkeypatch):
    with impatient(monkeypatch) as address:
        trickle = [b" "] * 40
        answer, closed = exchange(address, POST + b"Content-Length: 100000\r\n\r\n", *trickle, pause=0.05)
        assert closed
        assert not answer or status(answer) == 408
        # Of a path that reads no body the answer comes at once, and then too nothing is waited for without end.
        get = b"GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"
        answer, closed = exchange(address, get, *trickle, pause=0.05)
        assert closed
        assert not answer or status(answer) == 200


def test_heads_that_never_come(monkeypatch):
    with impatient(monkeypatch) as address:
        for pieces in (
            [],
            [b"G"],
            [b"GET /livez HTTP/1.1\r\nHost: x\r\n"],
            [b"GET /livez HTTP/1.1\r\n", *[b"A: b\r\n"] * 40],
            [b"\r\n"],
        ):
            answer, closed = exchange(address, *pieces, pause=0.05)
            assert closed
            assert answer == b"" or status(answer) == 400


def test_several_requests_at_once_and_slow_ones_that_arrive(monkeypatch):
    with impatient(monkeypatch) as address:
        get = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
        answer, _ = exchange(address, get * 3 + get.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert answer.count(b"HTTP/1.1 200") == 4
        body = json.dumps({"task": "reward"}).encode()
        head = POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
        answer, closed = exchange(address, head[:20], head[20:], body[:5], body[5:], pause=0.02)
        assert closed
        assert status(answer) == 202
        # A second request on a connection, begun and never ended.
        answer, closed = exchange(address, get + get[:10])
        assert closed
        assert answer.count(b"HTTP/1.1 200") == 1
