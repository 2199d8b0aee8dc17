"""Templates with holes: `E * ?` lets a search fill in what E is multiplied by, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from ruleforge.errors import InputError
from ruleforge.language.parse import parse_rule
from ruleforge.language.primitives import PRIMITIVES
from ruleforge.language.signals import Slot
from ruleforge.language.tokens import Token, Tokens

HOLE = "?"
# What stands for a hole while the text is parsed: a name that no signal has.
_STAND_IN = "hole_to_be_filled"


class Template:
    """The expression of a slot with `n_holes` holes, numbered from left to right; without a text: one hole alone."""

    def __init__(self, slot: Slot, text: str = HOLE) -> None:
        if HOLE not in text or _STAND_IN in text:
            raise InputError(f"the template {text!r} has no hole: write {HOLE} where the search shall fill in")
        symbols = (*slot.symbols, _STAND_IN)
        parsed = parse_rule(text.replace(HOLE, f" {_STAND_IN} "), [(slot.name, symbols)])[slot.name]
        self._tokens: Tokens = tuple(HOLE if token == _STAND_IN else token for token in parsed)
        self.n_holes = self._tokens.count(HOLE)

    def fill(self, expressions: Sequence[Tokens]) -> Tokens:
        """The slot's expression with these in the holes."""
        if self._tokens == (HOLE,):
            return expressions[0]
        parts = iter(expressions)
        filled: list[Token] = []
        for token in self._tokens:
            filled += next(parts) if token == HOLE else [token]
        return tuple(filled)

    def holes_of(self, expression: Tokens) -> list[Tokens] | None:
        """What fills the holes in an expression; None if it does not follow the template."""
        found: list[Tokens] = []
        position = 0
        for token in self._tokens:
            if position >= len(expression):
                return None
            if token == HOLE:
                end = _end_of_subtree(expression, position)
                found.append(expression[position:end])
                position = end
            elif expression[position] == token:
                position += 1
            else:
                return None
        return found


def _end_of_subtree(tokens: Tokens, position: int) -> int:
    missing = 1
    while missing:
        token = tokens[position]
        primitive = PRIMITIVES.get(token) if isinstance(token, str) else None
        missing += (primitive.arity if primitive else 0) - 1
        position += 1
    return position
