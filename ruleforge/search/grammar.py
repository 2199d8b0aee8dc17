"""A grammar as DEAP primitive sets, one per hole of a slot's template, and the way between DEAP's trees and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deap import gp

from ruleforge.family import TaskFamily
from ruleforge.grammar_settings import Grammar
from ruleforge.language.primitives import PRIMITIVES
from ruleforge.language.rule import Rule
from ruleforge.language.signals import Slot
from ruleforge.language.tokens import Tokens, depth
from ruleforge.search.constraints import Constraints
from ruleforge.search.templates import HOLE, Template


class Chance:
    """Stands in a tree for a constant that is still to be drawn."""

    def __repr__(self) -> str:
        return "chance"


CHANCE = Chance()


@dataclass(frozen=True, eq=False)
class Hole:
    """A place that the search fills with an expression: of which slot, and what the expression may be made of."""

    slot: Slot
    operators: tuple[str, ...]
    constants: tuple[float, ...]
    signals: tuple[str, ...]
    primitive_set: Any


class RuleGrammar:
    """The rules that a search may form: individuals are lists of DEAP trees, one per hole, each typed by its hole.

    Without templates a slot is one hole, and an individual has one tree per slot.
    """

    def __init__(self, grammar: Grammar, family: type[TaskFamily]) -> None:
        assert grammar.operators is not None
        assert grammar.constants is not None
        assert grammar.signals is not None
        self.family = family
        self.max_complexity, self.max_depth = grammar.max_complexity, grammar.max_depth
        self.random_constants = grammar.random_constants
        self.templates = [Template(slot, grammar.templates.get(slot.name, HOLE)) for slot in family.slots]
        self.holes: list[Hole] = []
        for slot, template in zip(family.slots, self.templates, strict=True):
            operators = grammar.slot_operators.get(slot.name, grammar.operators)
            signals = grammar.signals[slot.name]
            for number in range(template.n_holes):
                name = slot.name if template.n_holes == 1 else f"{slot.name}_{number + 1}"
                constants = tuple(map(float, grammar.constants))
                offered = _primitive_set(name, operators, constants, signals, self.random_constants is not None)
                self.holes.append(Hole(slot, operators, constants, signals, offered))
        self.primitive_sets = [hole.primitive_set for hole in self.holes]
        self._constraints = Constraints(grammar, family)

    def to_rule(self, trees: Sequence[Any]) -> Rule:
        """The rule that the trees of an individual spell."""
        return self.rule_of(tuple(_to_tokens(tree) for tree in trees))

    def rule_of(self, expressions: Sequence[Tokens]) -> Rule:
        """The rule with these expressions in its holes, one per hole."""
        parts = iter(expressions)
        filled = [template.fill([next(parts) for _ in range(template.n_holes)]) for template in self.templates]
        return Rule(self.family.name, self.family.slots, tuple(filled))

    def to_trees(self, rule: Rule) -> list[Any]:
        """The trees of a rule that follows the templates; its operators and leaves may be others (seed rules)."""
        trees: list[Any] = []
        for expression, template in zip(rule.expressions, self.templates, strict=True):
            found = template.holes_of(expression)
            assert found is not None, f"{rule} does not follow the templates"  # specifications are checked for it
            trees += [_to_tree(tokens, self.primitive_sets[len(trees) + n]) for n, tokens in enumerate(found)]
        return trees

    def allows(self, rule: Rule) -> bool:
        """Within the limits of complexity and depth, and as the constraints demand."""
        return (
            rule.complexity <= self.max_complexity
            and all(depth(e) <= self.max_depth for e in rule.expressions)
            and all(self._constraints.allow(slot, e) for slot, e in enumerate(rule.expressions))
        )


class SlotType:
    """Base of the types by which DEAP keeps the trees of different holes apart."""


def _primitive_set(
    name: str, operators: Sequence[str], constants: Sequence[float], signals: Sequence[str], chance: bool
) -> Any:
    slot_type = type(f"Slot_{name}", (SlotType,), {})
    primitive_set = gp.PrimitiveSetTyped(name, [], slot_type)
    for operator in operators:
        primitive = PRIMITIVES[operator]
        primitive_set.addPrimitive(primitive.numpy, [slot_type] * primitive.arity, slot_type, name=operator)
    for symbol in signals:
        primitive_set.addTerminal(symbol, slot_type, name=symbol)
    for value in constants:
        primitive_set.addTerminal(value, slot_type)
    if chance:
        primitive_set.addTerminal(CHANCE, slot_type)
    return primitive_set


def _to_tokens(tree: Any) -> Tokens:
    return tuple(node.name if isinstance(node, gp.Primitive) else node.value for node in tree)


def _to_tree(tokens: Tokens, primitive_set: Any) -> Any:
    slot_type = primitive_set.ret
    nodes = []
    for token in tokens:
        primitive = PRIMITIVES.get(token) if isinstance(token, str) else None
        if primitive is not None:
            nodes.append(gp.Primitive(primitive.name, [slot_type] * primitive.arity, slot_type))
        else:
            nodes.append(gp.Terminal(token, isinstance(token, str), slot_type))
    return gp.PrimitiveTree(nodes)
