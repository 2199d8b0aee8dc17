"""Numbers in rules: drawn by chance, and moved while the form stays."""

from __future__ import annotations

import math
import random

import pytest

from ruleforge.family import Outcome
from ruleforge.language import Rule
from ruleforge.language.tokens import Tokens
from ruleforge.search.constants import FACTOR, FIRST_STEP, LARGEST_STEP, SMALLEST_STEP, StepSize, tuned
from ruleforge.search.grammar import RuleGrammar
from ruleforge.spec import job_spec

GRAMMAR = {"operators": ["+", "*"], "constants": [1.0], "random_constants": [0.01, 100.0]}


def form(tokens: Tokens):
    return tuple("number" if isinstance(token, float) else token for token in tokens)


def grammar_of(bench, **grammar):
    spec = job_spec({"task": "toy", "grammar": GRAMMAR | grammar})
    from ruleforge.family import family_class

    return RuleGrammar(spec.grammar, family_class("toy"))


def test_constants_are_drawn_over_the_decades_with_either_sign(bench):
    search = bench.new(grammar=GRAMMAR, search={"small_rules": 0.0})
    rules = [item.rule for generation in bench.run(search, 25) for item in generation.judged]
    drawn = [t for rule in rules for t in rule.expressions[0] if isinstance(t, float) and t != 1.0]
    assert len(set(drawn)) > 40
    assert all(0.0099 <= abs(value) <= 101 for value in drawn)
    assert all(float(f"{value:.2g}") == value for value in drawn)
    assert 0.2 < sum(value < 0 for value in drawn) / len(drawn) < 0.8
    decades = {math.floor(math.log10(abs(value))) for value in drawn}
    assert {-2, -1, 0, 1} <= decades


def test_without_them_only_the_listed_ones(bench):
    search = bench.new(grammar={"constants": [3.0]}, search={"small_rules": 0.0})
    rules = [item.rule for generation in bench.run(search, 10) for item in generation.judged]
    assert {t for rule in rules for t in rule.expressions[0] if isinstance(t, float)} == {3.0}


def test_one_constant_moves_and_the_form_stays(bench):
    grammar = grammar_of(bench)
    parent = grammar.to_trees(Rule.parse("2*R + 0.5*E", "toy"))
    before = grammar.to_rule(parent).expressions[0]
    generator = random.Random(1)
    for _ in range(50):
        child = grammar.to_rule(tuned(parent, grammar.holes, StepSize(), generator, False)).expressions[0]
        assert form(child) == form(before)
        assert sum(a != b for a, b in zip(child, before, strict=True)) <= 1
    assert grammar.to_rule(parent).expressions[0] == before


def test_a_gain_is_put_before_the_whole_once(bench):
    grammar = grammar_of(bench)
    generator = random.Random(2)
    individual = grammar.to_trees(Rule.parse("R + E", "toy"))
    assert tuned(individual, grammar.holes, StepSize(), generator, False) is None
    for _ in range(5):
        individual = tuned(individual, grammar.holes, StepSize(), generator, True)
        assert form(grammar.to_rule(individual).expressions[0]) == ("*", "number", "+", "R", "E")


def test_the_template_keeps_its_constants(bench):
    grammar = grammar_of(bench, templates={"dw": "7*?"})
    individual = grammar.to_trees(Rule.parse("7*(R*2)", "toy"))
    generator = random.Random(3)
    for _ in range(20):
        tokens = grammar.to_rule(tuned(individual, grammar.holes, StepSize(), generator, False)).expressions[0]
        assert tokens[:2] == ("*", 7.0)


def test_the_step_follows_the_share_of_successes():
    step = StepSize()
    assert step.after(0, 0) == step
    assert step.after(2, 5).size == pytest.approx(FIRST_STEP * FACTOR)
    assert step.after(1, 5).size == pytest.approx(FIRST_STEP / FACTOR)
    for _ in range(50):
        step = step.after(0, 3)
    assert step.size == SMALLEST_STEP
    for _ in range(50):
        step = step.after(3, 3)
    assert step.size == LARGEST_STEP


def test_the_local_search_finds_a_constant(bench):
    """A target that no listed constant makes; its evaluations are counted like any other."""
    target = 0.7361

    def score(rule):
        tokens = rule.expressions[0]
        if form(tokens) != ("*", "number", "E"):
            return -10.0 - rule.complexity, Outcome.ok
        return -abs(tokens[1] - target), Outcome.ok

    def best_after(n, **search):
        made = bench.new(grammar={"seed_rules": ["1*E"]}, search={"small_rules": 0.0, **search})
        generations = bench.run(made, n, score)
        judged = [item for generation in generations for item in generation.judged]
        assert made.evaluations == len({item.behaviour for item in judged})
        return generations

    with_it, without = best_after(25, tuned=0.5), best_after(25)
    assert with_it[-1].best > -0.005
    assert without[-1].best < -0.1
    origins = [c for generation in with_it for c in generation.candidates if c.origin == "constants"]
    assert len(origins) > 20
    assert all(len(candidate.parents) == 1 for candidate in origins)
