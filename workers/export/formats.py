"""The formats of `export`, each declared once: command line and HTTP derive names, suffixes and media types."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ruleforge.errors import InputError, unknown_name
from ruleforge.language.identity import behaviour
from workers.export.description import Exportable, Exported, described
from workers.export.python import python_file
from workers.scoring import nearest_known


@dataclass(frozen=True)
class Format:
    """One form of a rule: what it is called, its file's suffix, its media type, and who writes it."""

    name: str
    suffix: str
    media_type: str
    meaning: str
    write: Callable[[Exported], str]


def _text(exported: Exported) -> str:
    return f"{exported.rule.text}\n"


def _latex(exported: Exported) -> str:
    rule = exported.rule
    known = f" ({exported.known})" if exported.known else ""
    lines = (
        f"% {rule.text}{known}",
        f"% {exported.family.title}: {exported.family.citation}",
        f"% task {rule.task}, rule {rule.id}; needs \\usepackage{{amsmath}}",
    )
    comments = "\n".join(line.replace("\n", " ") for line in lines)
    return f"{comments}\n\\[\n{rule.latex}\n\\]\n"


def _mathml(exported: Exported) -> str:
    return f"{exported.rule.mathml}\n"


def _json(exported: Exported) -> str:
    """Everything from which `Rule.from_tokens` and the family make the rule again, and what was measured of it."""
    rule, known = exported.rule, exported.known
    content = {
        "task": rule.task,
        "task_version": exported.family.version,
        "parameters": exported.parameters,
        "rule": rule.text,
        "tokens": rule.to_tokens(),
        "id": rule.id,
        "behaviour": behaviour(rule),
        "complexity": rule.complexity,
        "slots": [
            {
                "name": slot.name,
                "when": slot.when,
                "updates": slot.updates,
                "signals": [
                    {"symbol": s.symbol, "unit": s.unit, "meaning": s.meaning, "range": list(s.range)}
                    for s in slot.signals
                ],
            }
            for slot in rule.slots
        ],
        "known_as": known.name if known else None,
        "known_factor": known.factor if known else None,
        "nearest_known": nearest_known(rule, exported.recogniser),
        "latex": rule.latex,
        "fitness": exported.fitness,
        "validation_fitness": dict(exported.validation) if exported.validation else None,
        "outcome": exported.outcome,
        "citation": exported.family.citation,
    }
    return json.dumps(content, allow_nan=False, ensure_ascii=False, indent=2) + "\n"


FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format("text", ".txt", "text/plain", "the rule as ruleforge reads it", _text),
        Format("latex", ".tex", "application/x-latex", "a displayed formula, with amsmath", _latex),
        Format("mathml", ".mml", "application/mathml+xml", "presentation MathML, for web pages", _mathml),
        Format("python", ".py", "text/x-python", "a file with a function per slot that needs numpy alone", python_file),
        Format("json", ".json", "application/json", "everything that rebuilds the rule, and its scores", _json),
    )
}


def format_named(name: str) -> Format:
    """The format of that name. Raises InputError, with the nearest one, if there is none."""
    if name not in FORMATS:
        raise InputError(unknown_name("format", name, FORMATS), pointer="/format")
    return FORMATS[name]


def export_rule(given: Exportable, format: str, *, parameters: Mapping[str, Any] | None = None) -> str:
    """The rule in the format of that name, as the text of a file.

    given: a rule, or one with its scores (from the record or from a result); parameters: of the task family, where the
    rule was found or is to be used [default: the family's]. Raises InputError for an unknown format and for parameters
    that the family refuses.
    """
    return format_named(format).write(described(given, parameters))
