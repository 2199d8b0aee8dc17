"""Sixteen float64 side by side as one value inside compiled kernels, so that vector code does not rest on luck.

Left to itself, the compiler vectorises a loop only where it can prove, or check on every entry, that its arrays do not
overlap. A `Lanes` value says it outright. All arithmetic is plain IEEE, lane by lane.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

from ruleforge.kernel.functions import emit_bounded_exponential, emit_exponential, emit_fused, emit_logarithm

LANES = 16
CACHE_LINE = 64  # bytes
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)


def aligned_zeros(*shape: int) -> NDArray[np.float64]:
    """Zeros that begin on a cache line, so that no vector of the processor lies across two."""
    n_values, spare = math.prod(shape), CACHE_LINE // 8
    array = np.zeros(n_values + spare)
    first = -array.__array_interface__["data"][0] % CACHE_LINE // 8
    return array[first : first + n_values].reshape(shape)


class LanesType(types.Type):  # type: ignore[misc]
    """Numba's type of sixteen float64."""

    def __init__(self) -> None:
        super().__init__(name="Lanes")


LANES_TYPE = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VECTOR)


def _intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    compiled: Callable[..., Any] = intrinsic(function)
    return compiled


def _address(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, arguments[0])
    return builder.bitcast(builder.gep(array.data, [arguments[1]]), _VECTOR.as_pointer())


@_intrinsic
def load(_typing: Any, _array: Any, _offset: Any) -> Any:
    """array[offset : offset + 16] of a contiguous 1-D float64 array; the bounds are the caller's to keep."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_address(context, builder, signature, arguments), align=8)

    return LANES_TYPE(types.Array(types.float64, 1, "C"), types.int64), generate


@_intrinsic
def store(_typing: Any, _array: Any, _offset: Any, _value: Any) -> Any:
    """array[offset : offset + 16] = value; the bounds are the caller's to keep."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.store(arguments[2], _address(context, builder, signature, arguments), align=8)
        return context.get_dummy_value()

    return types.void(types.Array(types.float64, 1, "C"), types.int64, LANES_TYPE), generate


@_intrinsic
def broadcast(_typing: Any, _value: Any) -> Any:
    """The same float64 in every lane."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), arguments[0], ir.IntType(32)(0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), mask)

    return LANES_TYPE(types.float64), generate


def _binary(method: str, meaning: str) -> Callable[..., Any]:
    def function(_typing: Any, _a: Any, _b: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return getattr(builder, method)(*arguments)

        return LANES_TYPE(LANES_TYPE, LANES_TYPE), generate

    function.__name__, function.__doc__ = method, meaning
    return _intrinsic(function)


def _unary(name: str, emit: Callable[[Any, Any], Any], meaning: str) -> Callable[..., Any]:
    def function(_typing: Any, _a: Any) -> Any:
        def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            return emit(builder, arguments[0])

        return LANES_TYPE(LANES_TYPE), generate

    function.__name__, function.__doc__ = name, meaning
    return _intrinsic(function)


add = _binary("fadd", "a + b")
subtract = _binary("fsub", "a − b")
multiply = _binary("fmul", "a·b")
divide = _binary("fdiv", "a/b, IEEE")
negate = _unary("negate", lambda builder, a: builder.fneg(a), "−a")
exponential = _unary("exponential", emit_exponential, "e**a, the bits of functions.exponential")
logarithm = _unary("logarithm", emit_logarithm, "log a, the bits of functions.logarithm")


def _selected(builder: Any, comparison: str, a: Any, b: Any) -> Any:
    """a where a compares so with b, else b, NaN included: one instruction on processors with such a minimum."""
    return builder.select(builder.fcmp_ordered(comparison, a, b), a, b)


@_intrinsic
def multiply_add(_typing: Any, _a: Any, _b: Any, _c: Any) -> Any:
    """multiply_add(a, b, c) = a·b + c with one rounding."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return emit_fused(builder, *arguments)

    return LANES_TYPE(LANES_TYPE, LANES_TYPE, LANES_TYPE), generate


@_intrinsic
def negated_multiply_add(_typing: Any, _a: Any, _b: Any, _c: Any) -> Any:
    """negated_multiply_add(a, b, c) = c − a·b with one rounding."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return emit_fused(builder, builder.fneg(arguments[0]), arguments[1], arguments[2])

    return LANES_TYPE(LANES_TYPE, LANES_TYPE, LANES_TYPE), generate


@_intrinsic
def zero_unless_at_least(_typing: Any, _a: Any, _b: Any, _value: Any) -> Any:
    """The value in lanes where a ≥ b, 0 in the others."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        a, b, value = arguments
        return builder.select(builder.fcmp_ordered(">=", a, b), value, ir.Constant(_VECTOR, [0.0] * LANES))

    return LANES_TYPE(LANES_TYPE, LANES_TYPE, LANES_TYPE), generate


@_intrinsic
def any_at_most_zero(_typing: Any, _a: Any) -> Any:
    """Some lane is ≤ 0."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        mask = builder.fcmp_ordered("<=", arguments[0], ir.Constant(_VECTOR, [0.0] * LANES))
        bits = builder.bitcast(mask, ir.IntType(LANES))
        return builder.zext(builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(LANES), 0)), ir.IntType(8))

    return types.int8(LANES_TYPE), generate


@_intrinsic
def at_least(_typing: Any, _floor: Any, _value: Any) -> Any:
    """The larger of floor and value; NaN where the value is."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _selected(builder, ">", *arguments)

    return LANES_TYPE(LANES_TYPE, LANES_TYPE), generate


@_intrinsic
def at_most(_typing: Any, _ceiling: Any, _value: Any) -> Any:
    """The smaller of ceiling and value; NaN where the value is."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _selected(builder, "<", *arguments)

    return LANES_TYPE(LANES_TYPE, LANES_TYPE), generate


@_intrinsic
def where_greater(_typing: Any, _value: Any, _otherwise: Any) -> Any:
    """The value where it is greater than the other, else the other, so that no NaN of the value stays."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return _selected(builder, ">", *arguments)

    return LANES_TYPE(LANES_TYPE, LANES_TYPE), generate


@_intrinsic
def exponential_lanes(_typing: Any, _x: Any) -> Any:
    """e**x lane by lane, as `functions.exponential`, but for x < −300, where it gives e**−300; ∞ above 709.78.

    The floor keeps what is made of the result away from subnormal numbers, which cost several times as much.
    """

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        def constant(value: float) -> Any:
            return ir.Constant(_VECTOR, [value] * LANES)

        x = _selected(builder, ">", constant(-300.0), arguments[0])
        return emit_bounded_exponential(builder, _selected(builder, "<", constant(710.0), x))

    return LANES_TYPE(LANES_TYPE), generate
