"""Hypothesis strategies for expressions, and the values on which they are tried."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from ruleforge.language.primitives import PRIMITIVES, apply
from ruleforge.language.tokens import MAX_DEPTH, MAX_NODES, depth, fold

# Operators whose result IEEE 754 fixes to the last bit (or that only select), so every backend must agree on it.
EXACT = ("+", "-", "*", "/", "neg", "abs", "min", "max", "sign", "sqrt")
EVERY = tuple(PRIMITIVES)

SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -3.0, 1e300, -1e300, 5e-324, -2e-310, np.inf, -np.inf, np.nan)


def constants():
    plain = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, 0.1, -0.1, 10.0, 1e-5, -1e22, 5e-324, 1.7976931348623157e308])
    return plain | st.floats(allow_nan=False, allow_infinity=False)


def expressions(symbols, operators=EVERY, numbers=None, max_leaves=16):
    """Token tuples of whole trees within the limits of the language."""
    leaves = st.sampled_from(symbols) | (constants() if numbers is None else st.sampled_from(numbers))

    def extended(children):
        return st.one_of(
            [
                st.tuples(st.just((name,)), *[children] * PRIMITIVES[name].arity).map(lambda parts: sum(parts, ()))
                for name in operators
            ]
        )

    trees = st.recursive(leaves.map(lambda leaf: (leaf,)), extended, max_leaves=max_leaves)
    return trees.filter(lambda tokens: len(tokens) <= MAX_NODES and depth(tokens) <= MAX_DEPTH)


def values(n_signals, n_values=32):
    """(n_signals, n_values) arrays with many special values among them."""
    number = st.sampled_from(SPECIAL) | st.floats(-5, 5) | st.floats()
    row = st.lists(number, min_size=n_values, max_size=n_values)
    return st.lists(row, min_size=n_signals, max_size=n_signals).map(np.array)


def folded(tokens, inputs):
    """The expression evaluated node by node in numpy. inputs: symbol → (n_values,)."""
    n_values = len(next(iter(inputs.values())))
    return fold(tokens, lambda token: inputs[token] if isinstance(token, str) else np.full(n_values, token), apply)


def same_bits(a, b):
    """Equal bit for bit, every NaN being as good as another: (n_values,) bool."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return (a.view(np.uint64) == b.view(np.uint64)) | (np.isnan(a) & np.isnan(b))
