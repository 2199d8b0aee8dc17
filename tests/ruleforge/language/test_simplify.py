"""A simplified form stands beside the rule with how far it truly differs, for both signs and at 0."""

from __future__ import annotations

import numpy as np
import pytest

from ruleforge.language import Rule
from ruleforge.language.simplify import _compared, simplified


def rule(text: str) -> Rule:
    return Rule.parse(text, "reward")


@pytest.mark.parametrize(
    ("text", "other", "least"),
    [
        ("E**0.3*E**0.3", "E**0.6", 0.1),
        ("(E**0.5)**2", "E", 0.9),
        ("1/E**0.5", "E**-0.5", 0.9),
        ("abs(E)", "E", 0.9),
        ("E*sign(E)", "E", 0.9),
    ],
)
def test_a_form_that_holds_for_positive_numbers_only_is_found_out(text, other, least):
    assert _compared(rule(text), rule(other)).difference > least


@pytest.mark.parametrize(
    ("text", "other"),
    [("E/E", "E**0"), ("2*log(E)", "log(E**2)"), ("sqrt(E)*sqrt(E)", "E"), ("1/E", "1/abs(E)"), ("exp(log(E))", "E")],
)
def test_values_where_there_were_none_are_counted(text, other):
    assert _compared(rule(text), rule(other)).n_poles_moved > 0


def test_equal_forms_do_not_differ():
    found = _compared(rule("(R - 1)*E"), rule("E*R - E"))
    assert found.difference < 1e-12
    assert found.n_poles_moved == 0


def test_what_sympy_makes_simpler_is_measured():
    found = simplified(rule("E*R + E*R + E**0.5*0"), seconds=60.0)
    assert found is not None
    assert found.rule.complexity < rule("E*R + E*R + E**0.5*0").complexity
    assert found.difference < 1e-12
    E = np.array([-2.0, 0.0, 3.0])
    np.testing.assert_allclose(found.rule.to_numpy()(R=1.0, E=E), 2 * E)
