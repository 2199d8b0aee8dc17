"""A simpler-looking form of a rule for display, found by sympy in a process of its own that may be ended.

sympy.simplify takes 25 ms and up and can hang, so it never runs where rules are scored, and only for a limited time.
Algebra moves poles and rounding: the simplified form stands beside the rule that ran, never in its place, together
with how far the two differ.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ruleforge.errors import InputError
from ruleforge.language.identity import outputs
from ruleforge.language.primitives import apply
from ruleforge.language.rule import Rule
from ruleforge.language.signals import Slot
from ruleforge.language.tokens import Tokens, fold

SECONDS = 10.0
N_EDGES = 512
Inputs = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Simplified:
    """rule: the simplified form; difference: largest relative difference where both are finite; n_poles_moved: inputs
    at which one of them is finite and the other is not, or is another infinity; n_probes: of how many inputs, the probe
    inputs and the edges: 0 and both signs of every signal.
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
        edges = _edges(slot)
        for a, b in (
            (outputs(ours, slot), outputs(theirs, slot)),
            (_values(ours, edges), _values(theirs, edges)),
        ):
            both = np.isfinite(a) & np.isfinite(b)
            scale = np.maximum(np.maximum(np.abs(a[both]), np.abs(b[both])), 1e-9)
            difference = max(difference, float(np.max(np.abs(a[both] - b[both]) / scale, initial=0.0)))
            moved += int(np.sum(~both & (a != b) & ~(np.isnan(a) & np.isnan(b))))
            n_probes += len(a)
    return Simplified(simple, difference, moved, n_probes)


def _edges(slot: Slot) -> Inputs:
    """Where algebra of positive numbers goes wrong: 0 and both signs of each signal, whatever its usual range; of a
    discrete one the values that it has. {symbol: (N_EDGES,) float64}.
    """
    random = np.random.Generator(np.random.PCG64(0))
    drawn = {}
    for signal in slot.signals:
        ends = np.array([0.0, 0.5, 1.0, *map(abs, signal.range), *map(abs, signal.special)])
        choices = np.array(signal.values) if signal.values else np.concatenate([ends, -ends])
        drawn[signal.symbol] = random.choice(choices, N_EDGES)
    return drawn


def _values(tokens: Tokens, inputs: Inputs) -> NDArray[np.float64]:
    return np.asarray(
        fold(tokens, lambda token: inputs[token] if isinstance(token, str) else np.full(N_EDGES, token), apply)
    )


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
