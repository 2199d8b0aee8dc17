"""Which rules are the same: behaviour on a family's probe inputs, and the known rules that a rule matches."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleforge.language.primitives import Primitive
from ruleforge.language.rule import Rule
from ruleforge.language.signals import Slot, probe_inputs
from ruleforge.language.tokens import Token, Tokens, fold

SIGNIFICANT_DIGITS = 10
# Below this an output counts as zero: what is left of a cancellation such as R·E − E at R = 1.
ZERO = 1e-11


# Expressions per slot whose outputs are remembered: variation makes the same ones again and again. 2 MB at the most.
REMEMBERED = 1024
# Slots that are remembered at all; a process meets a handful.
MAX_SLOTS = 64


class _Probed:
    """The outputs of expressions on a slot's probe inputs, the latest of them remembered."""

    def __init__(self, slot: Slot) -> None:
        self.slot = slot
        self.inputs = probe_inputs(slot)
        self.shape = next(iter(self.inputs.values())).shape
        self._kept: dict[Tokens, _Outputs] = {}

    def of_leaf(self, token: Token) -> NDArray[np.float64]:
        """Values of a signal or a constant."""
        return self.inputs[token] if isinstance(token, str) else np.full(self.shape, token)

    def of(self, tokens: Tokens) -> _Outputs:
        """What an expression gives."""
        found = self._kept.get(tokens)
        if found is None:
            with np.errstate(all="ignore"):
                values = fold(tokens, self.of_leaf, _on_arrays)
            found = _Outputs(values, _rounded(values).tobytes())
            if 0.0 in tokens:
                return found  # equal keys do not tell 0 from −0, and a quotient does
            if len(self._kept) >= REMEMBERED:
                with suppress(KeyError, StopIteration, RuntimeError):  # another thread was faster
                    del self._kept[next(iter(self._kept))]
            self._kept[tokens] = found
        return found


class _Outputs(NamedTuple):
    """values: (n_probes,) float64, as they are; rounded: their bytes after rounding."""

    values: NDArray[np.float64]
    rounded: bytes


def _on_arrays(primitive: Primitive, operands: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = primitive.numpy(*operands)
    return result


# By identity, because a slot's hash goes over all of its signals; what is kept holds the slot, so nobody gets its id.
_of_slots: dict[int, _Probed] = {}


def _probed(slot: Slot) -> _Probed:
    found = _of_slots.get(id(slot))
    if found is None:
        if len(_of_slots) >= MAX_SLOTS:
            _of_slots.clear()
        found = _of_slots[id(slot)] = _Probed(slot)
    return found


def leaf_outputs(token: Token, slot: Slot) -> NDArray[np.float64]:
    """Values of a signal or a constant on its slot's probe inputs: (n_probes,) float64."""
    return _probed(slot).of_leaf(token)


def digest_of(values: NDArray[np.float64]) -> str:
    """32 hexadecimal digits over rounded outputs: equal for values that count as equal."""
    return hashlib.blake2b(_rounded(values).tobytes(), digest_size=16).hexdigest()


def outputs(tokens: Tokens, slot: Slot) -> NDArray[np.float64]:
    """Values of one expression on its slot's probe inputs: (n_probes,) float64, poles included; not to be written."""
    return _probed(slot).of(tokens).values


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    result = np.where(np.abs(values) < ZERO, 0.0, values)
    regular = np.isfinite(result) & (result != 0)
    numbers = result[regular]
    # Scaled in two steps, because 10**(9 − exponent) alone overflows for the smallest numbers.
    scale = 10.0 ** np.floor(np.log10(np.abs(numbers)))
    mantissa = np.round(numbers / scale, SIGNIFICANT_DIGITS - 1)
    with np.errstate(over="ignore"):
        result[regular] = mantissa * scale
    result[np.isnan(result)] = np.nan  # one bit pattern for every NaN
    return result + 0.0  # −0 becomes 0


def behaviour(rule: Rule) -> str:
    """Identity by behaviour: 32 hexadecimal digits over the rounded outputs of every slot on the probe inputs.

    (R − 1)·E and E·(R − 1)/R² are one behaviour, because R is ±1.
    """
    digest = hashlib.blake2b(rule.task.encode(), digest_size=16)
    for slot, expression in zip(rule.slots, rule.expressions, strict=True):
        digest.update(_probed(slot).of(expression).rounded)
    return digest.hexdigest()


@dataclass(frozen=True)
class KnownRule:
    """A rule of the literature: its name, the rule, where it stands, and the published fitness if there is one."""

    name: str
    rule: Rule
    citation: str
    published: float | None = None


@dataclass(frozen=True)
class Recognition:
    """A rule equals `factor` times the known rule `name` on the probe inputs (1 = equal)."""

    name: str
    factor: float

    def __str__(self) -> str:
        return self.name if self.factor == 1.0 else f"{self.factor:.4g} × {self.name}"


# What a distance between rules is, wherever one is shown.
DISTANCE = "0 is proportional to it over the signals' ranges and 1 has nothing in common"


@dataclass(frozen=True)
class Nearest:
    """The known rule that a rule is most like.

    distance: of the rule's outputs on all probe inputs, the share (in quadrature) that no positive multiple of the
    known rule's gives: 0 for proportional rules, 1 for those that have nothing in common or opposite signs.
    """

    name: str
    distance: float


def _proportional(values: list[NDArray[np.float64]], known: list[NDArray[np.float64]]) -> float | None:
    """The positive factor, one for all slots, with values = factor·known; None if there is none."""
    factor: float | None = None
    for ours, theirs in zip(values, known, strict=True):
        if not np.array_equal(np.isfinite(ours), np.isfinite(theirs)):
            return None
        regular = np.isfinite(ours)
        if not np.array_equal(ours[~regular], theirs[~regular], equal_nan=True):
            return None
        a, b = ours[regular], theirs[regular]
        if not a.any() and not b.any():
            continue  # zero on both sides, as in a slot that does nothing: any factor will do
        if factor is None:
            norm = float(np.dot(b, b))
            if norm == 0.0 or not np.isfinite(norm):
                return None
            factor = float(np.dot(a, b)) / norm
            if not (np.isfinite(factor) and factor > 0):
                return None
        if not np.allclose(a, factor * b, rtol=1e-9, atol=factor * ZERO):
            return None
    return factor


# Of proportional outputs the cosine is 1 but for rounding; of others it is looked at no further.
LEAST_COSINE = 1 - 1e-6


def _direction(values: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The finite outputs of all slots as a vector of length 1 (of zeros if there is no direction)."""
    joined = np.concatenate(values)
    joined[~np.isfinite(joined)] = 0.0
    largest = np.abs(joined).max()
    if largest == 0.0:
        return joined
    joined /= largest  # so that no square overflows
    unit: NDArray[np.float64] = joined / np.sqrt(np.dot(joined, joined))
    return unit


def _all_outputs(rule: Rule) -> list[NDArray[np.float64]]:
    return [outputs(e, slot) for slot, e in zip(rule.slots, rule.expressions, strict=True)]


class Recogniser:
    """Finds the known rule that a rule equals on the probe inputs, up to a positive factor, or is most like."""

    def __init__(self, known_rules: Mapping[str, KnownRule]) -> None:
        self._known = [(name, _all_outputs(known.rule)) for name, known in known_rules.items()]
        self._directions = np.array([_direction(values) for _, values in self._known])

    def recognise(self, rule: Rule) -> Recognition | None:
        """The match, an equal one before one with a factor; None if there is none."""
        if not self._known:
            return None
        values = _all_outputs(rule)
        best: Recognition | None = None
        for index in np.flatnonzero(self._directions @ _direction(values) > LEAST_COSINE):
            name, theirs = self._known[index]
            with np.errstate(all="ignore"):
                factor = _proportional(values, theirs)
            if factor is None:
                continue
            found = Recognition(name, 1.0 if abs(factor - 1.0) < 1e-9 else factor)
            if found.factor == 1.0:
                return found
            best = best or found
        return best

    def nearest(self, rule: Rule) -> Nearest | None:
        """The known rule of the smallest distance, the first of several; None if nothing is like any of them.

        Outputs that are not finite count as 0.
        """
        if not self._known:
            return None
        cosines = self._directions @ _direction(_all_outputs(rule))
        index = int(np.argmax(cosines))
        cosine = float(cosines[index])
        if cosine <= 0.0:
            return None
        return Nearest(self._known[index][0], math.sqrt(max(0.0, 1.0 - cosine * cosine)))


def recognise(rule: Rule, known_rules: Mapping[str, KnownRule]) -> Recognition | None:
    """The known rule that `rule` equals on the probe inputs, up to a positive factor; None if there is none."""
    return Recogniser(known_rules).recognise(rule)
