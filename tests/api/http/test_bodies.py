"""Bodies that a program may send by mistake or on purpose: refused with a pointer, whatever they are."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest

from ruleforge.nesting import MAX_NESTING
from tests.api.http.test_errors import BODIES, OPERATIONS, SPEC, problem

TAKERS = [
    (method, path, operation["operationId"]) for method, path, operation in OPERATIONS if "requestBody" in operation
]
EACH = pytest.mark.parametrize(("method", "path", "name"), TAKERS, ids=[name for _, _, name in TAKERS])
KIND = {"content-type": "application/json"}
# From just above the bound, over what Python's stack holds when it parses but not when it walks, to what it never does.
DEPTHS = (MAX_NESTING + 1, 100, 400, 490, 600, 940, 990, 5000, 100_000)


@pytest.fixture
def send(service, done):
    def send(method, path, content, **headers):
        here = path.replace("{id}", done["id"])
        return service.request(method, here, content=content, headers={**KIND, **headers})

    return send


def around(inside: str, opening: str, closing: str, depth: int) -> str:
    return opening * depth + inside + closing * depth


@EACH
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("place", ["parameters", "tags", "unknown"])
def test_nested_to_any_depth(send, method, path, name, depth, place):
    for opening, closing in (('{"a":', "}"), ("[", "]"), ('[{"a":', "}]"), ('{"a":[', "]}")):
        own = {key: value for key, value in BODIES[name].items() if key != place}
        body = json.dumps({**own, place: "HERE"}).replace('"HERE"', around("1", opening, closing, depth))
        answer = send(method, path, body)
        problem(answer, 400 if answer.status_code == 400 else 422)
        assert f"at most {MAX_NESTING} deep" in answer.text


@EACH
@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ('{"name": "a", "name": "b"}', ["/name"]),
        ('{"task": "reward", "task": "reward"}', ["/task"]),
        ('{"task": "reward", "task": "reward", "task": null}', ["/task"]),
        ('{"parameters": {"n_trials": 1, "n_trials": 2}}', ["/parameters/n_trials"]),
        ('{"grammar": {"signals": {"dw": ["R"], "dw": []}}}', ["/grammar/signals/dw"]),
        ('{"tags": [{"x": 1, "x": 1}]}', ["/tags/0/x"]),
        ('{"a": 1, "b": 1, "a": 2, "b": 2}', ["/a", "/b"]),
        ('{"a/b~": 1, "a/b~": 2}', ["/a~1b~0"]),
        ('{"\\u0061": 1, "a": 2}', ["/a"]),
        ('{"": 1, "": 2}', ["/"]),
        ('{"a": {"b": 1, "b": 2}, "a": 3}', ["/a"]),
    ],
)
def test_a_name_that_comes_twice(send, method, path, name, body, pointers):
    errors = problem(send(method, path, body), 422)["errors"]
    assert [error["pointer"] for error in errors] == pointers
    assert all("once" in error["message"] for error in errors)


@EACH
def test_compressed_bodies(send, method, path, name):
    whole = json.dumps(BODIES[name]).encode()
    for coding, content in (
        ("gzip", gzip.compress(whole)),
        ("GZIP", gzip.compress(whole)),
        ("x-gzip", gzip.compress(whole)),
        ("deflate", zlib.compress(whole)),
        ("br", b"\x0b\x02\x80"),
        ("zstd", b"\x28\xb5\x2f\xfd"),
        ("gzip, gzip", gzip.compress(gzip.compress(whole))),
        ("identity, gzip", gzip.compress(whole)),
        ("gzip", whole),
        ("nonsense", whole),
    ):
        answer = send(method, path, content, **{"content-encoding": coding})
        assert "send it uncompressed" in problem(answer, 415)["detail"]
        assert answer.headers["accept-encoding"] == "identity"
    if name in ("submit_job", "evaluate_rule"):  # the others would change the finished job, which all tests share
        assert send(method, path, whole, **{"content-encoding": "identity"}).status_code == 202


@EACH
@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe{\x00}\x00",
        '{"name": "é"}'.encode("latin-1"),
        b"\xef\xbb\xbf{}",
        b'{"name": "\xc0\xaf"}',
        b'{"name": "\xed\xa0\x80"}',
        b"\x00",
        b"{}{}",
        b"{} x",
        b"{'name': 'a'}",
        b'{"name": "a",}',
        b'{"name": Infinity}',
        b'{"name": -Infinity}',
        b'{"name": +1}',
        b'{"name": 01}',
        b'{"name": 0x1}',
        b'{"name": ' + b"9" * 5000 + b"}",
        b'{"name": "\x01"}',
        b"name=a",
        b"<name>a</name>",
    ],
)
def test_what_is_no_json(send, method, path, name, content):
    problem(send(method, path, content), 400)


@EACH
@pytest.mark.parametrize(
    "kind",
    ["text/json", "application/jsonx", "application/ json", "json", "*/*", "application/*", ";", "application/xml"],
)
def test_other_content_types(send, method, path, name, kind):
    problem(send(method, path, b"{}", **{"content-type": kind}), 415)


@EACH
def test_repeated_headers(service, done, method, path, name):
    here, body = path.replace("{id}", done["id"]), json.dumps(BODIES[name])
    for extra in (
        [("content-type", "application/json"), ("content-type", "application/json")],
        [("content-type", "application/json"), ("Content-Type", "text/plain")],
        [("content-type", "application/json"), ("idempotency-key", "a"), ("idempotency-key", "b")],
    ):
        assert "once" in problem(service.request(method, here, content=body, headers=extra), 400)["detail"]


@pytest.mark.parametrize("key", ["seed", "replicates"])
@pytest.mark.parametrize(
    "number", ["9223372036854775808", "-1", "1e300", "1e400", "-0.5", "1.5", "18446744073709551616", "9" * 400, "true"]
)
def test_numbers_that_no_seed_has(service, key, number):
    body = json.dumps({**SPEC, key: "HERE"}).replace('"HERE"', number)
    (error,) = problem(service.post("/api/v1/jobs", content=body, headers=KIND), 422)["errors"]
    assert error["pointer"] == f"/{key}"


@pytest.mark.parametrize("place", ["n_trials", "learning_rate", "resolution", "no_such"])
@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "9" * 400, "-" + "9" * 400, "9" * 4300, "null", '"many"', "[[1]]"]
)
def test_numbers_that_no_parameter_has(service, place, number):
    for here in ("/api/v1/jobs", "/api/v1/rules:evaluate"):
        own = {**SPEC, "rule": "R*E"} if "evaluate" in here else SPEC
        body = json.dumps({**own, "parameters": {place: "HERE"}}).replace('"HERE"', number)
        errors = problem(service.post(here, content=body, headers=KIND), 422)["errors"]
        assert [error["pointer"] for error in errors] == [f"/parameters/{place}"]


def test_an_if_match_that_is_weak_changes_nothing(service):
    here = f"/api/v1/jobs/{service.submit(seed=4321)}"
    etag = service.get(here).headers["etag"]
    change = {"name": "changed"}
    for header in (f"W/{etag}", f"w/{etag}", f'"x", W/{etag}', etag.strip('"'), '""', "", f"W/{etag}, W/{etag}"):
        problem(service.patch(here, json=change, headers={"if-match": header}), 412)
    assert service.get(here).headers["etag"] == etag
    repeated = [("if-match", '"x"'), ("if-match", etag), ("content-type", "application/json")]
    assert service.patch(here, content=json.dumps(change), headers=repeated).json()["name"] == "changed"
    assert service.patch(here, json={"name": "again"}, headers={"if-match": "*"}).json()["name"] == "again"
    assert service.get(here, headers={"if-none-match": f"W/{service.get(here).headers['etag']}"}).status_code == 304
