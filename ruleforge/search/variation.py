"""New individuals: random ones, and variations of those that did well. Individuals are lists of trees, one per hole."""

from __future__ import annotations

import math
import random
from typing import Any

from deap import gp

from ruleforge.search.deap_operators import TreeOperators
from ruleforge.search.grammar import CHANCE, RuleGrammar

Individual = list[Any]

# Heights of random trees: those of the first generation, and subtrees that a mutation puts in.
FIRST_HEIGHTS = (0, 3)
SUBTREE_HEIGHTS = (0, 2)
# Significant digits of a constant drawn by chance; the local search adds more where they matter.
DRAWN_DIGITS = 2


class Variation:
    """Makes individuals within a grammar, drawing only from the generator given."""

    def __init__(self, grammar: RuleGrammar, generator: random.Random) -> None:
        self.grammar = grammar
        self.generator = generator
        self.operators = TreeOperators(generator)

    def random_individual(self) -> Individual:
        """Ramped half and half: heights drawn from FIRST_HEIGHTS, half of the trees full, half grown."""
        trees = []
        for primitive_set in self.grammar.primitive_sets:
            generate = self.generator.choice((self.operators.generate_full, self.operators.generate_grow))
            low = min(FIRST_HEIGHTS[0], FIRST_HEIGHTS[1])
            trees.append(gp.PrimitiveTree(generate(primitive_set, low, FIRST_HEIGHTS[1])))
        return self._with_constants(trees)

    def crossed(self, first: Individual, second: Individual) -> Individual:
        """A copy of the first parent with a subtree of the second in one of its holes."""
        child, donor = _copy(first), _copy(second)
        slot = self.generator.randrange(len(child))
        if len(child[slot]) < 2 or len(donor[slot]) < 2:  # DEAP exchanges below the root only
            child[slot] = donor[slot]
        else:
            self.operators.exchange_subtrees(child[slot], donor[slot])
        return child

    def mutated(self, parent: Individual) -> Individual:
        """A copy with one change in one of its holes."""
        child = _copy(parent)
        slot = self.generator.randrange(len(child))
        tree, primitive_set = child[slot], self.grammar.primitive_sets[slot]
        kind = self.generator.randrange(5)
        if kind == 0:
            self.operators.mutate_uniform(tree, self._subtree, primitive_set)
        elif kind == 1:
            self.operators.insert(tree, primitive_set)
        elif kind == 2:
            self._hoist(child, slot)
        else:
            self._replace_node(tree, primitive_set)
        return self._with_constants(child)

    def _with_constants(self, individual: Individual) -> Individual:
        """The individual with its constants by chance drawn: magnitudes evenly over the decades, either sign."""
        limits = self.grammar.random_constants
        if limits is None:
            return individual
        low, high = (math.log(limit) for limit in limits)
        for tree in individual:
            for place, node in enumerate(tree):
                if node.arity == 0 and node.value is CHANCE:
                    value = self.generator.choice((-1.0, 1.0)) * math.exp(self.generator.uniform(low, high))
                    tree[place] = gp.Terminal(rounded(value, DRAWN_DIGITS), False, node.ret)
        return individual

    def _subtree(self, pset: Any, type_: Any) -> list[Any]:
        subtree: list[Any] = self.operators.generate_grow(pset, *SUBTREE_HEIGHTS, type_)
        return subtree

    def _hoist(self, child: Individual, slot: int) -> None:
        """Put one operand of an operator in the operator's place; unlike DEAP's mutShrink, the root is no exception."""
        tree = child[slot]
        places = [index for index, node in enumerate(tree) if node.arity > 0]
        if not places:
            return
        index = self.generator.choice(places)
        begin = index + 1
        for _ in range(self.generator.randrange(tree[index].arity)):
            begin = tree.searchSubtree(begin).stop
        kept = tree[tree.searchSubtree(begin)]
        tree[tree.searchSubtree(index)] = kept

    def _replace_node(self, tree: Any, primitive_set: Any) -> None:
        """Replace one node by another of the same arity; unlike DEAP's mutNodeReplacement, the root is no exception."""
        index = self.generator.randrange(len(tree))
        node = tree[index]
        if node.arity == 0:
            choices = [t for t in primitive_set.terminals[node.ret] if t.value != node.value]
        else:
            choices = [p for p in primitive_set.primitives[node.ret] if p.arity == node.arity and p.name != node.name]
        if choices:
            tree[index] = self.generator.choice(choices)


def rounded(value: float, digits: int) -> float:
    """The number with so many significant digits."""
    return float(f"{value:.{digits}g}")


def _copy(individual: Individual) -> Individual:
    return [gp.PrimitiveTree(list(tree)) for tree in individual]
