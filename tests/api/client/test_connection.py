"""What breaks on the way: services that are away, killed, started anew, or no services of ours."""

from __future__ import annotations

import http.server
import itertools
import random
import signal
import threading

import pytest

import ruleforge
from ruleforge.errors import InputError, ServiceError
from ruleforge.store import open_store


def test_nobody_there(server):
    server.stop()
    try:
        with (
            ruleforge.Client(server.url) as client,
            pytest.raises(ServiceError, match=rf"no service answers at {server.url} .*: start one with"),
        ):
            client.tasks()
    finally:
        server.start()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "", "ftp://127.0.0.1", "sqlite:///a.db"])
def test_no_address(url):
    with pytest.raises(InputError, match=r"expected the address of a service, such as http://127\.0\.0\.1:8000, and"):
        ruleforge.Client(url)


class Stranger(http.server.BaseHTTPRequestHandler):
    """A web server that is none of ours."""

    protocol_version = "HTTP/1.1"
    status = 200

    def do_GET(self):
        self.send_response(self.status)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *arguments):
        pass


@pytest.mark.parametrize("status", [200, 404, 502])
def test_a_stranger_answers(status, monkeypatch):
    monkeypatch.setattr(Stranger, "status", status)
    with http.server.HTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        with (
            ruleforge.Client(f"http://127.0.0.1:{stranger.server_port}") as client,
            pytest.raises(ServiceError, match=rf"status {status} with text/html came: is this the address"),
        ):
            client.tasks()
        stranger.shutdown()


def test_silence(bad_line, server):
    line = bad_line(server.port, lambda came: False)
    line._forward = lambda *_: None  # nothing reaches the service
    with (
        ruleforge.Client(line.url, timeout=0.3) as client,
        pytest.raises(ServiceError, match=r"did not answer within 0\.3 s: try again, or allow more time"),
    ):
        client.tasks()


def test_a_service_that_is_started_anew_is_found_again(server):
    with ruleforge.Client(server.url) as client:
        before = client.tasks()
        server.stop(signal.SIGKILL)
        begun = threading.Thread(target=server.start)
        begun.start()
        assert client.tasks() == before
        begun.join()


def test_events_over_a_line_that_keeps_breaking(server, bad_line):
    """The line breaks after a few hundred bytes, again and again; every event comes once, in order."""
    lengths = random.Random(7)
    limits = {}

    def cut(came: bytes) -> bool:
        key = threading.get_ident()
        if b"text/event-stream" not in came:
            return False
        limit = limits.setdefault(key, 500 + lengths.randrange(2500))
        return len(came) > limit

    line = bad_line(server.port, cut)
    with ruleforge.Client(server.url) as steady, ruleforge.Client(line.url) as client:
        job = client.submit({**server.small, "budget": {"generations": 40}}, seed=31)
        seen = list(job.events())
        assert seen == list(steady.job(job.id).events())
        assert line.cuts > 2


def test_a_submission_whose_answer_is_lost_makes_one_job(server, bad_line):
    numbers = itertools.count()
    line = bad_line(server.port, lambda came: b"HTTP/1.1 202" in came and next(numbers) < 2)
    with ruleforge.Client(line.url) as client:
        client.tasks()
        job = client.submit(server.endless, seed=32)
        same = list(client.jobs(spec_hash=job.info["spec_hash"]))
        assert [other.id for other in same] == [job.id]
        assert line.cuts == 2
        job.cancel()


def test_what_may_not_be_repeated_is_not(server, bad_line):
    line = bad_line(server.port, lambda came: b"HTTP/1.1 204" in came)
    with ruleforge.Client(line.url) as client:
        job = client.submit(server.endless, seed=33).cancel()
        with pytest.raises(ServiceError, match=r"the connection to .* broke"):
            job.delete()
        with pytest.raises(InputError, match="there is no job"):
            job.refresh()


def test_events_go_on_over_a_killed_service(tmp_path_factory, server):
    """kill -9 in the middle of a job: it goes on after a restart, and the stream has neither gap nor repeat."""
    spec = {**server.small, "budget": {"generations": 60}, "seed": 41}
    with ruleforge.Client(server.url) as client:
        job = client.submit(spec)
        seen = []
        for event in job.events():
            seen.append(event)
            if event.kind == "generation" and event.data["number"] in (10, 30):
                server.stop(signal.SIGKILL)
                server.start()
        job.refresh()
        assert job.state == "succeeded"
        with open_store(server.database) as store:
            recorded = [event["id"] for event in store.events(job.id)]
        assert [event.id for event in seen] == recorded
        given = {key: value for key, value in spec.items() if key != "task"}
        assert job.result().history == ruleforge.evolve("reward", db="sqlite://", workers=1, **given).history
