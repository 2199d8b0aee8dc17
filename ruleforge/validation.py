"""What pydantic finds wrong with input, told in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ValidationError

from ruleforge.errors import unknown_name
from ruleforge.nesting import pointer_part


def explain(error: ValidationError, model: type[BaseModel], root: str = "") -> list[tuple[str, str]]:
    """Pydantic's findings as (JSON pointer, sentence), with the nearest name for an unknown one."""
    found = []
    for item in error.errors(include_url=False, include_context=True):
        path = [str(part) for part in item["loc"]]
        pointer = root + "".join("/" + pointer_part(part) for part in path)
        if item["type"] == "extra_forbidden":
            message = unknown_name("parameter" if root == "/parameters" else "key", path[-1], _fields(model, path[:-1]))
        else:
            texts = item["type"] == "string_type"
            reason = "expected a string in quotes" if texts else item["msg"].removeprefix("Value error, ")
            # What came is told where it is one value; a whole table would bury the sentence.
            whole = item["type"] == "missing" or isinstance(item["input"], Mapping)
            came = "" if whole else f", and {_shortened(item['input'])} came"
            message = f"{reason[:1].lower()}{reason[1:]}{came}"
        found.append((pointer, message))
    return found


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def _fields(model: type[BaseModel], path: Sequence[str]) -> list[str]:
    for part in path:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
