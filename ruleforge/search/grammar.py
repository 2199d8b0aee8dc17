"""A grammar as DEAP primitive sets, one per slot, and the way between DEAP's trees and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deap import gp

from ruleforge.family import TaskFamily
from ruleforge.language.primitives import PRIMITIVES
from ruleforge.language.rule import Rule
from ruleforge.language.tokens import Tokens, depth
from ruleforge.spec import Grammar


class RuleGrammar:
    """The rules that a search may form: individuals are lists of DEAP trees, one per slot, each typed by its slot."""

    def __init__(self, grammar: Grammar, family: type[TaskFamily]) -> None:
        assert grammar.operators is not None
        assert grammar.constants is not None
        assert grammar.signals is not None
        self.family = family
        self.max_complexity, self.max_depth = grammar.max_complexity, grammar.max_depth
        self.operators, self.constants, self.signals = grammar.operators, grammar.constants, grammar.signals
        self.primitive_sets = [
            _primitive_set(slot.name, grammar.operators, grammar.constants, grammar.signals[slot.name])
            for slot in family.slots
        ]

    def to_rule(self, trees: Sequence[Any]) -> Rule:
        """The rule that the trees of an individual spell."""
        return self.rule_of(tuple(_to_tokens(tree) for tree in trees))

    def rule_of(self, expressions: tuple[Tokens, ...]) -> Rule:
        """The rule of these expressions, one per slot."""
        return Rule(self.family.name, self.family.slots, expressions)

    def to_trees(self, rule: Rule) -> list[Any]:
        """The trees of a rule; its operators and leaves need not belong to the grammar (seed rules)."""
        return [_to_tree(tokens, pset) for tokens, pset in zip(rule.expressions, self.primitive_sets, strict=True)]

    def allows(self, rule: Rule) -> bool:
        """Within the limits of complexity and depth."""
        return rule.complexity <= self.max_complexity and all(depth(e) <= self.max_depth for e in rule.expressions)


class SlotType:
    """Base of the types by which DEAP keeps the trees of different slots apart."""


def _primitive_set(slot: str, operators: Sequence[str], constants: Sequence[float], signals: Sequence[str]) -> Any:
    slot_type = type(f"Slot_{slot}", (SlotType,), {})
    primitive_set = gp.PrimitiveSetTyped(slot, [], slot_type)
    for name in operators:
        primitive = PRIMITIVES[name]
        primitive_set.addPrimitive(primitive.numpy, [slot_type] * primitive.arity, slot_type, name=name)
    for symbol in signals:
        primitive_set.addTerminal(symbol, slot_type, name=symbol)
    for value in constants:
        primitive_set.addTerminal(float(value), slot_type)
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
