"""The OpenAPI document: what the framework makes of the routes, and what it cannot know.

`python -m api.http.description` prints it, as it stands in openapi.json.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from api.http.models import Description, ExportedRule, Extension
from api.http.problems import ProblemDetails
from api.http.telemetry import REQUEST_ID
from ruleforge.spec import JobSpec
from workers.evaluation import EvaluationSpec

# Read or sent by routes themselves, so that the framework does not know them.
OWN = (JobSpec, EvaluationSpec, Description, ExportedRule, Extension, ProblemDetails)
# The framework's own errors, which are never sent.
NEVER_SENT = ("HTTPValidationError", "ValidationError")
METHODS = ("get", "post", "patch", "delete")


def document(app: FastAPI) -> dict[str, Any]:
    """The document of the application."""
    made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    schemas = made["components"]["schemas"]
    _, own = models_json_schema([(model, "validation") for model in OWN], ref_template="#/components/schemas/{model}")
    schemas.update(own["$defs"])
    for method, operation in _operations(made):
        answers = operation["responses"]
        if NEVER_SENT[0] in json.dumps(answers.get("422", {})):
            del answers["422"]
        if method == "get" and "application/json" in answers["200"].get("content", {}):
            answers["304"] = {"description": "Not Modified: the ETag of If-None-Match still holds"}
        for answer in answers.values():
            answer.setdefault("headers", {})[REQUEST_ID] = {
                "schema": {"type": "string"},
                "description": "of the request, or made for it; the log has it",
            }
        operation["responses"] = dict(sorted(answers.items()))
    for name in NEVER_SENT:
        schemas.pop(name, None)
    made["components"]["schemas"] = dict(sorted(schemas.items()))
    return made


def _operations(made: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in made["paths"].values():
        for method in METHODS:
            if method in path:
                yield method, path[method]


def as_text(app: FastAPI) -> str:
    """The document as it is kept."""
    return json.dumps(document(app), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Print the document of an empty service."""
    from api.http.app import create_app
    from ruleforge.store import open_store

    with open_store("sqlite://") as store:
        sys.stdout.write(as_text(create_app(store)))


if __name__ == "__main__":
    main()
