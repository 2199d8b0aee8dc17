"""The process that draws: one question a line on standard input, one answer a line on standard output, both JSON.

It ends when its input does, and so with the service that started it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from typing import Any

from ruleforge.errors import InputError
from ruleforge.family import family
from ruleforge.language.rule import Rule
from ruleforge.language.simplify import simplified
from workers.pictures import figure_kinds, figure_svg
from workers.trace import trace_of


def _simplified(rule: Rule) -> dict[str, Any] | None:
    simple = simplified(rule)
    if simple is None:
        return None
    return {
        "rule": simple.rule.text,
        "latex": simple.rule.latex,
        "mathml": simple.rule.mathml,
        "largest_relative_difference": simple.difference,
        "poles_moved": simple.n_poles_moved,
        "probes": simple.n_probes,
    }


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """{"done": text to send, SVG or JSON}, {"refused": [JSON pointer, sentence]} for what cannot be drawn, or
    {"failed": sentence} where the family has a fault, which it would have again.
    """
    try:
        rule = Rule.from_tokens(question["tokens"], question["task"])
        if question["what"] == "simplified":
            return {"done": json.dumps(_simplified(rule))}
        bound = family(rule.task, question["parameters"])
        if question["what"] == "trace":
            return {"done": json.dumps(trace_of(bound, rule), allow_nan=False)}
        kind = question["kind"] or next(iter(figure_kinds(type(bound))), "")
        return {"done": figure_svg(bound, rule, kind)}
    except InputError as error:
        return {"refused": [error.pointer, str(error)]}
    except Exception as error:  # noqa: BLE001 - whatever a family raises is its answer here, and no end of the process
        traceback.print_exc()
        return {"failed": f"this cannot be drawn, {type(error).__name__}: {error}"}


def main() -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which ends this process
    os.nice(5)  # it gives way to what answers at once
    # Only answers go to the service: whatever a library prints goes to the log.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        answers.write(json.dumps(answer(json.loads(line)), allow_nan=False) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
