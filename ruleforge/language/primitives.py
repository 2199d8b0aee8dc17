"""The operators of the language, each declared once; parser, kernels, numpy, sympy, LaTeX and docs derive from here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

# How tightly a text binds; the printer adds parentheses where a weaker one stands inside a stronger one.
SUM, PRODUCT, NEGATION, POWER, ATOM = range(1, 6)


@dataclass(frozen=True)
class Primitive:
    """One operator.

    name: the token, as people write it (`+`, `sqrt`); opcode: its number in the compiled kernels;
    numpy: the reference semantics on float64 arrays (IEEE, no protection against poles);
    sympy: name of the function in the sympy namespace, or "" for the infix ones (see `language.symbolic`);
    latex: a template whose fields {0}, {1} are the operands; binding: see above;
    commutative: the operands may change places without changing a bit of the result.
    """

    name: str
    arity: int
    opcode: int
    numpy: Callable[..., Values]
    sympy: str
    latex: str
    binding: int
    meaning: str
    commutative: bool = False

    @property
    def infix(self) -> bool:
        """Written between its operands."""
        return self.arity == 2 and self.binding != ATOM


def real_power(base: Values, exponent: Values) -> Values:
    """Powers as the published code had them: the real part of the principal value.

    A negative base with a non-integer exponent gives |b|^e·cos(πe) (Jordan et al. 2021 evaluated rules through complex
    numbers and took the real part); everything else is IEEE pow.
    """
    oblique = (base < 0) & (np.floor(exponent) != exponent)
    return np.where(oblique, np.power(np.abs(base), exponent) * np.cos(np.pi * exponent), np.power(base, exponent))


def smaller(a: Values, b: Values) -> Values:
    """The smaller of two, NaN if either is; of equal ones (0 and −0 are equal) the first."""
    return np.where(np.isnan(b) | (b < a), b, a)


def larger(a: Values, b: Values) -> Values:
    """The larger of two, NaN if either is; of equal ones the first."""
    return np.where(np.isnan(b) | (b > a), b, a)


_DECLARED: list[tuple[str, int, Callable[..., Any], str, str, int, str, bool]] = [
    ("+", 2, np.add, "", "{0} + {1}", SUM, "sum", True),
    ("-", 2, np.subtract, "", "{0} - {1}", SUM, "difference", False),
    ("*", 2, np.multiply, "", "{0} {1}", PRODUCT, "product", True),
    ("/", 2, np.divide, "", r"\frac{{{0}}}{{{1}}}", PRODUCT, "quotient, IEEE: 1/0 is infinite, 0/0 is NaN", False),
    ("**", 2, real_power, "", "{0}^{{{1}}}", POWER, "power; of a negative base the real part, |b|^e·cos(πe)", False),
    ("neg", 1, np.negative, "", "-{0}", NEGATION, "the negative, written -x", False),
    ("sqrt", 1, np.sqrt, "sqrt", r"\sqrt{{{0}}}", ATOM, "square root", False),
    ("exp", 1, np.exp, "exp", r"\exp\left({0}\right)", ATOM, "exponential", False),
    ("log", 1, np.log, "log", r"\log\left({0}\right)", ATOM, "natural logarithm", False),
    ("tanh", 1, np.tanh, "tanh", r"\tanh\left({0}\right)", ATOM, "hyperbolic tangent", False),
    ("abs", 1, np.abs, "Abs", r"\left|{0}\right|", ATOM, "absolute value", False),
    ("min", 2, smaller, "Min", r"\min\left({0}, {1}\right)", ATOM, "the smaller of two", False),
    ("max", 2, larger, "Max", r"\max\left({0}, {1}\right)", ATOM, "the larger of two", False),
    ("sign", 1, np.sign, "sign", r"\operatorname{{sign}}\left({0}\right)", ATOM, "−1, 0 or 1", False),
]

PRIMITIVES: Mapping[str, Primitive] = {
    name: Primitive(name, arity, opcode, function, symbolic, latex, binding, meaning, commutative)
    for opcode, (name, arity, function, symbolic, latex, binding, meaning, commutative) in enumerate(_DECLARED)
}

# Other ways people write the same operator.
ALIASES: Mapping[str, str] = {
    "^": "**",
    "pow": "**",
    "−": "-",
    "×": "*",
    "·": "*",
    "÷": "/",
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
}

FUNCTIONS: frozenset[str] = frozenset(p.name for p in PRIMITIVES.values() if p.binding == ATOM)


def primitive_named(name: str) -> Primitive | None:
    """The primitive that `name` (or an alias of it) stands for, or None."""
    return PRIMITIVES.get(ALIASES.get(name, name))


def apply(primitive: Primitive, operands: list[Any]) -> Any:
    """Evaluate one primitive on numpy operands, silently at poles."""
    with np.errstate(all="ignore"):
        return primitive.numpy(*operands)
