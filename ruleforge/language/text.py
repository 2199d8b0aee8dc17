"""Tokens → text and LaTeX, with only the parentheses that the tree needs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from ruleforge.language.numbers import format_number, scientific_latex
from ruleforge.language.primitives import ATOM, NEGATION, POWER, PRODUCT, SUM, Primitive
from ruleforge.language.tokens import Token, fold

Piece = tuple[str, int]  # a text and how tightly it binds


def _enclose(piece: Piece, weaker_than: int) -> str:
    text, binding = piece
    return f"({text})" if binding < weaker_than else text


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


class Notation(Protocol):
    """How formulas are set on a page: every method gets and gives markup."""

    def symbol(self, symbol: str) -> Piece:
        """A signal, and how tightly its markup binds."""

    def number(self, digits: str, negative: bool) -> str:
        """A number without its sign, and whether it has one."""

    def scientific(self, digits: str, exponent: int, negative: bool) -> str:
        """A number times a power of ten."""

    def grouped(self, inner: str) -> str:
        """Parentheses that grow with what they hold."""

    def applied(self, primitive: Primitive, operands: list[str], dotted: bool) -> str:
        """An operator on operands that have their parentheses; `dotted`: a product that needs a visible sign."""


def set_formula(tokens: Sequence[Token], notation: Notation) -> str:
    """The tree as written, in a notation that sets quotients as fractions and exponents high."""

    def leaf(token: Token) -> tuple[str, int, bool]:
        if isinstance(token, str):
            return *notation.symbol(token), False
        negative = math.copysign(1.0, token) < 0
        digits, _, exponent = format_number(abs(token)).partition("e")
        if exponent:
            markup = notation.scientific(digits, int(exponent), negative)
            return markup, NEGATION if negative else PRODUCT, not negative
        return notation.number(digits, negative), NEGATION if negative else ATOM, not negative

    def enclosed(piece: tuple[str, int, bool], weaker_than: int) -> tuple[str, bool]:
        markup, binding, digit_first = piece
        return (notation.grouped(markup), False) if binding < weaker_than else (markup, digit_first)

    def node(primitive: Primitive, operands: list[tuple[str, int, bool]]) -> tuple[str, int, bool]:
        name, binding = primitive.name, primitive.binding
        if name == "/":
            # The bar holds its parts together, so that only an exponent needs parentheses around it.
            return notation.applied(primitive, [operand[0] for operand in operands], False), POWER, False
        if binding == ATOM:
            return notation.applied(primitive, [operand[0] for operand in operands], False), ATOM, False
        if name == "neg":
            return notation.applied(primitive, [enclosed(operands[0], NEGATION + 1)[0]], False), NEGATION, False
        left, right = operands
        if binding == POWER:
            base, digit_first = enclosed(left, ATOM)
            return notation.applied(primitive, [base, right[0]], False), POWER, digit_first
        # A negation may open a sum or product, nowhere else.
        first, digit_first = enclosed(left, binding)
        second, dotted = enclosed(right, ATOM if right[1] == NEGATION else binding + 1)
        return notation.applied(primitive, [first, second], dotted and name == "*"), binding, digit_first

    return fold(tokens, leaf, node)[0]


class Latex:
    """LaTeX as mathematics, without delimiters; `signals` maps each symbol to its LaTeX, or to none."""

    def __init__(self, signals: Mapping[str, str]) -> None:
        self._signals = signals

    def symbol(self, symbol: str) -> Piece:
        """As its family writes it."""
        markup = self._signals.get(symbol) or symbol_latex(symbol)
        return markup, POWER if "^" in markup else ATOM

    def number(self, digits: str, negative: bool) -> str:
        """2, −2."""
        return f"-{digits}" if negative else digits

    def scientific(self, digits: str, exponent: int, negative: bool) -> str:
        """2 × 10^{3}."""
        return scientific_latex(self.number(digits, negative), exponent)

    def grouped(self, inner: str) -> str:
        """Growing parentheses."""
        return rf"\left({inner}\right)"

    def applied(self, primitive: Primitive, operands: list[str], dotted: bool) -> str:
        """By the primitive's own template."""
        return rf"{operands[0]} \cdot {operands[1]}" if dotted else primitive.latex.format(*operands)


def symbol_latex(symbol: str) -> str:
    """LaTeX of a name that has none of its own: letters after the first `_` become an upright index."""
    head, _, index = symbol.strip("_").partition("_")
    upright = index.replace("_", r"\,")
    letters = head if len(head) == 1 else rf"\mathrm{{{head}}}"
    return rf"{letters}_{{\mathrm{{{upright}}}}}" if index else letters


def format_latex(tokens: Sequence[Token], signals: Mapping[str, str]) -> str:
    """LaTeX of the tree as written; `signals` maps each symbol to its LaTeX."""
    return set_formula(tokens, Latex(signals))
