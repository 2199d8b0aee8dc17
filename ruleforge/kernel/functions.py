"""Elementary functions that LLVM can vectorise, each with the same bits in every lane width."""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ruleforge.kernel.compiler import kernel


@intrinsic  # type: ignore[untyped-decorator]
def fused_multiply_add(_typing: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c with one rounding (IEEE fusedMultiplyAdd), never left to the compiler's choice."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


@intrinsic  # type: ignore[untyped-decorator]
def shifted_to_exponent(_typing: Any, number: Any) -> Any:
    """The lowest 12 bits of a float64 moved into sign and exponent, the rest zero."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        integer = ir.IntType(64)
        bits = builder.bitcast(arguments[0], integer)
        return builder.bitcast(builder.shl(bits, ir.Constant(integer, 52)), ir.DoubleType())

    return types.float64(types.float64), generate


@intrinsic  # type: ignore[untyped-decorator]
def element(_typing: Any, array: Any, _index: Any) -> Any:
    """array[index] of a contiguous 1-D array of numbers, for an index that is known to be in range.

    Numba takes negative indices to count from the end, and in a short loop that question costs more than the access.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.load(builder.gep(data, [arguments[1]]))

    return array.dtype(types.Array(array.dtype, 1, "C"), types.int64), generate


@intrinsic  # type: ignore[untyped-decorator]
def set_element(_typing: Any, array: Any, _index: Any, _value: Any) -> Any:
    """array[index] = value under the conditions of `element`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        builder.store(arguments[2], builder.gep(data, [arguments[1]]))
        return context.get_dummy_value()

    return types.void(types.Array(array.dtype, 1, "C"), types.int64, array.dtype), generate


LOG2_E = 1.4426950408889634
LN2_HIGH = 6.93147180369123816490e-01  # ln 2 in two parts, the first with 33 bits so that k·LN2_HIGH is exact
LN2_LOW = 1.90821492927058770002e-10
# Adding this rounds to an integer k and leaves k − 1 + 1023, the biased exponent of 2**(k−1), in the lowest bits.
ROUNDER = 1.5 * 2.0**52 + 1022.0
# 2·e**r as a polynomial of r, highest power first: least relative error for |r| ≤ ln 2/2, 3.1e-18 (Remez).
COEFFICIENTS = (
    4.998860654762879e-08,
    5.526461634978897e-07,
    5.511524524094396e-06,
    4.96029729628728e-05,
    0.00039682538864940976,
    0.0027777777902522082,
    0.016666666667118867,
    0.08333333333298526,
    0.3333333333333234,
    1.0000000000000036,
    2.0,
    2.0,
)
LARGEST, SMALLEST = 709.782712893384, -708.0


@kernel(inline=True)
def exponential(x: float) -> float:
    """e**x: error below 1 ulp; 0 below −708 (e**x < 3.4e-308), ∞ above 709.78, NaN for NaN.

    x = k·ln 2 + r with |r| ≤ ln 2/2; 2·e**r by a polynomial, 2**(k−1) by writing its
    exponent.
    """
    rounded = fused_multiply_add(x, LOG2_E, ROUNDER)
    k = rounded - ROUNDER
    r = fused_multiply_add(-k, LN2_HIGH, x)
    r = fused_multiply_add(-k, LN2_LOW, r)
    p = COEFFICIENTS[0]
    for coefficient in COEFFICIENTS[1:]:
        p = fused_multiply_add(p, r, coefficient)
    result = p * shifted_to_exponent(rounded)
    result = 0.0 if x < SMALLEST else result
    return math.inf if x > LARGEST else result
