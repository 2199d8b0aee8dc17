"""Text → tokens → text, tokens → JSON → tokens: nothing is lost, nothing is rewritten."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from random_expressions import constants, expressions
from toy_families import Toy, Twin

from ruleforge.errors import InputError
from ruleforge.language import Rule
from ruleforge.language.primitives import PRIMITIVES
from ruleforge.language.text import format_expression, format_number
from ruleforge.language.tokens import MAX_DEPTH, MAX_NODES, depth


def bits(tokens):
    """Tokens in which 0 and −0 differ."""
    return tuple(token if isinstance(token, str) else float(token).hex() for token in tokens)


@given(expressions(("R", "E", "R_mean"), max_leaves=60))
def test_text_parses_back_to_the_same_tokens(tokens):
    rule = Rule("toy", Toy.slots, (tokens,))
    if len(rule.text) > 4096:
        return
    again = Rule.parse(rule.text, Toy)
    assert bits(again.expressions[0]) == bits(tokens)
    assert again.text == rule.text
    assert Rule.parse(f"dw: {rule.text}", Toy) == rule


@given(expressions(("w", "x")), expressions(("w", "x")))
def test_text_of_two_slots_parses_back(depress, facilitate):
    rule = Rule("twin", Twin.slots, (depress, facilitate))
    again = Rule.parse(rule.text, Twin)
    assert [bits(e) for e in again.expressions] == [bits(depress), bits(facilitate)]
    assert again.text == rule.text


@given(expressions(("R", "E")))
def test_tokens_survive_json(tokens):
    rule = Rule("toy", Toy.slots, (tokens,))
    sent = json.dumps(rule.to_tokens(), allow_nan=False)
    received = Rule.from_tokens(json.loads(sent), Toy)
    assert bits(received.expressions[0]) == bits(tokens)
    assert received.id == rule.id


@given(constants())
def test_numbers_are_written_so_that_they_read_back(value):
    text = format_number(value)
    assert float(text).hex() == value.hex()
    (read,) = Rule.parse(text, Toy).expressions[0]
    assert read.hex() == value.hex()


@pytest.mark.parametrize("name", PRIMITIVES)
@pytest.mark.parametrize("place", ["left", "right"])
@pytest.mark.parametrize("leaf", ["R", 2.0, -2.0])
def test_the_deepest_trees_parse_back(name, place, leaf):
    tokens = (leaf,)
    for _ in range(MAX_DEPTH - 1):
        operands = [tokens, ("E",)] if place == "left" else [("E",), tokens]
        tokens = (name, *tokens) if PRIMITIVES[name].arity == 1 else (name, *operands[0], *operands[1])
    assert depth(tokens) == MAX_DEPTH
    assert Rule.parse(format_expression(tokens), Toy).expressions[0] == tokens


def test_powers_and_negations_in_turn_parse_back_at_the_greatest_depth():
    tokens = ("R",)
    for level in range(MAX_DEPTH - 1):
        tokens = ("**", "E", *tokens) if level % 2 else ("neg", *tokens)
    assert Rule.parse(format_expression(tokens), Toy).expressions[0] == tokens


def test_the_largest_rule_parses_back():
    tokens = ("neg", *_balanced("-", MAX_NODES // 2))
    assert len(tokens) == MAX_NODES
    assert Rule.parse(format_expression(tokens), Toy).expressions[0] == tokens


def _balanced(name, n_leaves):
    if n_leaves == 1:
        return ("R_mean",)
    return (name, *_balanced(name, n_leaves // 2), *_balanced(name, n_leaves - n_leaves // 2))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("(R - 1) * E", ("*", "-", "R", 1.0, "E")),
        ("  dw :\n (R-1)*E ; ", ("*", "-", "R", 1.0, "E")),
        ("E**2", ("**", "E", 2.0)),
        ("E^2", ("**", "E", 2.0)),
        ("pow(E, 2)", ("**", "E", 2.0)),
        ("-E**2", ("neg", "**", "E", 2.0)),
        ("-2**E", ("neg", "**", 2.0, "E")),
        ("(-2)**E", ("**", -2.0, "E")),
        ("2**-E", ("**", 2.0, "neg", "E")),
        ("R**E**2", ("**", "R", "**", "E", 2.0)),
        ("-2", (-2.0,)),
        ("-(2)", ("neg", 2.0)),
        ("--2", ("neg", -2.0)),
        ("+R", ("R",)),
        ("-0", (-0.0,)),
        ("R - -1", ("-", "R", -1.0)),
        ("R - E - 1", ("-", "-", "R", "E", 1.0)),
        ("R/E*2", ("*", "/", "R", "E", 2.0)),
        ("-R*E", ("*", "neg", "R", "E")),
        ("R × E ÷ 2 − 1", ("-", "/", "*", "R", "E", 2.0, 1.0)),
        ("R·E", ("*", "R", "E")),
        ("R\u00a0*\u2009E", ("*", "R", "E")),
        ("min(R, max(E, .5))", ("min", "R", "max", "E", 0.5)),
        ("1e-3*R + 2.E0", ("+", "*", 0.001, "R", 2.0)),
        ("((((R))))", ("R",)),
        ("neg(R)", ("neg", "R")),
    ],
)
def test_what_people_write(text, tokens):
    assert bits(Rule.parse(text, Toy).expressions[0]) == bits(tokens)


def test_two_slots_in_any_order():
    evolved = "depress: -w + x/w; facilitate: (w*x)**w - 1"
    rule = Rule.parse(evolved, Twin)
    assert rule.expressions == (("+", "neg", "w", "/", "x", "w"), ("-", "**", "*", "w", "x", "w", 1.0))
    assert rule.text == evolved
    assert rule.complexity == 13
    assert Rule.parse("facilitate: (w*x)^w - 1;\ndepress: -w + x/w", Twin) == rule


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        ["+", "R"],
        ["R", "E"],
        ["R", 1.0, 2.0],
        ["__class__"],
        ["R", None],
        [None],
        [True],
        [["R"]],
        [{"R": 1}],
        [float("nan")],
        [math.inf],
        [10**400],
        ["+"] * 100 + ["R"] * 101,
        ["neg"] * 32 + ["R"],
        "R",
        None,
        {"R": 1},
        7,
    ],
    ids=lambda tokens: repr(tokens)[:30],
)
def test_tokens_from_outside_are_refused_with_a_sentence(tokens):
    with pytest.raises(InputError, match=r"\w+ \w+ \w+"):
        Rule.from_tokens([tokens], Toy)


def test_tokens_need_one_expression_per_slot():
    with pytest.raises(InputError, match=r"2 slot\(s\), and 1 expression"):
        Rule.from_tokens([["w"]], Twin)


def test_latex_keeps_the_tree():
    assert Rule.parse("(R - 1)*E", Toy).latex == r"\Delta w \propto \left(R - 1\right) E"
    assert Rule.parse("E/(2*R)", Toy).latex == r"\Delta w \propto \frac{E}{2 R}"
    assert Rule.parse("R_mean**2", Toy).latex == r"\Delta w \propto \bar R^{2}"
    assert Rule.parse("R + (-1e-30)", Toy).latex == r"\Delta w \propto R + \left(-1 \times 10^{-30}\right)"
    assert Rule.parse("R - (E - 1)", Toy).latex == r"\Delta w \propto R - \left(E - 1\right)"
    two = Rule.parse("depress: x; facilitate: sqrt(w)", Twin).latex
    assert r"\Delta w_{\mathrm{depress}} &\propto x" in two
    assert r"\Delta w_{\mathrm{facilitate}} &\propto \sqrt{w}" in two


@given(expressions(("R", "E", "R_mean")))
def test_latex_is_balanced(tokens):
    latex = Rule("toy", Toy.slots, (tokens,)).latex
    assert latex.count("{") == latex.count("}")
    assert latex.count(r"\left") == latex.count(r"\right")
