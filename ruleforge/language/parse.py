"""Text → tokens: a recursive-descent parser over a bounded grammar. Nothing that it reads is ever executed.

rule       = slot { ";" slot }          slot = [ name ":" ] sum
sum        = product { ("+" | "-") product }
product    = negation { ("*" | "/") negation }
negation   = "-" negation | "+" negation | power
power      = atom [ "**" negation ]      (binds to the right, tighter than a minus on its left)
atom       = number | signal | function "(" sum { "," sum } ")" | "(" sum ")"
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ruleforge.errors import RuleSyntaxError, unknown_name
from ruleforge.language.primitives import ALIASES, FUNCTIONS, PRIMITIVES
from ruleforge.language.tokens import MAX_DEPTH, MAX_NODES, Token, Tokens, depth

MAX_BYTES = 4096

_LEXEME = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<name>[A-Za-z_][A-Za-z_0-9]*)|(?P<operator>\*\*|[-+*/^(),−×·÷]))"
)
_SLOT = re.compile(r"\s*([A-Za-z_][A-Za-z_0-9]*)\s*:")


@dataclass(frozen=True)
class Lexeme:
    """A piece of text: kind is number, name, operator or end; start its offset in the whole text."""

    kind: str
    text: str
    start: int


def _lexemes(text: str, start: int, end: int) -> list[Lexeme]:
    lexemes: list[Lexeme] = []
    position = start
    while text[position:end].strip():
        match = _LEXEME.match(text, position, end)
        if match is None:
            place = position + len(text[position:end]) - len(text[position:end].lstrip())
            raise RuleSyntaxError(
                f"unexpected character {text[place]!r}: a rule is made of numbers, signals, the operators + - * / ** "
                "and parentheses",
                text=text,
                position=place,
            )
        kind = str(match.lastgroup)
        piece = match.group(kind)
        lexemes.append(Lexeme(kind, ALIASES.get(piece, piece) if kind == "operator" else piece, match.start(kind)))
        position = match.end()
    lexemes.append(Lexeme("end", "", end))
    return lexemes


class _Parser:
    def __init__(self, text: str, start: int, end: int, slot: str, signals: Sequence[str]) -> None:
        self.text, self.slot, self.signals = text, slot, signals
        self.lexemes = _lexemes(text, start, end)
        self.index = 0
        # Parentheses and calls, and signs and powers, are counted apart: a tree of MAX_DEPTH levels never needs more
        # of either when it is written out, and Python's own stack is never at risk.
        self.nesting = {"parenthesis": 0, "prefix": 0}

    @property
    def next(self) -> Lexeme:
        return self.lexemes[self.index]

    def take(self, *operators: str) -> Lexeme | None:
        lexeme = self.next
        if lexeme.kind == "operator" and lexeme.text in operators:
            self.index += 1
            return lexeme
        return None

    def refuse(self, message: str, lexeme: Lexeme) -> RuleSyntaxError:
        return RuleSyntaxError(message, text=self.text, position=lexeme.start)

    def expect(self, operator: str, after: str) -> None:
        lexeme = self.next
        if self.take(operator) is None:
            came = f"{lexeme.text!r}" if lexeme.text else "the end"
            raise self.refuse(f"expected {operator!r} {after}, and {came} came", lexeme)

    def enter(self, kind: str, lexeme: Lexeme) -> None:
        self.nesting[kind] += 1
        if self.nesting[kind] > MAX_DEPTH:
            raise self.refuse(f"the rule is nested too deeply: at most {MAX_DEPTH} levels are allowed", lexeme)

    def expression(self) -> Tokens:
        tokens = self.sum()
        rest = self.next
        if rest.kind != "end":
            raise self.refuse(
                f"expected an operator or the end, and {rest.text!r} came (products are written with *)", rest
            )
        if len(tokens) > MAX_NODES:
            raise self.refuse(f"the rule has {len(tokens)} nodes: at most {MAX_NODES} are allowed", self.lexemes[0])
        if (height := depth(tokens)) > MAX_DEPTH:
            raise self.refuse(f"the rule is {height} levels deep: at most {MAX_DEPTH} are allowed", self.lexemes[0])
        return tokens

    def sum(self) -> Tokens:
        left = self.product()
        while operator := self.take("+", "-"):
            left = (operator.text, *left, *self.product())
        return left

    def product(self) -> Tokens:
        left = self.negation()
        while operator := self.take("*", "/"):
            left = (operator.text, *left, *self.negation())
        return left

    def negation(self) -> Tokens:
        sign = self.take("-", "+")
        if sign is None:
            return self.power()
        self.enter("prefix", sign)
        number = self.next
        operand = self.negation()
        self.nesting["prefix"] -= 1
        if sign.text == "+":
            return operand
        if number.kind == "number" and len(operand) == 1:  # -2 is a number; -(2), -x and -2**x are negations
            return (-self.number(number),)
        return ("neg", *operand)

    def power(self) -> Tokens:
        base = self.atom()
        operator = self.take("**")
        if operator is None:
            return base
        self.enter("prefix", operator)
        exponent = self.negation()
        self.nesting["prefix"] -= 1
        return ("**", *base, *exponent)

    def number(self, lexeme: Lexeme) -> float:
        value = float(lexeme.text)
        if not math.isfinite(value):
            raise self.refuse(f"the number {lexeme.text} is too large for a float64 (at most 1.8e308)", lexeme)
        return value

    def atom(self) -> Tokens:
        lexeme = self.next
        self.index += 1
        if lexeme.kind == "number":
            return (self.number(lexeme),)
        if lexeme.kind == "name":
            function = ALIASES.get(lexeme.text, lexeme.text)
            if function in FUNCTIONS or function in PRIMITIVES:
                return self.call(lexeme, function)
            if lexeme.text not in self.signals:
                message = unknown_name("name", lexeme.text, self.signals)
                functions = ", ".join(sorted(FUNCTIONS))
                raise self.refuse(
                    f"{message.rstrip()} (signals of slot {self.slot!r}; functions are {functions})", lexeme
                )
            return (lexeme.text,)
        if lexeme.kind == "operator" and lexeme.text == "(":
            self.enter("parenthesis", lexeme)
            inner = self.sum()
            self.expect(")", "to close the parenthesis")
            self.nesting["parenthesis"] -= 1
            return inner
        came = f"{lexeme.text!r}" if lexeme.text else "the end"
        self.index -= 1
        raise self.refuse(
            f"expected a number, a signal ({', '.join(self.signals)}), a function or '(', and {came} came", lexeme
        )

    def call(self, lexeme: Lexeme, function: str) -> Tokens:
        self.enter("parenthesis", lexeme)
        self.expect("(", f"after the function {lexeme.text!r}")
        operands: list[Tokens] = [self.sum()]
        while self.take(","):
            operands.append(self.sum())
        self.expect(")", f"to close {lexeme.text!r}(")
        self.nesting["parenthesis"] -= 1
        arity = PRIMITIVES[function].arity
        if len(operands) != arity:
            raise self.refuse(f"{lexeme.text!r} takes {arity} argument(s), and {len(operands)} came", lexeme)
        result: list[Token] = [function]
        for operand in operands:
            result.extend(operand)
        return tuple(result)


def parse_rule(text: str, slots: Sequence[tuple[str, Sequence[str]]]) -> dict[str, Tokens]:
    """Parse the text of a rule.

    text: `dw: (R - 1)*E`, `depress: …; facilitate: …`; a lone slot's name may be left out.
    slots: (name, symbols of its signals) of each slot. Returns the tokens of every slot.
    Raises RuleSyntaxError, which says what was refused, where, and what is allowed.
    """
    if not isinstance(text, str):
        raise RuleSyntaxError(f"a rule is a text, and a {type(text).__name__} came", text="", position=0)
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_BYTES:
        raise RuleSyntaxError(f"the rule is {size} bytes long: at most {MAX_BYTES} are allowed", text=text, position=0)
    names = [name for name, _ in slots]
    example = "; ".join(f"{name}: …" for name in names)
    if not text.strip():
        raise RuleSyntaxError(f"the rule is empty: expected an expression, as in '{example}'", text=text, position=0)
    found: dict[str, Tokens] = {}
    position = 0
    while position <= len(text):
        end = text.find(";", position)
        end = len(text) if end < 0 else end
        start = end - len(text[position:end].lstrip())
        label = _SLOT.match(text, position, end)
        if label is not None:
            name, begin = label.group(1), label.end()
            if name not in names:
                raise RuleSyntaxError(unknown_name("slot", name, names), text=text, position=label.start(1))
        elif len(names) == 1:
            name, begin = names[0], position
        elif text[position:end].strip():
            raise RuleSyntaxError(
                f"each expression needs its slot's name: expected '{example}'", text=text, position=start
            )
        else:
            position = end + 1
            continue
        if name in found:
            if not text[begin:end].strip() and label is None:  # a closing semicolon
                position = end + 1
                continue
            raise RuleSyntaxError(f"slot {name!r} is given twice", text=text, position=start)
        signals = next(symbols for slot, symbols in slots if slot == name)
        found[name] = _Parser(text, begin, end, name, signals).expression()
        position = end + 1
    missing = [name for name in names if name not in found]
    if missing:
        raise RuleSyntaxError(f"slot {missing[0]!r} is missing: expected '{example}'", text=text, position=len(text))
    return {name: found[name] for name in names}
