"""Tokens → text and LaTeX, with only the parentheses that the tree needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ruleforge.language.primitives import ATOM, NEGATION, POWER, PRODUCT, SUM, Primitive
from ruleforge.language.tokens import Token, fold

Piece = tuple[str, int]  # a text and how tightly it binds


def format_number(value: float) -> str:
    """The shortest text that reads back as the same float64: 1, 0.1, 1e-05, -0."""
    if value.is_integer() and abs(value) < 1e16:
        return f"{'-' if math.copysign(1.0, value) < 0 else ''}{abs(int(value))}"
    return repr(value)


def _enclose(piece: Piece, weaker_than: int, left: str = "(", right: str = ")") -> str:
    text, binding = piece
    return f"{left}{text}{right}" if binding < weaker_than else text


def format_expression(tokens: Sequence[Token]) -> str:
    """Text that parses back to exactly these tokens."""

    def leaf(token: Token) -> Piece:
        if isinstance(token, str):
            return token, ATOM
        return format_number(token), NEGATION if math.copysign(1.0, token) < 0 else ATOM

    def node(primitive: Primitive, operands: list[Piece]) -> Piece:
        name, binding = primitive.name, primitive.binding
        if name == "neg":
            # -(2) is the negative of 2, while -2 is the number −2: the parentheses keep the two apart.
            operand = operands[0]
            is_number = operand[0][0].isdigit() and operand[1] == ATOM
            return f"-({operand[0]})" if is_number else f"-{_enclose(operand, NEGATION + 1)}", NEGATION
        if binding == ATOM:
            return f"{name}({', '.join(text for text, _ in operands)})", ATOM
        left, right = operands
        if binding == POWER:
            return f"{_enclose(left, POWER + 1)}**{_enclose(right, POWER)}", POWER
        space = " " if binding == SUM else ""
        # A negation may open a sum or product, nowhere else: a - (-b), a*(-b).
        left_text = _enclose(left, binding)
        right_text = f"({right[0]})" if right[1] in (NEGATION, binding) or right[1] < binding else right[0]
        return f"{left_text}{space}{name}{space}{right_text}", binding

    return fold(tokens, leaf, node)[0]


def format_latex(tokens: Sequence[Token], signals: Mapping[str, str]) -> str:
    """LaTeX of the tree as written; `signals` maps each symbol to its LaTeX."""

    def leaf(token: Token) -> Piece:
        if isinstance(token, str):
            return signals[token], ATOM
        text = format_number(token)
        if "e" in text:
            mantissa, exponent = text.split("e")
            return rf"{mantissa} \times 10^{{{int(exponent)}}}", NEGATION if text.startswith("-") else PRODUCT
        return text, NEGATION if text.startswith("-") else ATOM

    def enclose(piece: Piece, weaker_than: int) -> str:
        return _enclose(piece, weaker_than, r"\left(", r"\right)")

    def node(primitive: Primitive, operands: list[Piece]) -> Piece:
        name, binding = primitive.name, primitive.binding
        if binding == ATOM:
            return primitive.latex.format(*(text for text, _ in operands)), ATOM
        if name == "neg":
            return primitive.latex.format(enclose(operands[0], NEGATION + 1)), NEGATION
        left, right = operands
        if name == "/":
            return primitive.latex.format(left[0], right[0]), PRODUCT
        if binding == POWER:
            return primitive.latex.format(enclose(left, POWER + 1), right[0]), POWER
        right_text = (
            rf"\left({right[0]}\right)"
            if (right[1] in (NEGATION, binding) and not right[0].startswith(r"\frac")) or right[1] < binding
            else right[0]
        )
        left_text = enclose(left, binding)
        if name == "*" and (right_text[0].isdigit() or (left_text[-1].isdigit() and right_text.startswith("-"))):
            return rf"{left_text} \cdot {right_text}", PRODUCT
        return primitive.latex.format(left_text, right_text), binding

    return fold(tokens, leaf, node)[0]
