"""Every media type and every shape that openapi.json declares is what comes, and nothing else comes."""

from __future__ import annotations

import csv
import io
import json

import jsonschema_rs
import pytest

from tests.api.http.test_description import ROOT
from tests.api.http.test_errors import BODIES, OPERATIONS

DOCUMENT = json.loads((ROOT / "openapi.json").read_text(encoding="utf-8"))
# What a rule is exported as is chosen by name, not by Accept.
FORMAT_OF = {
    "text/plain": "text",
    "application/x-latex": "latex",
    "application/mathml+xml": "mathml",
    "text/x-python": "python",
    "application/json": "json",
}
ANSWERS = [
    (method, path, operation["operationId"], int(status), media_type, described["schema"])
    for method, path, operation in OPERATIONS
    for status, answer in operation["responses"].items()
    if status < "300"
    for media_type, described in answer.get("content", {}).items()
    # A stream (tests/api/http/test_events.py); and what would set the finished job, which tests share, going again.
    if operation["operationId"] not in ("watch_job", "extend_job")
]


def strictly(schema):
    """The schema with every object closed: what is sent beyond what is described is no answer as described."""
    if isinstance(schema, list):
        return [strictly(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: strictly(part) for name, part in schema.items()}
    if isinstance(closed.get("properties"), dict) and "additionalProperties" not in closed:
        closed["additionalProperties"] = False
    return closed


@pytest.fixture(scope="module")
def study(service):
    body = {**BODIES["submit_job"], "replicates": 2, "seed": 90}
    return service.post("/api/v1/jobs", json=body).json()["study"]


@pytest.mark.parametrize(
    ("method", "path", "name", "status", "media_type", "schema"),
    ANSWERS,
    ids=[f"{name}-{media_type}" for _, _, name, _, media_type, _ in ANSWERS],
)
def test_an_answer_is_as_described(service, done, study, method, path, name, status, media_type, schema):
    ids = {"rules": done["result"]["champion"]["id"], "studies": study}
    own = next((id for kind, id in ids.items() if f"/{kind}/" in path), done["id"])
    if method in ("post", "patch", "delete") and "{id}" in path:
        own = service.submit(seed=len(name))
        if name == "resume_job":
            service.post(f"/api/v1/jobs/{own}/pause")
    here = path.replace("{id}", own).replace("{name}", "reward")
    query = {"format": FORMAT_OF[media_type]} if name == "export_rule" else {}
    body = {"json": BODIES[name]} if name in BODIES else {}
    answer = service.request(method, here, params=query, headers={"accept": media_type}, **body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].partition(";")[0] == media_type
    given = answer.json() if media_type == "application/json" else answer.text
    whole = {**strictly(schema), "components": strictly(DOCUMENT["components"])}
    jsonschema_rs.validator_for(whole).validate(given)


@pytest.mark.parametrize("rule", ["-E", "-E + 1", "-1", "-R*E", "--E", "+E"])
def test_tables_execute_nothing(service, rule):
    """What a spreadsheet would take for a formula comes as text, and the numbers as numbers."""
    from api.http.models import RuleObject
    from api.http.tables import front_table

    named = [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "＝1",
        "＋1",
        "－1",
        "＠a",
        "'=1",
        "=cmd|' /C calc'!A0",
    ]
    for known in (*named, "(R - 1)*E", "", None):
        item = RuleObject(
            **{"id": "1e5", "behaviour": "-", "rule": rule, "complexity": 3, "fitness": -1.5, "outcome": "ok"},
            **{
                "validation_fitness": None,
                "library_fitness": None,
                "context": "",
                "known_as": known,
                "known_factor": -0.5,
                "latex": "x",
                "mathml": None,
            },
        )
        head, row = csv.reader(io.StringIO(front_table([item])))
        cells = dict(zip(head, row, strict=True))
        assert cells["rule"] == (f"'{rule}" if rule[0] in "-+" else rule)
        assert (cells["complexity"], cells["fitness"], cells["known_factor"]) == ("3", "-1.5", "-0.5")
        written = cells["known_as"]
        assert not written.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
        assert written.removeprefix("'" if known in named else "") == (known or "")
