"""Formulas on a page: LaTeX and MathML of the tree as written, laid out alike."""

from __future__ import annotations

import dataclasses
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from random_expressions import EVERY, expressions
from toy_families import Toy, Twin

from ruleforge.family import family_class, family_names
from ruleforge.language import Rule, Signal, Slot
from ruleforge.language.mathml import NAMESPACE, symbol_mathml
from ruleforge.language.text import symbol_latex

KNOWN_COMMANDS = {
    *("Delta", "propto", "left", "right", "frac", "cdot", "times", "sqrt", "exp", "log", "tanh", "min", "max"),
    *("operatorname", "bar", "mathrm", "begin", "end", "\\"),
}


def toy(tokens):
    return Rule("toy", Toy.slots, (tokens,))


def elements(mathml):
    """Every element of well-formed MathML, by its local name."""
    return [element.tag.removeprefix(f"{{{NAMESPACE}}}") for element in ElementTree.fromstring(mathml).iter()]


def signs(mathml, sign):
    return sum(element.text == sign for element in ElementTree.fromstring(mathml).iter(f"{{{NAMESPACE}}}mo"))


@given(expressions(("R", "E", "R_mean"), EVERY, max_leaves=40))
def test_latex_and_mathml_are_one_layout(tokens):
    latex, mathml = toy(tokens).latex, toy(tokens).mathml
    found = elements(mathml)
    assert found.count("mfrac") == latex.count(r"\frac") == tokens.count("/")
    assert found.count("msqrt") == latex.count(r"\sqrt") == tokens.count("sqrt")
    assert signs(mathml, "(") == signs(mathml, ")") == latex.count(r"\left(")
    assert signs(mathml, "·") == latex.count(r"\cdot")
    assert signs(mathml, "+") == tokens.count("+")
    assert found.count("msup") == tokens.count("**") + latex.count(r"\times 10^")


@given(expressions(("R", "E", "R_mean"), EVERY, max_leaves=40))
def test_every_element_has_the_children_that_mathml_asks_for(tokens):
    for element in ElementTree.fromstring(toy(tokens).mathml).iter():
        name = element.tag.removeprefix(f"{{{NAMESPACE}}}")
        expected = {"mfrac": 2, "msup": 2, "msub": 2, "mover": 2, "msqrt": 1, "mi": 0, "mn": 0, "mo": 0}.get(name)
        assert expected is None or len(element) == expected
        assert (element.text or "") != "" or name not in ("mi", "mn", "mo")


@given(expressions(("R", "E", "R_mean"), EVERY, max_leaves=40))
def test_latex_has_only_commands_that_amsmath_knows(tokens):
    latex = toy(tokens).latex
    assert set(re.findall(r"\\([A-Za-z]+|.)", latex)) <= KNOWN_COMMANDS
    assert re.search(r"\^\{[^{}]*\}\^|\^.\^", latex) is None, "a double superscript does not compile"


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("R - (E/2 - 1)", r"R - \left(\frac{E}{2} - 1\right)"),
        ("R*(E/R)", r"R \frac{E}{R}"),
        ("R*(E/R*E)", r"R \left(\frac{E}{R} E\right)"),
        ("(E/R)**2", r"\left(\frac{E}{R}\right)^{2}"),
        ("-(E/R)", r"-\frac{E}{R}"),
        ("-(R*E)", r"-\left(R E\right)"),
        ("-R*E", r"-R E"),
        ("2*E*3", r"2 E \cdot 3"),
        ("E*2**R", r"E \cdot 2^{R}"),
        ("R**E**2", r"R^{E^{2}}"),
        ("(R**E)**2", r"\left(R^{E}\right)^{2}"),
        ("2*(1e-30)", r"2 \left(1 \times 10^{-30}\right)"),
    ],
)
def test_parentheses_stand_where_the_tree_needs_them(text, latex):
    assert Rule.parse(text, Toy).latex == rf"\Delta w \propto {latex}"


def test_mathml_of_a_rule():
    rule = Rule.parse("(R_mean - 1)*E", Toy)
    assert rule.mathml == (
        f'<math xmlns="{NAMESPACE}" display="block"><mrow>'
        '<mrow><mi mathvariant="normal">Δ</mi><mo>&#x2062;</mo><mi>w</mi></mrow><mo>∝</mo>'
        '<mrow><mrow><mo>(</mo><mrow><mover accent="true"><mi>R</mi><mo>¯</mo></mover><mo>−</mo><mn>1</mn></mrow>'
        "<mo>)</mo></mrow><mo>&#x2062;</mo><mi>E</mi></mrow></mrow></math>"
    )


def test_several_slots_are_rows():
    found = elements(Rule.parse("depress: x; facilitate: sqrt(w)", Twin).mathml)
    assert (found.count("mtr"), found.count("mtd"), found.count("msqrt")) == (2, 6, 1)


@pytest.mark.parametrize(
    ("latex", "expected"),
    [
        ("R", "<mi>R</mi>"),
        (r"\bar R^+", '<msup><mover accent="true"><mi>R</mi><mo>¯</mo></mover><mo>+</mo></msup>'),
        (r"x_\mathrm{slow}", '<msub><mi>x</mi><mi mathvariant="normal">slow</mi></msub>'),
        (r"\tau_{+}^2", "<msubsup><mi>τ</mi><mo>+</mo><mn>2</mn></msubsup>"),
        (r"\lambda", "<mi>λ</mi>"),
        (r"\tilde{V}_{ij}", '<msub><mover accent="true"><mi>V</mi><mo>~</mo></mover><mrow><mi>i</mi><mi>j</mi></mrow></msub>'),  # noqa: E501
        ("a<b", "<mrow><mi>a</mi><mo>&lt;</mo><mi>b</mi></mrow>"),
        (r"\mathrm{x\,y}", '<mi mathvariant="normal">x\N{NO-BREAK SPACE}y</mi>'),
        (r"\strange{x}", "<mrow><mi>strange</mi><mi>x</mi></mrow>"),
        ("x_", "<msub><mi>x</mi><mrow></mrow></msub>"),
        ("{x", "<mi>x</mi>"),
    ],
)  # fmt: skip
def test_symbols_of_signals(latex, expected):
    assert symbol_mathml(latex) == expected


def test_a_name_without_latex_of_its_own_gets_an_upright_index():
    assert symbol_latex("u") == "u"
    assert symbol_latex("x_slow") == r"x_{\mathrm{slow}}"
    assert symbol_latex("trace_pre_slow") == r"\mathrm{trace}_{\mathrm{pre\,slow}}"
    slot = Slot("hidden_dw", (Signal("x_pre_slow", "1", "a trace", (0.0, 1.0)),), updates="w", when="step")
    rule = Rule("made", (slot, dataclasses.replace(slot, name="output_dw")), (("x_pre_slow",), ("x_pre_slow",)))
    assert r"\Delta w_{\mathrm{hidden\,dw}} &\propto x_{\mathrm{pre\,slow}}" in rule.latex
    assert elements(rule.mathml).count("msub") == 4


@pytest.mark.parametrize("name", family_names())
def test_known_rules_have_both(name):
    for known in family_class(name).known_rules().values():
        assert elements(known.rule.mathml)[0] == "math"
        assert known.rule.latex
