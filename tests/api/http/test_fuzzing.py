"""Schemathesis against the running service: whatever is asked, no server error, and every answer as described.

A longer run of the same: `schemathesis run http://127.0.0.1:8000/openapi.json --checks all`, as docs/http.md tells.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

# What is well-formed may still name a task that there is none of.
EXCLUDED = [positive_data_acceptance]


DOCUMENT = json.loads((Path(__file__).parents[3] / "openapi.json").read_text(encoding="utf-8"))
described = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.fixture(scope="session")
def waiting(service):
    """A job that waits, and may go on to any limit; the finished one, shared by all tests, would not stay as it is."""
    return service.submit(seed=98)


@described.parametrize()
@settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_answers_are_as_described(case, service, done, waiting):
    # Ids that are made up are never found, so every second one is that of something that is there.
    job = waiting if case.path.endswith("/extend") else done["id"]
    known = done["result"]["champion"]["id"] if "/rules/" in case.path else job
    parameters = case.path_parameters
    if case.method != "DELETE" and parameters and "id" in parameters and len(str(parameters["id"])) % 2:
        parameters["id"] = known
    case.call_and_validate(base_url=service.address, excluded_checks=EXCLUDED, timeout=30)
