"""Variation: DEAP's operators on a generator of our own, and what they leave of a tree."""

from __future__ import annotations

import itertools
import random

import pytest
from deap import gp
from toy_families import Toy, Twin

from ruleforge.grammar_settings import Grammar
from ruleforge.language import Rule
from ruleforge.language.primitives import PRIMITIVES
from ruleforge.language.tokens import checked
from ruleforge.search.deap_operators import TreeOperators
from ruleforge.search.grammar import RuleGrammar
from ruleforge.search.variation import Variation

FAMILIES = pytest.mark.parametrize("family", [Toy, Twin], ids=["one slot", "two slots"])


def grammar_of(family, operators=tuple(PRIMITIVES), constants=(0.5, -2.0)):
    signals = {slot.name: slot.default_symbols for slot in family.slots}
    return RuleGrammar(Grammar(operators=operators, constants=constants, signals=signals), family)


def is_whole(rule):
    for slot, expression in zip(rule.slots, rule.expressions, strict=True):
        names = set(slot.default_symbols) | {"R_mean"}
        assert len(expression) > 200 or checked(expression, sorted(names)) == expression


@FAMILIES
def test_trees_and_rules_are_two_forms_of_one(family):
    grammar, variation = grammar_of(family), Variation(grammar_of(family), random.Random(1))
    for _ in range(200):
        rule = grammar.to_rule(variation.random_individual())
        is_whole(rule)
        assert grammar.to_rule(grammar.to_trees(rule)) == rule


@FAMILIES
def test_variations_are_whole_trees_and_parents_stay_as_they_were(family):
    grammar = grammar_of(family)
    variation = Variation(grammar, random.Random(2))
    parents = [variation.random_individual() for _ in range(20)]
    before = [grammar.to_rule(parent).text for parent in parents]
    differ = 0
    for _ in range(20):
        for first, second in itertools.pairwise(parents):
            for child in (variation.crossed(first, second), variation.mutated(first)):
                rule = grammar.to_rule(child)
                is_whole(rule)
                differ += rule.text != grammar.to_rule(first).text
    assert differ > 300
    assert [grammar.to_rule(parent).text for parent in parents] == before


def test_every_part_of_a_rule_can_be_changed_and_it_can_grow_and_shrink():
    grammar = grammar_of(Toy, ("+", "*", "-"), (2.0,))
    variation = Variation(grammar, random.Random(3))
    parent = grammar.to_trees(Rule.parse("R*(E + 2)", Toy))
    children = {grammar.to_rule(variation.mutated(parent)).text for _ in range(2000)}
    roots = {Rule.parse(text, Toy).expressions[0][0] for text in children}
    assert roots >= {"+", "-", "*", "R"}
    assert {"R", "E + 2", "R*(E - 2)", "R*(E + E)", "R*(2 + 2)", "E*(E + 2)", "R*E", "R + (E + 2)"} <= children
    assert max(len(Rule.parse(text, Toy).expressions[0]) for text in children) > 5


def test_leaves_can_be_crossed_too():
    grammar = grammar_of(Toy)
    variation = Variation(grammar, random.Random(4))
    leaf, tree = grammar.to_trees(Rule.parse("R", Toy)), grammar.to_trees(Rule.parse("E + 0.5", Toy))
    assert grammar.to_rule(variation.crossed(leaf, tree)).text == "E + 0.5"
    assert grammar.to_rule(variation.crossed(tree, leaf)).text == "R"


@pytest.mark.parametrize("operators", [("+",), ("tanh",), ("neg", "max")])
def test_any_choice_of_operators_works(operators):
    grammar = grammar_of(Toy, operators, ())
    variation = Variation(grammar, random.Random(5))
    individual = variation.random_individual()
    for _ in range(100):
        individual = variation.mutated(individual)
        is_whole(grammar.to_rule(individual))
        if len(individual[0]) > 50:
            individual = variation.random_individual()


def test_deap_draws_from_the_generator_given_and_stays_as_it_is():
    state = random.getstate()
    functions = dict(vars(gp))
    pset = grammar_of(Toy).primitive_sets[0]
    first = [TreeOperators(random.Random(6)).generate_full(pset, 1, 3) for _ in range(2)]
    assert [str(node.name) for node in first[0]] == [str(node.name) for node in first[1]]
    assert random.getstate() == state
    assert {name: value for name, value in vars(gp).items() if functions[name] is not value} == {}
    assert gp.random is random
