"""The small rules of a grammar, each behaviour once."""

from __future__ import annotations

import itertools

from toy_families import Toy, Twin

from ruleforge.family import Outcome
from ruleforge.grammar_settings import Grammar
from ruleforge.language import KnownRule, Rule, behaviour, recognise
from ruleforge.search import make_search
from ruleforge.search.grammar import RuleGrammar
from ruleforge.search.small_rules import MAX_GRID, MAX_SAMPLED, SmallRules, small_expressions
from ruleforge.spec import job_spec


def grammar_of(family, operators=("+", "*"), constants=(1.0,)):
    signals = {slot.name: slot.default_symbols for slot in family.slots}
    return RuleGrammar(Grammar(operators=operators, constants=constants, signals=signals), family)


def rules_of(grammar, seed=1, n=None):
    small = SmallRules(grammar, seed)
    return [grammar.rule_of(small.expressions_at(i)) for i in range(len(small) if n is None else n)]


def test_they_are_all_there_each_behaviour_once_simplest_first():
    rules = rules_of(grammar_of(Toy))
    leaves = ["R", "E", "1"]
    texts = list(leaves)
    for operator in ("+", "*"):
        texts += [f"({a}) {operator} ({b})" for a, b in itertools.product(leaves, repeat=2)]
        texts += [
            f"({a}) {operator} (({b}) {inner} ({c}))"
            for inner in ("+", "*")
            for a, b, c in itertools.product(leaves, repeat=3)
        ]
    expected = {behaviour(Rule.parse(text, Toy)) for text in texts}
    assert {behaviour(rule) for rule in rules} == expected
    assert len(rules) == len(expected)
    # R + R is R at another learning rate: such rules come last, as ordered among themselves as the others.
    n_multiples = sum(is_multiple(rules[:place], rule) for place, rule in enumerate(rules))
    assert n_multiples > 0
    for part in (rules[:-n_multiples], rules[-n_multiples:]):
        sizes = [rule.complexity for rule in part]
        assert sizes == sorted(sizes)
        assert max(sizes) == 5
    assert all(is_multiple(rules[:-n_multiples], rule) for rule in rules[-n_multiples:])


def is_multiple(others, rule):
    """Whether a rule is a positive multiple of one of the others."""
    known = {str(place): KnownRule(str(place), other, "") for place, other in enumerate(others)}
    return recognise(rule, known) is not None


def test_rules_that_read_every_signal_come_first_of_their_size_and_are_counted():
    grammar = grammar_of(Toy, operators=("+", "-", "*", "/"))
    small, rules = SmallRules(grammar, 1), rules_of(grammar)
    whole = [{"R", "E"} <= set(rule.expressions[0]) for rule in rules]
    essential = small.n_essential
    assert whole[essential - 1]
    for size in (3, 5):
        of_size = [whole[place] for place in range(essential) if rules[place].complexity == size]
        assert of_size == sorted(of_size, reverse=True)
    # What comes after is a multiple of what came before, or reads less.
    for place in range(essential, len(rules)):
        assert not whole[place] or is_multiple(rules[:place], rules[place])
    assert SmallRules(grammar_of(Twin), 1).n_essential == 0


def test_the_essential_small_rules_fill_the_first_generations():
    spec = job_spec({"task": "reward", "seed": 3, "search": {"small_rules": 0.1}})
    search = make_search(spec)
    n_essential = SmallRules(search._grammar, 3).n_essential
    origins = []
    while len(origins) < n_essential:
        asked = search.ask()
        origins += [candidate.origin for candidate in asked]
        search.tell([(0.0, Outcome.ok)] * len(asked))
    assert set(origins[: n_essential - 5]) == {"small_rule"}  # some may be too complex for the grammar, or repeats
    later = [candidate.origin for candidate in search.ask()]
    assert later.count("small_rule") < len(later) / 2


def test_the_order_depends_on_the_seed_and_on_nothing_else():
    grammar = grammar_of(Toy)
    texts = [[rule.text for rule in rules_of(grammar, seed)] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert sorted(texts[0]) == sorted(texts[2])


def test_two_slots_are_sampled_the_same_way_at_any_position():
    grammar = grammar_of(Twin)
    forwards = [rule.text for rule in rules_of(grammar, n=20)]
    small = SmallRules(grammar, 1)
    backwards = [grammar.rule_of(small.expressions_at(i)).text for i in reversed(range(20))]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) > 15


def test_of_two_slots_all_pairs_of_simple_expressions_come_first_each_once():
    grammar = grammar_of(Twin, operators=("+", "-", "*", "/"))
    simple = {
        tokens
        for hole in grammar.holes
        for sizes in small_expressions(hole.slot, hole.operators, [*hole.signals, *hole.constants])[:3]
        for tokens in sizes
    }
    n_pairs = len(simple) ** 2
    assert 100 < n_pairs < MAX_GRID
    small = SmallRules(grammar, 1)
    pairs = [small.expressions_at(position) for position in range(n_pairs)]
    assert set(pairs) == {(depress, facilitate) for depress in simple for facilitate in simple}
    order = [(sum(map(len, pair)), -sum(len({"w", "x"} & set(expression)) for expression in pair)) for pair in pairs]
    assert order == sorted(order)
    assert len(small) == n_pairs + MAX_SAMPLED
    assert any(max(map(len, small.expressions_at(n_pairs + place))) > 3 for place in range(20))


def test_the_order_of_equally_simple_pairs_is_that_of_the_seed():
    grammar = grammar_of(Twin)
    texts = [[rule.text for rule in rules_of(grammar, seed, n=60)] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_sampled_pairs_have_every_size_equally_often():
    grammar = grammar_of(Twin, operators=("+", "-", "*", "/", "**"), constants=(0.1, 1.0, 10.0))
    small = SmallRules(grammar, 1)
    rules = [grammar.rule_of(small.expressions_at(len(small) - 1 - place)) for place in range(900)]
    for slot in (0, 1):
        sizes = [len(rule.expressions[slot]) for rule in rules]
        for size in (1, 3, 5):
            assert 240 < sizes.count(size) < 360


def test_with_more_pairs_than_can_be_gone_through_even_of_leaves_all_are_sampled():
    grammar = grammar_of(Twin, constants=tuple(float(number) for number in range(1, 101)))
    small = SmallRules(grammar, 1)
    assert len(small) == MAX_SAMPLED
    assert len({small.expressions_at(position) for position in range(50)}) > 40
