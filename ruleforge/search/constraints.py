"""What a scientist demands of rules: nesting, units, and properties of the change, checked before anything is run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ruleforge.family import TaskFamily
from ruleforge.grammar_settings import Grammar
from ruleforge.language.identity import ZERO
from ruleforge.language.primitives import Primitive, apply
from ruleforge.language.signals import Slot, probe_inputs
from ruleforge.language.tokens import Token, Tokens, fold
from ruleforge.search.units import Inconsistent, parse_unit, unit_of

Values = NDArray[np.float64]


class Constraints:
    """The demands of a grammar on the expressions of a family's slots."""

    def __init__(self, grammar: Grammar, family: type[TaskFamily]) -> None:
        self._nesting = grammar.nesting
        self._units: dict[str, dict[str, Mapping[str, object]]] = {}
        self._free_constants = grammar.units == "free_constants"
        self._checks_units = grammar.units != "ignored"
        self._slots = [_SlotDemands(slot, grammar) for slot in family.slots]

    def allow(self, slot: int, tokens: Tokens) -> bool:
        """Whether the expression of a slot meets every demand."""
        demands = self._slots[slot]
        return (
            (not self._nesting or _nested_as_allowed(tokens, self._nesting))
            and (not self._checks_units or demands.consistent(tokens, self._free_constants))
            and demands.met(tokens)
        )


class _SlotDemands:
    """Properties of one slot's change, checked on the probe inputs that behaviours are compared on."""

    def __init__(self, slot: Slot, grammar: Grammar) -> None:
        self._unit_of = {signal.symbol: parse_unit(signal.unit) for signal in slot.signals}
        self._probes = dict(probe_inputs(slot))
        silent = {symbol: value for symbol, value in grammar.zero_when.items() if symbol in slot.symbols}
        self._silent = {
            symbol: np.full_like(values, silent[symbol]) if symbol in silent else values
            for symbol, values in self._probes.items()
        }
        self._zero = bool(silent)
        self._sign = grammar.sign.get(slot.name)
        self._bound = grammar.bounded.get(slot.name)

    def consistent(self, tokens: Tokens, free_constants: bool) -> bool:
        """The units fit."""
        try:
            unit_of(tokens, self._unit_of, free_constants=free_constants)
        except Inconsistent:
            return False
        return True

    def met(self, tokens: Tokens) -> bool:
        """Zero where it must be, of the sign and within the bound that it must have."""
        if self._zero and not (np.abs(values_of(tokens, self._silent)) < ZERO).all():
            return False
        if self._sign is None and self._bound is None:
            return True
        values = values_of(tokens, self._probes)
        if self._bound is not None and not (np.abs(values) <= self._bound).all():
            return False
        wrong = values < -ZERO if self._sign == "non_negative" else values > ZERO
        return self._sign is None or not wrong.any()


def values_of(tokens: Tokens, inputs: Mapping[str, Values]) -> Values:
    """An expression on given values of its signals, all of one length n: (n,) float64, poles included."""
    shape = next(iter(inputs.values())).shape

    def leaf(token: Token) -> Values:
        return inputs[token] if isinstance(token, str) else np.full(shape, token)

    def node(primitive: Primitive, operands: list[Values]) -> Values:
        result: Values = apply(primitive, operands)
        return result

    return fold(tokens, leaf, node)


def _nested_as_allowed(tokens: Tokens, limits: Mapping[str, Mapping[str, int]]) -> bool:
    """No operator stands more often inside another, counted along a branch, than its limit says."""
    inner_names = sorted({name for inner in limits.values() for name in inner})
    allowed = True

    def node(primitive: Primitive, operands: list[dict[str, int]]) -> dict[str, int]:
        nonlocal allowed
        inside = {name: max(operand[name] for operand in operands) for name in inner_names}
        allowed = allowed and all(inside[n] <= most for n, most in limits.get(primitive.name, {}).items())
        if primitive.name in inside:
            inside[primitive.name] += 1
        return inside

    fold(tokens, lambda _: dict.fromkeys(inner_names, 0), node)
    return allowed
