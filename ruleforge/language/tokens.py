"""Expressions as tokens: a tuple in prefix order of operator names, signal symbols (str) and constants (float).

`(R - 1)*E` is `("*", "-", "R", 1.0, "E")`: the binary tree exactly as written. It is what is stored, sent to workers
and compiled; every other form derives from it by one `fold`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from ruleforge.errors import InputError
from ruleforge.language.primitives import PRIMITIVES, Primitive

Token = str | float
Tokens = tuple[Token, ...]
Result = TypeVar("Result")

MAX_NODES = 200
MAX_DEPTH = 32


def fold(
    tokens: Sequence[Token],
    leaf: Callable[[Token], Result],
    node: Callable[[Primitive, list[Result]], Result],
) -> Result:
    """Evaluate an expression bottom-up: `leaf` of each signal or constant, `node` of each operator and its operands."""
    stack: list[Result] = []
    for token in reversed(tokens):
        primitive = PRIMITIVES.get(token) if isinstance(token, str) else None
        if primitive is None:
            stack.append(leaf(token))
        else:
            operands = [stack.pop() for _ in range(primitive.arity)]
            stack.append(node(primitive, operands))
    (result,) = stack
    return result


def depth(tokens: Sequence[Token]) -> int:
    """Height of the tree; a single leaf has 1."""
    heights: list[int] = []  # `fold` for what is asked of every offspring
    for token in reversed(tokens):
        primitive = PRIMITIVES.get(token) if isinstance(token, str) else None
        if primitive is None:
            heights.append(1)
        elif primitive.arity == 1:
            heights[-1] += 1
        else:
            last = primitive.arity - 1
            highest = max(heights[-1 - last :])
            del heights[len(heights) - last :]
            heights[-1] = 1 + highest
    (height,) = heights
    return height


def canonical(tokens: Sequence[Token]) -> Tokens:
    """The same tree with the operands of + and × in a fixed order, which changes no bit of its value."""

    def order(operand: Tokens) -> tuple[int, list[tuple[bool, str]]]:
        return len(operand), [
            (isinstance(token, str), token if isinstance(token, str) else repr(token)) for token in operand
        ]

    def node(primitive: Primitive, operands: list[Tokens]) -> Tokens:
        if primitive.commutative:
            operands = sorted(operands, key=order)
        return (primitive.name, *(token for operand in operands for token in operand))

    return fold(tokens, lambda token: (token,), node)


def _finite(token: object) -> float | None:
    if type(token) is float:
        return token if math.isfinite(token) else None
    if isinstance(token, bool) or not isinstance(token, (int, float)):
        return None
    try:
        number = float(token)
    except OverflowError:  # an integer beyond the range of float64
        return None
    return number if math.isfinite(number) else None


def checked(tokens: Sequence[object], signals: Sequence[str]) -> Tokens:
    """Validate tokens from outside (JSON): known names, finite constants, one complete tree, the size limits."""
    if not isinstance(tokens, (list, tuple)):
        raise InputError(f"an expression is a list of tokens, and {type(tokens).__name__} came")
    if not 1 <= len(tokens) <= MAX_NODES:
        raise InputError(f"an expression has 1 to {MAX_NODES} nodes, and {len(tokens)} came")
    missing = 1
    result: list[Token] = []
    for index, token in enumerate(tokens):
        if missing == 0:
            raise InputError(f"the expression is complete before token {index} ({token!r}): remove what follows")
        missing -= 1
        if isinstance(token, str):
            primitive = PRIMITIVES.get(token)
            if primitive is not None:
                missing += primitive.arity
            elif token not in signals:
                raise InputError(
                    f"token {index} is {token!r}: expected an operator, a number or one of {', '.join(signals)}"
                )
            result.append(token)
        elif (number := _finite(token)) is not None:
            result.append(number)
        else:
            raise InputError(f"token {index} is {token!r}: expected an operator, a signal or a finite number")
    if missing:
        raise InputError(f"the expression ends early: {missing} more operand(s) expected")
    # Nothing is deeper than it has nodes, and most rules have fewer than that.
    if len(result) > MAX_DEPTH and (height := depth(result)) > MAX_DEPTH:
        raise InputError(f"the expression is {height} levels deep: at most {MAX_DEPTH} are allowed")
    return tuple(result)
