"""A simpler-looking form of a rule for display, found by sympy in a process of its own that may be ended.

sympy.simplify takes 25 ms and up and can hang, so it never runs where rules are scored, and only for a limited time.
Algebra moves poles and rounding: the simplified form stands beside the rule that ran, never in its place, together
with how far the two differ on the probe inputs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

from ruleforge.errors import InputError
from ruleforge.language.identity import outputs
from ruleforge.language.rule import Rule
from ruleforge.language.tokens import Tokens

SECONDS = 10.0


@dataclass(frozen=True)
class Simplified:
    """rule: the simplified form; difference: largest relative difference where both are finite; n_poles_moved: probe
    inputs at which one of them is finite and the other is not; n_probes: of how many.
    """

    rule: Rule
    difference: float
    n_poles_moved: int
    n_probes: int


def simplified(rule: Rule, seconds: float = SECONDS) -> Simplified | None:
    """The rule simplified by sympy, if that gives fewer nodes within the time; else None."""
    question = json.dumps([[list(e), list(s.symbols)] for e, s in zip(rule.expressions, rule.slots, strict=True)])
    try:
        answer = subprocess.run(
            [sys.executable, "-m", "ruleforge.language.simplify"],
            input=question,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=True,
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return None  # too hard for sympy, or a form that the language cannot write: the rule stands as it is
    expressions = tuple(
        tuple(found) if len(found) < len(own) else own
        for found, own in zip(json.loads(answer.stdout), rule.expressions, strict=True)
    )
    simple = Rule(rule.task, rule.slots, expressions)
    return _compared(rule, simple) if simple.complexity < rule.complexity else None


def _compared(rule: Rule, simple: Rule) -> Simplified:
    difference, moved, n_probes = 0.0, 0, 0
    for slot, ours, theirs in zip(rule.slots, rule.expressions, simple.expressions, strict=True):
        a, b = outputs(ours, slot), outputs(theirs, slot)
        both = np.isfinite(a) & np.isfinite(b)
        scale = np.maximum(np.maximum(np.abs(a[both]), np.abs(b[both])), 1e-9)
        difference = max(difference, float(np.max(np.abs(a[both] - b[both]) / scale, initial=0.0)))
        moved += int(np.sum(np.isfinite(a) != np.isfinite(b)))
        n_probes += len(a)
    return Simplified(simple, difference, moved, n_probes)


def _simplify(tokens: Tokens, symbols: list[str]) -> Tokens:
    import sympy

    from ruleforge.language.symbolic import from_sympy, to_sympy

    return from_sympy(sympy.simplify(to_sympy(tokens), rational=False), symbols)


def main() -> None:
    """Read [[tokens, symbols], …] from standard input and write the simplified tokens, as JSON."""
    try:
        answer = [_simplify(tuple(tokens), symbols) for tokens, symbols in json.load(sys.stdin)]
    except InputError as error:
        sys.exit(str(error))
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
