"""Elementary functions that LLVM can vectorise, each with the same bits in every lane width."""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ruleforge.kernel.compiler import kernel


@intrinsic
def fused_multiply_add(_typing: Any, a: Any, b: Any, c: Any) -> Any:  # noqa: D417
    """a·b + c with one rounding (IEEE fusedMultiplyAdd), never left to the compiler's choice."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


@intrinsic
def power_of_two(_typing: Any, exponent: Any) -> Any:  # noqa: D417
    """2**exponent for an int64 in [−1022, 1023], by writing the bits of the float64."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        integer = ir.IntType(64)
        biased = builder.add(arguments[0], ir.Constant(integer, 1023))
        return builder.bitcast(builder.shl(biased, ir.Constant(integer, 52)), ir.DoubleType())

    return types.float64(types.int64), generate


LOG2_E = 1.4426950408889634
LN2_HIGH = 6.93147180369123816490e-01  # ln 2 in two parts, the first with 33 bits so that k·LN2_HIGH is exact
LN2_LOW = 1.90821492927058770002e-10


@kernel(inline=True)
def exponential(x: float) -> float:
    """e**x: error below 2 ulp for normal results; 0 below −746, ∞ above 709.8, NaN for NaN.

    x = k·ln 2 + r with |r| ≤ ln 2/2; e**r by its Taylor polynomial of degree 13; 2**k in two factors, so that
    results near both ends of the range are reached without a detour.
    """
    clamped = x if x > -746.0 else -746.0
    clamped = clamped if clamped < 710.0 else 710.0
    k = math.floor(fused_multiply_add(clamped, LOG2_E, 0.5))
    r = fused_multiply_add(-k, LN2_HIGH, clamped)
    r = fused_multiply_add(-k, LN2_LOW, r)
    p = 1.6059043836821613e-10  # 1/13!
    p = fused_multiply_add(p, r, 2.08767569878681e-09)
    p = fused_multiply_add(p, r, 2.505210838544172e-08)
    p = fused_multiply_add(p, r, 2.755731922398589e-07)
    p = fused_multiply_add(p, r, 2.7557319223985893e-06)
    p = fused_multiply_add(p, r, 2.48015873015873e-05)
    p = fused_multiply_add(p, r, 0.0001984126984126984)
    p = fused_multiply_add(p, r, 0.001388888888888889)
    p = fused_multiply_add(p, r, 0.008333333333333333)
    p = fused_multiply_add(p, r, 0.041666666666666664)
    p = fused_multiply_add(p, r, 0.16666666666666666)
    p = fused_multiply_add(p, r, 0.5)
    p = fused_multiply_add(p, r, 1.0)
    p = fused_multiply_add(p, r, 1.0)
    whole = int(k)
    half = whole >> 1
    result = p * power_of_two(half) * power_of_two(whole - half)
    return result if x == x else x
