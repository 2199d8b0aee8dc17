"""A rule: one expression per slot of its task family."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ruleforge.errors import InputError
from ruleforge.language import tokens as trees
from ruleforge.language.mathml import format_mathml
from ruleforge.language.parse import parse_rule
from ruleforge.language.signals import Slot
from ruleforge.language.text import format_expression, format_latex
from ruleforge.language.tokens import Token, Tokens

if TYPE_CHECKING:
    from ruleforge.family import TaskFamily


@dataclass(frozen=True, eq=False)
class Rule:
    """A plasticity rule as it was written: immutable, hashable, equal when task and canonical trees are equal.

    task: name of the family; slots: its slots; expressions: the tokens of each slot, in the order of `slots`.
    """

    task: str
    slots: tuple[Slot, ...]
    expressions: tuple[Tokens, ...]

    @classmethod
    def parse(cls, text: str, task: str | TaskFamily | type[TaskFamily]) -> Rule:
        """Read a rule as people write it, e.g. `Rule.parse("dw: (R - 1)*E", task="reward")`.

        Raises RuleSyntaxError (an InputError) that says what was refused, where, and what is allowed.
        """
        from ruleforge.family import family_of

        family = family_of(task)
        found = parse_rule(text, [(slot.name, slot.symbols) for slot in family.slots])
        return cls(family.name, family.slots, tuple(found[slot.name] for slot in family.slots))

    @classmethod
    def from_tokens(cls, expressions: Sequence[Sequence[object]], task: str | TaskFamily | type[TaskFamily]) -> Rule:
        """Rebuild a rule from stored or received tokens, one sequence per slot; validated as strictly as a text."""
        from ruleforge.family import family_of

        family = family_of(task)
        if not isinstance(expressions, (list, tuple)):
            raise InputError(f"a rule is a list of expressions, and {type(expressions).__name__} came")
        if len(expressions) != len(family.slots):
            raise InputError(
                f"{family.name} has {len(family.slots)} slot(s), and {len(expressions)} expression(s) came"
            )
        found = (trees.checked(given, slot.symbols) for given, slot in zip(expressions, family.slots, strict=True))
        return cls(family.name, family.slots, tuple(found))

    @classmethod
    def from_sympy(cls, expressions: Any, task: str | TaskFamily | type[TaskFamily]) -> Rule:
        """A rule from one sympy expression (families with one slot) or a mapping of slot name → expression."""
        from ruleforge.family import family_of
        from ruleforge.language.symbolic import from_sympy

        family = family_of(task)
        given = expressions if isinstance(expressions, Mapping) else {family.slots[0].name: expressions}
        if given.keys() != {slot.name for slot in family.slots}:
            expected = ", ".join(slot.name for slot in family.slots)
            raise InputError(f"expected an expression for each of {expected}, and {', '.join(given)} came")
        return cls.from_tokens([from_sympy(given[slot.name], slot.symbols) for slot in family.slots], family)

    @cached_property
    def text(self) -> str:
        """The rule as text, which parses back to the same tokens: `(R - 1)*E`, `depress: …; facilitate: …`."""
        if len(self.slots) == 1:
            return format_expression(self.expressions[0])
        pairs = zip(self.slots, self.expressions, strict=True)
        return "; ".join(f"{slot.name}: {format_expression(expression)}" for slot, expression in pairs)

    @cached_property
    def complexity(self) -> int:
        """The number of nodes, over all slots."""
        return sum(len(expression) for expression in self.expressions)

    @cached_property
    def id(self) -> str:
        """Exact identity: 32 hexadecimal digits of BLAKE2b over task, slots and canonical tokens."""
        canonical = [[slot.name, trees.canonical(e)] for slot, e in zip(self.slots, self.expressions, strict=True)]
        payload = json.dumps([self.task, canonical], separators=(",", ":"), allow_nan=False)
        return hashlib.blake2b(payload.encode(), digest_size=16).hexdigest()

    @property
    def latex(self) -> str:
        """LaTeX of the rule as written; several slots as lines of an aligned environment."""
        lines = []
        for slot, expression in zip(self.slots, self.expressions, strict=True):
            symbols = {signal.symbol: signal.latex for signal in slot.signals}
            name = slot.name.replace("_", r"\,")
            left = r"\Delta w" if len(self.slots) == 1 else rf"\Delta w_{{\mathrm{{{name}}}}}"
            lines.append(rf"{left} \propto {format_latex(expression, symbols)}")
        if len(lines) == 1:
            return lines[0]
        body = " \\\\\n".join(line.replace(r" \propto ", r" &\propto ", 1) for line in lines)
        return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"

    @property
    def mathml(self) -> str:
        """Presentation MathML of the rule as written, one `math` element that browsers show without any script."""
        names = [slot.name if len(self.slots) > 1 else "" for slot in self.slots]
        signals = [{signal.symbol: signal.latex for signal in slot.signals} for slot in self.slots]
        return format_mathml(list(zip(names, self.expressions, signals, strict=True)))

    def to_tokens(self) -> list[list[Token]]:
        """The tokens of each slot as JSON-ready lists, in prefix order."""
        return [list(expression) for expression in self.expressions]

    def to_sympy(self, slot: str | None = None) -> Any:
        """One slot's expression in sympy (the only one if `slot` is left out). sympy may reorder and combine terms."""
        from ruleforge.language.symbolic import to_sympy

        return to_sympy(self.expressions[self._index(slot)])

    def to_numpy(self, slot: str | None = None) -> Callable[..., NDArray[np.float64]]:
        """One slot as a numpy function of its signals, by keyword: `rule.to_numpy()(R=1.0, E=E)`: the reference."""
        from ruleforge.language.symbolic import to_numpy

        index = self._index(slot)
        return to_numpy(self.expressions[index], self.slots[index].symbols)

    def _index(self, slot: str | None) -> int:
        names = [s.name for s in self.slots]
        if slot is None and len(names) == 1:
            return 0
        if slot not in names:
            raise InputError(f"name one of the slots {', '.join(names)}, and {slot!r} came")
        return names.index(slot)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rule) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Rule({self.text!r}, task={self.task!r})"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"
