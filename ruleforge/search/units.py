"""Units of expressions: which combinations of signals are dimensionally consistent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction

from ruleforge.errors import InputError
from ruleforge.language.primitives import Primitive
from ruleforge.language.tokens import Token, fold

# A unit: the exponent of each of its symbols, none of them 0; {} is dimensionless. Symbols are taken as they are: mV
# and V are two units, because adding one to the other without a factor is a mistake.
Unit = Mapping[str, Fraction]
DIMENSIONLESS: Unit = {}

_FACTOR = re.compile(r"\s*([*/·]?)\s*(?:(1)|([A-Za-zµΩ%°]+)(?:(?:\^|\*\*)?(-?[0-9]+))?)\s*")
# Of what dimensionless operands these make something dimensionless.
_TRANSCENDENTAL = frozenset({"exp", "log", "tanh"})
_ALIKE = frozenset({"+", "-", "min", "max"})


class Inconsistent(Exception):  # noqa: N818 - an answer, not an error of the program
    """The expression adds or compares what has different units, or takes a function of a unit."""


def parse_unit(text: str) -> Unit:
    """The unit that a text such as `mV/pA`, `s^-1` or `1` names. Raises InputError if it is none."""
    exponents: dict[str, Fraction] = {}
    position = 0
    while position < len(text):
        match = _FACTOR.match(text, position)
        if match is None or match.end() == position:
            raise InputError(f"{text!r} is not a unit: expected symbols, * and /, e.g. mV/pA, at {text[position:]!r}")
        sign = -1 if match[1] == "/" else 1
        if match[3]:
            power = Fraction(sign * int(match[4] or 1))
            exponents[match[3]] = exponents.get(match[3], Fraction(0)) + power
        position = match.end()
    return _regular(exponents)


def unit_of(tokens: Sequence[Token], units: Mapping[str, Unit], *, free_constants: bool) -> Unit | None:
    """The unit of an expression; None if a free constant leaves it open. Raises Inconsistent if there is none.

    units: of each signal; free_constants: a constant takes whatever unit fits, otherwise it is dimensionless. A power
    with a constant exponent multiplies the exponents; any other needs two dimensionless operands.
    """

    def leaf(token: Token) -> tuple[Unit | None, float | None]:
        if isinstance(token, str):
            return units[token], None
        return (None if free_constants else DIMENSIONLESS), token

    def node(primitive: Primitive, operands: list[tuple[Unit | None, float | None]]) -> tuple[Unit | None, None]:
        found = [unit for unit, _ in operands]
        return _combined(primitive.name, found, operands[-1][1]), None

    return fold(tokens, leaf, node)[0]


def _combined(name: str, operands: list[Unit | None], exponent: float | None) -> Unit | None:
    first, second = operands[0], operands[-1]
    if name in _ALIKE:
        if first is not None and second is not None and first != second:
            raise Inconsistent
        return second if first is None else first
    if name in ("*", "/"):
        if first is None or second is None:
            return None
        sign = 1 if name == "*" else -1
        return _regular({s: first.get(s, Fraction(0)) + sign * second.get(s, Fraction(0)) for s in {*first, *second}})
    if name == "**":
        if second:
            raise Inconsistent
        if not first:  # open or dimensionless
            return first
        if exponent is None:
            raise Inconsistent
        return _regular({s: power * Fraction(exponent).limit_denominator(1000) for s, power in first.items()})
    if name in _TRANSCENDENTAL:
        if first:
            raise Inconsistent
        return DIMENSIONLESS
    if name == "sqrt":
        return None if first is None else _regular({s: power / 2 for s, power in first.items()})
    return DIMENSIONLESS if name == "sign" else first  # neg and abs


def _regular(exponents: Mapping[str, Fraction]) -> Unit:
    return {symbol: power for symbol, power in exponents.items() if power}
