"""Tokens ⇄ sympy, and the reference backend: the sympy tree compiled to numpy.

Two readings of one tree. `to_sympy` gives ordinary sympy algebra, for people who want to go on with it. The reference
backend keeps every operator as an opaque sympy function, because sympy's own Add and Mul reorder, fold and cancel,
and the value of a rule near a pole depends on its form.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from ruleforge.errors import InputError
from ruleforge.language.primitives import PRIMITIVES, Primitive, apply
from ruleforge.language.tokens import Token, Tokens, fold

_OPAQUE: Mapping[str, Any] = {
    name: sympy.Function(f"primitive_{primitive.opcode}") for name, primitive in PRIMITIVES.items()
}
_NUMPY: Mapping[str, Callable[..., Any]] = {
    f"primitive_{primitive.opcode}": primitive.numpy for primitive in PRIMITIVES.values()
}
# Powers of numbers are exact in sympy up to this exponent and this many bits.
EXACT_EXPONENT, EXACT_BITS = 64, 1024
_BY_SYMPY_NAME = {primitive.sympy: name for name, primitive in PRIMITIVES.items() if primitive.sympy}


def _number(value: float) -> Any:
    return sympy.Integer(int(value)) if value.is_integer() and abs(value) < 2**53 else sympy.Float(value, 17)


def _symbol(name: str) -> Any:
    return sympy.Symbol(name, real=True)


def _computed(primitive: Primitive, operands: list[Any]) -> Any:
    """What a rule computes from these numbers, a float64."""
    return _number(float(apply(primitive, [np.float64(operand) for operand in operands])))


def _power(base: Any, exponent: Any) -> Any:
    """The power in sympy, exact where that is small.

    sympy writes 9**9**9 out, with its 370 million digits, and 2**(10**9)·x**(10**9) for (2·x)**(10**9). So large
    exponents become floats, and large powers of numbers become what the rule computes, a float64.

    The language's power of a negative base is the real part alone, so that sympy's x**a·x**b = x**(a + b) would be
    wrong for it; of a real part sympy assumes nothing of the kind. Whole exponents, and bases that are never negative,
    need none.
    """
    coefficient = base.as_coeff_Mul()[0]
    digits = max(coefficient.p.bit_length(), coefficient.q.bit_length()) if coefficient.is_Rational else 0
    exact = exponent.is_Integer and abs(exponent) <= EXACT_EXPONENT and digits * abs(int(exponent)) <= EXACT_BITS
    if not exponent.is_number and not (exponent.is_integer or base.is_nonnegative):
        return sympy.re(base**exponent)
    if exact or not exponent.is_number or not exponent.is_extended_real:
        return base**exponent
    if base.is_number and base.is_extended_real:
        return _computed(PRIMITIVES["**"], [base, exponent])
    power = base ** (sympy.Float(exponent, 17) if exponent.is_Rational else exponent)
    return power if _is_whole(exponent) or base.is_nonnegative else sympy.re(power)


def _is_whole(exponent: Any) -> bool:
    return bool(exponent.is_integer or (exponent.is_Float and exponent == int(exponent)))


def to_sympy(tokens: Sequence[Token]) -> Any:
    """The expression in ordinary sympy algebra, over real symbols. sympy may order and combine terms.

    Raises InputError if sympy has no such expression.
    """

    def node(primitive: Primitive, operands: list[Any]) -> Any:
        match primitive.name:
            case "+":
                return operands[0] + operands[1]
            case "-":
                return operands[0] - operands[1]
            case "*":
                return operands[0] * operands[1]
            case "/":
                return operands[0] / operands[1]
            case "**":
                return _power(*operands)
            case "exp" if operands[0].is_number and operands[0].is_extended_real and abs(operands[0]) > EXACT_EXPONENT:
                return _computed(primitive, operands)
            case "neg":
                return -operands[0]
        return getattr(sympy, primitive.sympy)(*operands)

    try:
        return fold(tokens, lambda token: _symbol(token) if isinstance(token, str) else _number(token), node)
    except (TypeError, ValueError) as error:  # min(1/0, w): sympy's 1/0 is complex and has no order
        raise InputError(f"sympy cannot write this rule ({error}): use to_numpy for its values") from None


def from_sympy(expression: Any, signals: Sequence[str]) -> Tokens:
    """Tokens of a sympy expression: n-ary sums and products become left-leaning binary trees, x·y⁻¹ becomes x/y.

    Raises InputError for symbols that are not in `signals` and for functions that the language does not have.
    """

    def chain(name: str, parts: list[Tokens]) -> Tokens:
        result = parts[0]
        for part in parts[1:]:
            result = (name, *result, *part)
        return result

    def convert(node: Any) -> Tokens:
        if node.is_Symbol:
            if node.name not in signals:
                raise InputError(f"the expression reads {node.name!r}: expected only {', '.join(signals)}")
            return (node.name,)
        if node.is_number and node.is_real and not node.args:
            return (float(node),)
        if node.is_Rational:
            return (float(node),)
        if node.is_Add:
            result: Tokens = ()
            for term in node.as_ordered_terms():
                coefficient, rest = term.as_coeff_Mul()
                if not result:
                    result = convert(term)
                elif coefficient.is_negative:
                    result = ("-", *result, *convert(-coefficient * rest))
                else:
                    result = ("+", *result, *convert(term))
            return result
        if node.is_Mul:
            if node.args[0] == -1:
                return ("neg", *convert(sympy.Mul(*node.args[1:])))
            above, below = _fraction(node)
            result = chain("*", [convert(factor) for factor in above]) if above else (1.0,)
            return ("/", *result, *chain("*", [convert(factor) for factor in below])) if below else result
        if node.is_Pow:
            if node.exp.is_Rational and node.exp.q == 2:  # powers of sqrt, which has no value below 0
                root = ("sqrt", *convert(node.base))
                power = root if abs(node.exp.p) == 1 else ("**", *root, float(abs(node.exp.p)))
                return power if node.exp.is_positive else ("/", 1.0, *power)
            if node.exp.is_number and node.exp.is_negative and _is_whole(node.exp):
                return ("/", 1.0, *convert(node.base**-node.exp))
            return ("**", *convert(node.base), *convert(node.exp))
        if node.func == sympy.re:
            (part,) = node.args
            return ("**", *convert(part.base), *convert(part.exp)) if part.is_Pow else convert(part)
        name = _BY_SYMPY_NAME.get(node.func.__name__)
        if name is None:
            raise InputError(
                f"the expression holds {node.func.__name__}: expected one of {', '.join(sorted(_BY_SYMPY_NAME))}"
            )
        operands = [convert(operand) for operand in node.args]
        return chain(name, operands) if PRIMITIVES[name].arity == 2 else (name, *operands[0])

    return (float(expression),) if isinstance(expression, (int, float)) else convert(expression)


def _fraction(product: Any) -> tuple[list[Any], list[Any]]:
    """The factors of a product above and below the line; below only where 1/x**e is x**(−e) for negative x too."""
    above, below = [], []
    for factor in product.as_ordered_factors():
        if factor.is_Rational and factor.q != 1:
            above += [sympy.Integer(factor.p)] if factor.p != 1 else []
            below.append(sympy.Integer(factor.q))
        elif (
            factor.is_Pow
            and factor.exp.is_number
            and factor.exp.is_negative
            and (_is_whole(factor.exp) or (factor.exp.is_Rational and factor.exp.q == 2))
        ):
            below.append(factor.base**-factor.exp)
        else:
            above.append(factor)
    return above, below


def to_numpy(tokens: Sequence[Token], signals: Sequence[str]) -> Callable[..., NDArray[np.float64]]:
    """Compile to a numpy function of the signals, given by keyword; this defines what a rule means.

    IEEE semantics, silent at poles. The one place where generated code is executed: sympy's printer writes it, from
    opaque functions named by opcode, validated symbols and floats, so that no text of a user reaches it.
    """
    constants: list[float] = []

    def leaf(token: Token) -> Any:
        if isinstance(token, str):
            return sympy.Symbol(f"signal_{list(signals).index(token)}")
        constants.append(token)
        return sympy.Symbol(f"constant_{len(constants) - 1}")

    tree = fold(tokens, leaf, lambda primitive, operands: _OPAQUE[primitive.name](*operands))
    arguments = [sympy.Symbol(f"signal_{i}") for i in range(len(signals))]
    arguments += [sympy.Symbol(f"constant_{i}") for i in range(len(constants))]
    compiled = sympy.lambdify(arguments, tree, modules=[dict(_NUMPY)])
    used = {token for token in tokens if isinstance(token, str) and token not in PRIMITIVES}

    def function(**values: Any) -> NDArray[np.float64]:
        absent = used - values.keys()
        if absent or (foreign := values.keys() - set(signals)):
            wrong = f"{sorted(absent)} missing" if absent else f"{sorted(foreign)} unknown"
            raise InputError(f"the rule takes the signals {', '.join(signals)} by keyword: {wrong}")
        arrays = {name: np.asarray(value, dtype=np.float64) for name, value in values.items()}
        shape = np.broadcast_shapes(*(array.shape for array in arrays.values()))
        # Whole arrays for constants too: numpy takes powers by the scalars 2, −1 and 0.5 another way, with other bits.
        leaves = [arrays.get(name, np.float64(0.0)) for name in signals] + list(map(np.float64, constants))
        with np.errstate(all="ignore"):
            result: NDArray[np.float64] = compiled(*(np.full(shape, leaf).reshape(-1) for leaf in leaves))
        return result.reshape(shape).copy()

    return function
