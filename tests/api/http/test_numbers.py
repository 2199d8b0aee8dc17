"""Every number of every body that is posted, at its bounds and beyond: refused or taken, never an answer of 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.http.conftest import Service, serving

DESCRIPTION = json.loads((Path(__file__).parents[3] / "openapi.json").read_text(encoding="utf-8"))
# Numbers that no type of a database, an array or a clock holds.
FAR = (10**400, -(10**30), 2**63, 2**31, 1e308, -1e308, 5e-324, True, "1", None)
JSON = {"Content-Type": "application/json"}
POSTED = {"JobSpec": ("/api/v1/jobs", {"task": "reward"}), "EvaluationSpec": ("/api/v1/rules:evaluate", {})}


def numbers(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """The numeric fields of a schema, with those of the schemas in it."""
    if "$ref" in schema:
        schema = DESCRIPTION["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for option in (*schema.get("anyOf", []), *schema.get("allOf", [])):
        yield from numbers(option, path)
    if schema.get("type") in ("number", "integer") and path:
        yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from numbers(inner, (*path, name))


def tried(schema: dict[str, Any]) -> list[Any]:
    """The bounds of a number, what is next to them, and what is far beyond."""
    bounds = [schema[name] for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") if name in schema]
    return [*bounds, *(bound - 1 for bound in bounds), *(bound + 1 for bound in bounds), *FAR]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of its own record, without a runner, so that nothing comes of what is taken."""
    with serving(f"sqlite:///{tmp_path_factory.mktemp('numbers')}/record.db", "--no-runner") as running:
        yield running


@pytest.mark.parametrize("name", POSTED)
def test_a_number_is_taken_or_refused(service, name):
    address, common = POSTED[name]
    if name == "EvaluationSpec":
        common = {"task": "reward", "rule": "R"}
    found = dict(numbers(DESCRIPTION["components"]["schemas"][name]))
    assert len(found) >= {"JobSpec": 20, "EvaluationSpec": 2}[name]
    for path, schema in found.items():
        for value in tried(schema):
            if path == ("replicates",) and value not in FAR:
                continue  # a study of ten thousand jobs is taken, but not in the time of a test
            body: Any = value
            for part in reversed(path):
                body = {part: body}
            answer = service.post(address, content=json.dumps({**common, **body}), headers=JSON)
            assert answer.status_code in (202, 400, 422), (path, value, answer.text)
