"""What a scientist demands in `grammar`: units, nesting, properties of the change, templates, operators by slot."""

from __future__ import annotations

import re
from fractions import Fraction

import numpy as np
import pytest

from ruleforge.errors import InputError
from ruleforge.family import Outcome
from ruleforge.language import Rule
from ruleforge.language.identity import outputs
from ruleforge.language.tokens import fold
from ruleforge.search import make_search
from ruleforge.search.grammar import RuleGrammar
from ruleforge.search.templates import Template
from ruleforge.search.units import Inconsistent, parse_unit, unit_of
from ruleforge.spec import job_spec
from tasks.supervised import Supervised

UNITS = {"v": parse_unit("mV"), "u": parse_unit("mV"), "s": parse_unit("mV/pA")}


def rules_of(given, n=300, task="supervised"):
    """The rules that a search proposes, all of them said to be equally good."""
    search = make_search(job_spec({"task": task, "search": {"small_rules": 0.3}, **given}))
    rules = []
    while len(rules) < n and not search.exhausted:
        generation = search.tell([(1.0 / candidate.rule.complexity, Outcome.ok) for candidate in search.ask()])
        rules += [item.rule for item in generation.judged]
    return rules


def unit(text, *, free_constants=False):
    return unit_of(Rule.parse(text, Supervised).expressions[0], UNITS, free_constants=free_constants)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mV", {"mV": 1}),
        ("mV/pA", {"mV": 1, "pA": -1}),
        ("1", {}),
        ("1/s", {"s": -1}),
        ("s^-1", {"s": -1}),
        ("mV*ms/pA", {"mV": 1, "ms": 1, "pA": -1}),
        ("mV**2 / pA", {"mV": 2, "pA": -1}),
        ("mV/mV", {}),
    ],
)
def test_units_are_read(text, expected):
    assert parse_unit(text) == expected


@pytest.mark.parametrize("text", ["mV//pA", "3 mV", "(mV)", "mV+pA"])
def test_what_is_no_unit_is_refused(text):
    with pytest.raises(InputError, match="is not a unit"):
        parse_unit(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s*(v - u)", {"mV": 2, "pA": -1}),
        ("2*s*(v - u)", {"mV": 2, "pA": -1}),
        ("(v + u)/v", {}),
        ("exp(u/v) + 1", {}),
        ("sqrt(v*u)", {"mV": 1}),
        ("v**2", {"mV": 2}),
        ("v**0.5", {"mV": Fraction(1, 2)}),
        ("abs(-v)", {"mV": 1}),
        ("sign(v)*2", {}),
        ("min(u, v)", {"mV": 1}),
        ("2**(u/v)", {}),
    ],
)
def test_units_follow_from_those_of_the_signals(text, expected):
    assert unit(text) == expected


@pytest.mark.parametrize("text", ["v + s", "v - 1", "exp(v)", "2**v", "v**(u/v)", "max(s, v)", "(2*u - 1)/v"])
def test_what_does_not_fit_is_inconsistent(text):
    with pytest.raises(Inconsistent):
        unit(text)


@pytest.mark.parametrize("text", ["v - 1", "(2*u - 1)/v", "2**(v*3)"])
def test_a_free_constant_takes_the_unit_that_fits(text):
    unit(text, free_constants=True)
    with pytest.raises(Inconsistent):
        unit(text)


@pytest.mark.parametrize("units", ["strict", "free_constants"])
def test_only_consistent_rules_are_proposed(units):
    rules = rules_of({"grammar": {"units": units, "constants": [1.0, 2.0]}})
    assert len(rules) >= 300
    assert len({rule.text for rule in rules}) == len(rules)
    for rule in rules:
        unit_of(rule.expressions[0], UNITS, free_constants=units == "free_constants")


def test_without_the_demand_most_rules_are_not_consistent():
    inconsistent = 0
    for rule in rules_of({"grammar": {"constants": [1.0, 2.0]}}):
        try:
            unit_of(rule.expressions[0], UNITS, free_constants=False)
        except Inconsistent:
            inconsistent += 1
    assert inconsistent > 100


def test_nesting_is_limited_along_a_branch():
    grammar = {"operators": ["+", "exp", "/"], "nesting": {"exp": {"exp": 0, "/": 1}, "/": {"/": 1}}}
    rules = rules_of({"grammar": grammar})
    nested = 0
    for rule in rules:

        def depths(primitive, operands):
            nonlocal nested
            exps, quotients = (max(operand[i] for operand in operands) for i in (0, 1))
            if primitive.name == "exp":
                assert exps == 0
                assert quotients <= 1
                nested += quotients
            if primitive.name == "/":
                assert quotients <= 1
            return exps + (primitive.name == "exp"), quotients + (primitive.name == "/")

        fold(rule.expressions[0], lambda _: (0, 0), depths)
    assert nested > 3


def test_no_change_without_input():
    rules = rules_of({"grammar": {"zero_when": {"s": 0.0}}})
    assert len(rules) >= 300
    for rule in rules:
        values = rule.to_numpy()(v=np.linspace(-80, -60, 7), u=np.linspace(-61, -79, 7), s=np.zeros(7))
        np.testing.assert_allclose(values, 0.0, atol=1e-9)


@pytest.mark.parametrize(("sign", "factor"), [("non_negative", 1.0), ("non_positive", -1.0)])
def test_the_sign_of_a_slot(sign, factor):
    rules = rules_of({"grammar": {"sign": {"facilitate": sign}}}, task="correlation")
    for rule in rules:
        assert not (factor * outputs(rule.expressions[1], rule.slots[1]) < -1e-9).any()
    assert any((outputs(rule.expressions[0], rule.slots[0]) < 0).any() for rule in rules)
    assert any((outputs(rule.expressions[0], rule.slots[0]) > 0).any() for rule in rules)


def test_a_bounded_change_has_no_poles_at_the_probes():
    rules = rules_of({"grammar": {"bounded": {"depress": 5.0, "facilitate": 2.0}}}, task="correlation")
    for rule in rules:
        for expression, slot, bound in zip(rule.expressions, rule.slots, (5.0, 2.0), strict=True):
            assert (np.abs(outputs(expression, slot)) <= bound).all()
    assert any("/" in rule.text for rule in rules)


def test_operators_of_single_slots():
    rules = rules_of({"grammar": {"slot_operators": {"depress": ["+"]}}}, task="correlation")
    operators = [set(re.findall(r"[-+*/]+", ";".join(map(str, e)))) for rule in rules for e in [rule.expressions[0]]]
    assert set().union(*operators) == {"+"}
    assert any("**" in rule.expressions[1] for rule in rules)


def test_a_template_is_followed_and_its_holes_are_filled():
    rules = rules_of({"grammar": {"templates": {"dw": "s*(?)/(2 + ?)"}, "signals": ["v", "u"]}})
    template = Template(Supervised.slots[0], "s*(?)/(2 + ?)")
    fillings = [template.holes_of(rule.expressions[0]) for rule in rules]
    assert None not in fillings
    for place in (0, 1):
        texts = {filling[place] for filling in fillings}
        assert len(texts) > 30
        assert all("s" not in tokens for tokens in texts)
    assert all(rule.text.startswith("s*") for rule in rules)


@pytest.mark.parametrize("text", ["?", "s*?", "(? + v)*s - ?", "exp(-(?))", "?**?"])
def test_a_template_fills_and_finds_its_holes(text):
    template = Template(Supervised.slots[0], text)
    parts = [Rule.parse(part, Supervised).expressions[0] for part in ("v - u", "s*s*s")][: template.n_holes]
    filled = template.fill(parts)
    assert template.holes_of(filled) == parts
    if text != "?":
        assert template.holes_of(parts[0]) is None


def test_seed_rules_of_a_template_can_be_varied():
    given = {"grammar": {"templates": {"dw": "s*?"}, "seed_rules": ["s*(v - u)"]}, "search": {"small_rules": 0.0}}
    rules = rules_of(given)
    assert rules[0].text == "s*(v - u)"
    assert all(rule.expressions[0][:2] == ("*", "s") for rule in rules)


def test_individuals_of_a_template_come_back_from_their_rules():
    spec = job_spec({"task": "supervised", "grammar": {"templates": {"dw": "? - s*?"}}})
    grammar = RuleGrammar(spec.grammar, Supervised)
    assert [hole.slot.name for hole in grammar.holes] == ["dw", "dw"]
    rule = Rule.parse("(v + 1) - s*(u/v)", Supervised)
    assert grammar.to_rule(grammar.to_trees(rule)) == rule
