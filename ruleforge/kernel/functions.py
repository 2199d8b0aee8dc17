"""Elementary functions that LLVM can vectorise, each with the same bits in every lane width.

What `emit_…` writes works on one float64 and on a vector of them; `lanes` has the latter.
"""

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


# log((1 + s)/(1 − s)) = 2·s + s·z·P(z) with z = s²: P, highest power first, for |s| ≤ (√2 − 1)/(√2 + 1); least error
# relative to the logarithm, 1.2e-18 (Remez).
LOGARITHM_COEFFICIENTS = (
    0.14795956435058477,
    0.15314049868145785,
    0.18183564353329099,
    0.22222198572653143,
    0.285714287423928,
    0.39999999999414654,
    0.6666666666666734,
)
SMALLEST_NORMAL = 2.2250738585072014e-308
SIGN_BIT, HALF_ROOT_BITS, TWO_TO_52_BITS = 1 << 63, 0x3FE6A09E667F3BCD, 0x4330000000000000  # HALF_ROOT: √2/2


def _constant(like: Any, value: float) -> Any:
    """A float64 as a constant of the type of `like`."""
    vector = isinstance(like.type, ir.VectorType)
    return ir.Constant(like.type, [value] * like.type.count if vector else value)


def _integer(like: Any, value: int) -> Any:
    """An unsigned 64-bit integer as a constant, as many as there are float64 in `like`."""
    vector = isinstance(like.type, ir.VectorType)
    kind = ir.VectorType(ir.IntType(64), like.type.count) if vector else ir.IntType(64)
    return ir.Constant(kind, [value] * like.type.count if vector else value)


def emit_fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    """a·b + c with one rounding."""
    kind = a.type
    name = f"llvm.fma.v{kind.count}f64" if isinstance(kind, ir.VectorType) else "llvm.fma.f64"
    function = builder.module.declare_intrinsic(name, (), ir.FunctionType(kind, (kind, kind, kind)))
    return builder.call(function, (a, b, c))


def _polynomial(builder: Any, x: Any, coefficients: tuple[float, ...]) -> Any:
    value = _constant(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = emit_fused(builder, value, x, _constant(x, coefficient))
    return value


def emit_bounded_exponential(builder: Any, x: Any) -> Any:
    """e**x for SMALLEST ≤ x ≤ LARGEST; what it gives for others is without meaning.

    x = k·ln 2 + r with |r| ≤ ln 2/2; 2·e**r by a polynomial, 2**(k−1) by writing its exponent.
    """
    rounded = emit_fused(builder, x, _constant(x, LOG2_E), _constant(x, ROUNDER))
    k = builder.fsub(rounded, _constant(x, ROUNDER))
    r = emit_fused(builder, k, _constant(x, -LN2_HIGH), x)
    r = emit_fused(builder, k, _constant(x, -LN2_LOW), r)
    bits = builder.bitcast(rounded, _integer(x, 0).type)
    power = builder.bitcast(builder.shl(bits, _integer(x, 52)), x.type)
    return builder.fmul(_polynomial(builder, r, COEFFICIENTS), power)


def emit_exponential(builder: Any, x: Any) -> Any:
    """e**x for every x; see `exponential`."""
    result = emit_bounded_exponential(builder, x)
    below = builder.fcmp_ordered("<", x, _constant(x, SMALLEST))
    result = builder.select(below, _constant(x, 0.0), result)
    above = builder.fcmp_ordered(">", x, _constant(x, LARGEST))
    return builder.select(above, _constant(x, math.inf), result)


def emit_logarithm(builder: Any, x: Any) -> Any:
    """log x for every x; see `logarithm`.

    x = 2**k·(1 + f) with √2/2 ≤ 1 + f < √2, and log(1 + f) by the series of its area tangent, s = f/(2 + f), in the
    order of summation of fdlibm's e_log.c (Sun Microsystems 1993): f − (f²/2 − s·(f²/2 + z·P(z))).
    """
    small = builder.fcmp_ordered("<", x, _constant(x, SMALLEST_NORMAL))
    scaled = builder.select(small, builder.fmul(x, _constant(x, 2.0**54)), x)
    bits = builder.bitcast(scaled, _integer(x, 0).type)
    # k + 2048 in the lowest bits; made a float64 by writing it into the fraction of 2**52, which any processor can.
    raised = builder.lshr(builder.add(bits, _integer(x, SIGN_BIT - HALF_ROOT_BITS)), _integer(x, 52))
    k = builder.bitcast(builder.or_(raised, _integer(x, TWO_TO_52_BITS)), x.type)
    offset = builder.select(small, _constant(x, 2.0**52 + 2048 + 54), _constant(x, 2.0**52 + 2048))
    k = builder.fsub(k, offset)
    lowered = builder.sub(bits, builder.shl(raised, _integer(x, 52)))
    f = builder.fsub(builder.bitcast(builder.add(lowered, _integer(x, SIGN_BIT)), x.type), _constant(x, 1.0))
    s = builder.fdiv(f, builder.fadd(f, _constant(x, 2.0)))
    z = builder.fmul(s, s)
    half_square = builder.fmul(builder.fmul(f, _constant(x, 0.5)), f)
    series = emit_fused(builder, z, _polynomial(builder, z, LOGARITHM_COEFFICIENTS), half_square)
    correction = emit_fused(builder, s, series, builder.fmul(k, _constant(x, LN2_LOW)))
    of_mantissa = builder.fsub(f, builder.fsub(half_square, correction))
    result = emit_fused(builder, k, _constant(x, LN2_HIGH), of_mantissa)
    ordinary = builder.fcmp_ordered("<", x, _constant(x, math.inf))
    result = builder.select(ordinary, result, x)  # ∞ and NaN stay what they are
    positive = builder.fcmp_unordered(">", x, _constant(x, 0.0))
    zero = builder.fcmp_ordered("==", x, _constant(x, 0.0))
    pole = builder.select(zero, _constant(x, -math.inf), _constant(x, math.nan))
    return builder.select(positive, result, pole)


@intrinsic  # type: ignore[untyped-decorator]
def _exponential(_typing: Any, _x: Any) -> Any:
    return types.float64(types.float64), lambda _context, builder, _signature, given: emit_exponential(builder, *given)


@intrinsic  # type: ignore[untyped-decorator]
def _logarithm(_typing: Any, _x: Any) -> Any:
    return types.float64(types.float64), lambda _context, builder, _signature, given: emit_logarithm(builder, *given)


@kernel(inline=True)
def exponential(x: float) -> float:
    """e**x: error below 1 ulp; 0 below −708 (e**x < 3.4e-308), ∞ above 709.78, NaN for NaN."""
    result: float = _exponential(x)
    return result


@kernel(inline=True)
def logarithm(x: float) -> float:
    """Natural logarithm: error below 1 ulp; −∞ for 0 and −0, NaN for less and for NaN, ∞ for ∞."""
    result: float = _logarithm(x)
    return result
