"""Whatever text comes, it is parsed or refused with a sentence and a caret: never executed, never a crash."""

from __future__ import annotations

import builtins
import os

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from random_expressions import expressions
from toy_families import Toy, Twin

from ruleforge.errors import InputError, RuleSyntaxError
from ruleforge.language import Rule
from ruleforge.language.parse import MAX_BYTES
from ruleforge.language.text import format_expression
from ruleforge.language.tokens import MAX_DEPTH, MAX_NODES


def refusal(text, family=Toy):
    with pytest.raises(RuleSyntaxError) as caught:
        Rule.parse(text, family)
    return caught.value


# «»  stands where the caret must point; it is taken out of the text.
@pytest.mark.parametrize(
    ("marked", "sentence"),
    [
        ("R + «»Q", "unknown name 'Q'"),
        ("(R - 1)*«»E_mean", "Did you mean 'R_mean'"),
        ("__import__(«»'os').system('id')", "unexpected character"),
        ("«»__import__", "unknown name '__import__'"),
        ("«»eval(R)", "unknown name 'eval'"),
        ("«»lambda", "unknown name 'lambda'"),
        ("R«».__class__", "unexpected character '.'"),
        ("R«»[0]", "unexpected character '['"),
        ("(R - 1«»", "expected ')'"),
        ("(R - 1*(E + 2)«»", "expected ')'"),
        ("R - 1«»)*E", "and ')' came"),
        ("«»)", "and ')' came"),
        ("(«»)", "and ')' came"),
        ("R +«»", "and the end came"),
        ("R + «»* E", "and '*' came"),
        ("2 «»R", "products are written with"),
        ("R «»E", "products are written with"),
        ("R «»(E)", "products are written with"),
        ("«»1e999", "too large for a float64"),
        ("R*-«»" + "9" * 400, "too large for a float64"),
        ("R «»= E", "unexpected character '='"),
        ("R «»# E", "unexpected character '#'"),
        ("R + «»\x00", "unexpected character"),
        ("R*«»Е", "unexpected character 'Е'"),  # a Cyrillic letter
        ("R + «»\uff11", "unexpected character"),  # a full-width digit
        ("R\u00a0+ «»$", "unexpected character '$'"),
        ("«»🙂", "unexpected character"),
        ("«»\ud800", "unexpected character"),
        ("«»sqrt(R, E)", "takes 1 argument(s), and 2 came"),
        ("R + «»min(R)", "takes 2 argument(s), and 1 came"),
        ("sqrt «»R", "expected '(' after the function 'sqrt'"),
        ("exp(R«»", "to close 'exp'"),
        ("R +\n  «»Q\n", "unknown name 'Q'"),
        ("R; «»E", "given twice"),
        ("dw: R; «»dw: E", "given twice"),
        ("«»dv: R", "unknown slot 'dv'"),
        ("dw: R «»: E", "unexpected character ':'"),
        ("dw:«»", "and the end came"),
        ("«»; R", "and the end came"),
    ],
)
def test_refused_in_one_slot_at_the_right_place(marked, sentence):
    error = check_place(marked, Toy)
    assert error.pointer == "/rule"
    assert sentence in str(error)


@pytest.mark.parametrize(
    ("marked", "sentence"),
    [
        ("depress: w«»", "slot 'facilitate' is missing"),
        ("«»w; facilitate: x", "needs its slot's name"),
        ("depress: w; «»x", "needs its slot's name"),
        ("depress: w; «»depress: x; facilitate: x", "slot 'depress' is given twice"),
        ("depress: w; «»facilitat: x", "Did you mean 'facilitate'"),
        ("depress: «»; facilitate: x", "and the end came"),
        ("depress: w; facilitate: x +«»", "and the end came"),
        ("depress: w; facilitate: «»R", "signals of slot 'facilitate'"),
    ],
)
def test_refused_in_two_slots_at_the_right_place(marked, sentence):
    error = check_place(marked, Twin)
    assert sentence in str(error)


def check_place(marked, family):
    place = marked.index("«»")
    text = marked.replace("«»", "")
    error = refusal(text, family)
    assert error.position == place
    _, shown, caret = str(error).rsplit("\n", 2)
    column = caret.index("^") - 2
    assert caret.strip() == "^"
    assert shown[2:][column : column + 1] == text[place : place + 1].strip("\n")
    return error


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\u00a0"])
def test_empty(text):
    error = refusal(text)
    assert "the rule is empty" in str(error)
    assert "dw: …" in str(error)


def test_only_semicolons_and_names_without_a_slot():
    assert "missing" in str(refusal(";;", Twin))
    assert "needs its slot's name" in str(refusal("w", Twin))


@pytest.mark.parametrize("given", [None, 7, b"R", ["R"]])
def test_what_is_not_a_text(given):
    assert "a rule is a text" in str(refusal(given))


def test_too_long_in_bytes():
    assert Rule.parse("R" + " " * (MAX_BYTES - 1), Toy).text == "R"
    assert "4097 bytes" in str(refusal("R" + " " * MAX_BYTES))
    assert "bytes" in str(refusal("R" + "−R" * 1200))  # U+2212 takes three bytes


def test_the_shown_text_is_a_window_around_the_place():
    error = refusal("R + " * 200 + "Q" + " + R" * 200)
    assert error.position == 800
    assert len(str(error)) < 600
    _, shown, caret = str(error).rsplit("\n", 2)
    assert shown[caret.index("^")] == "Q"


def test_too_many_nodes():
    assert Rule.parse("abs(" + _balanced(100) + ")", Toy).complexity == MAX_NODES
    assert "at most 200" in str(refusal("abs(abs(" + _balanced(100) + "))"))


def _balanced(n_leaves):
    return "R" if n_leaves == 1 else f"({_balanced(n_leaves // 2)} + {_balanced(n_leaves - n_leaves // 2)})"


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("(", ")"), ("-", ""), ("+", ""), ("-(", ")"), ("sqrt(", ")"), ("R**", ""), ("R**(-", ")"), ("R - (", ")")],
)
@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, 200, 600])
def test_too_deep(opening, closing, levels):
    error = refusal(opening * levels + "R" + closing * levels)
    assert "too deep" in str(error) or "levels deep" in str(error) or "nodes" in str(error)


@pytest.mark.parametrize("text", ["+".join("R" * 40), "/".join("R" * 40), "*".join("R" * 101), "R-" * 1500 + "R"])
def test_long_chains_are_deep_trees(text):
    assert "at most" in str(refusal(text))


def test_towers_of_powers_are_numbers_like_any_other():
    rule = Rule.parse("9**9**9", Toy)
    assert rule.to_numpy()() == float("inf")
    refusal("**".join("9" * 40))


def test_nothing_is_executed(monkeypatch):
    def trap(*_):
        raise AssertionError("a rule's text was executed")

    text = "__import__('os').system('id')"
    for place, name in ((builtins, "eval"), (builtins, "exec"), (builtins, "compile"), (os, "system")):
        monkeypatch.setattr(place, name, trap)
    try:
        Rule.parse(text, Toy)
    except RuleSyntaxError as error:
        refused = error
    monkeypatch.undo()
    assert refused.position == text.index("'")


def parsed_or_refused(text, family):
    refused = None
    try:
        rule = Rule.parse(text, family)
    except RuleSyntaxError as error:
        refused = error
    if refused is None:
        assert Rule.parse(rule.text, family) == rule
    else:
        assert 0 <= refused.position <= len(text)
        assert refused.reason.strip()


@given(st.text())
@example("\ud800")
@example("(" * 4096)
@example("-" * 4096)
@example("R**" * 1365)
@example("sqrt(" * 819)
@example("." * 4096)
@example("1" * 4096)
@example(" " * 4095 + "(")
@example("+R" * 2048)
@example(";" * 4096)
@example("dw:" * 1365)
def test_any_text_is_parsed_or_refused(text):
    parsed_or_refused(text, Toy)
    parsed_or_refused(text, Twin)


PIECES = ("R", "E", "w", "x", "1", "-1", ".5", "1e9", "(", ")", "+", "-", "*", "/", "**", "^", ",", ";", " ")
PIECES += ("dw:", "depress:", "facilitate:", "sqrt(", "min(", "neg", "pow(", "×", "\n", "e", ".", "_")


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_any_sequence_of_the_language_s_own_pieces(text):
    parsed_or_refused(text, Toy)
    parsed_or_refused(text, Twin)


@given(
    expressions(("R", "E")).map(format_expression),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 4), st.sampled_from(PIECES) | st.text(max_size=2))),
)
def test_mutations_of_valid_rules(text, edits):
    for place, n_removed, piece in edits:
        begin = place % (len(text) + 1)
        text = text[:begin] + piece + text[begin + n_removed :]
    parsed_or_refused(text, Toy)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["+", "R", "neg"]),
    lambda children: st.lists(children, max_size=6) | st.dictionaries(st.text(max_size=3), children, max_size=3),
    max_leaves=20,
)


@given(json_like)
def test_any_json_as_tokens_is_taken_or_refused(received):
    try:
        rule = Rule.from_tokens(received, Toy)
    except InputError:
        return
    assert Rule.parse(rule.text, Toy) == rule


def test_an_unknown_task_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match=r"unknown task 'rewad'.*Did you mean 'reward'"):
        Rule.parse("R", "rewad")
