"""Which rules count as the same: by their trees, by what they do, by name."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from random_expressions import EVERY, expressions, folded, same_bits, values
from toy_families import Toy, Twin

from ruleforge.family import family_class, family_names
from ruleforge.language import Rule, behaviour, recognise
from ruleforge.language.identity import KnownRule, Recogniser
from ruleforge.language.primitives import PRIMITIVES
from ruleforge.language.tokens import canonical, fold


def toy(text):
    return Rule.parse(text, Toy)


def twin(text):
    return Rule.parse(text, Twin)


def mirrored(tokens):
    """The same tree with the operands of every + and × exchanged."""

    def node(primitive, operands):
        if primitive.name in ("+", "*"):
            operands = operands[::-1]
        return (primitive.name, *itertools.chain(*operands))

    return fold(tokens, lambda token: (token,), node)


@given(expressions(("R", "E"), EVERY), values(2))
def test_exact_identity_forgets_the_order_of_sums_and_products_and_nothing_is_lost(tokens, inputs):
    here, there = (Rule("toy", Toy.slots, (form,)) for form in (tokens, mirrored(tokens)))
    assert here.id == there.id
    assert here == there
    assert hash(here) == hash(there)
    named = dict(zip(("R", "E"), inputs, strict=True))
    assert same_bits(folded(here.expressions[0], named), folded(there.expressions[0], named)).all()
    assert same_bits(folded(canonical(tokens), named), folded(tokens, named)).all()


@given(expressions(("R", "E"), EVERY, max_leaves=3), expressions(("R", "E"), EVERY, max_leaves=3), values(2))
def test_equal_identities_mean_equal_bits(first, second, inputs):
    a, b = (Rule("toy", Toy.slots, (form,)) for form in (first, second))
    named = dict(zip(("R", "E"), inputs, strict=True))
    if a.id == b.id:
        assert same_bits(folded(first, named), folded(second, named)).all()
    else:
        assert canonical(first) != canonical(second) or repr(canonical(first)) != repr(canonical(second))


@pytest.mark.parametrize("name", [name for name, p in PRIMITIVES.items() if p.arity == 2 and name not in ("+", "*")])
def test_no_other_operator_may_swap_its_operands(name):
    assert Rule("toy", Toy.slots, ((name, "R", "E"),)).id != Rule("toy", Toy.slots, ((name, "E", "R"),)).id


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(R + E) + 1", "R + (E + 1)"),
        ("E*(R*2)", "(E*R)*2"),
        ("R - 1", "R + (-1)"),
        ("-2", "-(2)"),
        ("0", "-0"),
        ("R*R", "R**2"),
        ("E/2", "E*0.5"),
    ],
)
def test_exact_identity_knows_no_algebra(one, other):
    assert toy(one).id != toy(other).id


def test_identity_includes_task_and_slots():
    assert Rule("toy", Toy.slots, (("R",),)).id != Rule("other", Toy.slots, (("R",),)).id
    assert twin("depress: w; facilitate: x").id != twin("depress: x; facilitate: w").id


def test_identity_is_the_same_in_every_process():
    assert toy("(R - 1)*E").id == toy("E*(R - 1)").id
    assert len(toy("R").id) == 32
    assert toy("(R - 1)*E").id == "dd65464e6c96486bfe3b9b3acc09f533"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(R - 1)*E", "E*(R - 1)/R**2"),
        ("(R - 1)*E", "R*E - E"),
        ("(R - 1)*E", "-2*E*(1 - R)/2"),
        ("R*R", "1"),
        ("E/R", "E*R"),
        ("0.1 + 0.2", "0.3"),
        ("R/0", "1/R*1e308*1e308"),
    ],
)
def test_equal_behaviour(one, other):
    assert behaviour(toy(one)) == behaviour(toy(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(R - 1)*E", "(R + 1)*E"),
        ("E", "-E"),
        ("E", "1.0001*E"),
        ("E", "E**2/E"),  # not a number at E = 0
        ("1/E", "1/-(-E) + 0/E"),
        ("R/0", "-R/0"),
        ("E - E", "E/0 - E/0"),
    ],
)
def test_different_behaviour(one, other):
    assert behaviour(toy(one)) != behaviour(toy(other))


def test_poles_of_different_sign_are_different_behaviours():
    assert behaviour(twin("depress: 0; facilitate: -w/(w - 1)")) != behaviour(twin("depress: 0; facilitate: w/(1 - w)"))


def test_behaviour_does_not_mix_up_slots():
    assert behaviour(twin("depress: w; facilitate: x")) != behaviour(twin("depress: x; facilitate: w"))


@given(expressions(("R", "E"), EVERY))
def test_behaviour_of_any_rule_is_a_value_not_an_error(tokens):
    here, there = (Rule("toy", Toy.slots, (form,)) for form in (tokens, mirrored(tokens)))
    with np.errstate(all="raise"):
        assert behaviour(here) == behaviour(there)


@pytest.mark.parametrize(
    ("text", "name", "factor"),
    [
        ("(R - 1)*E", "gated", 1.0),
        ("E*(R - 1)/R**2", "gated", 1.0),
        ("0.1*(R*E - E)", "gated", 0.1),
        ("(1e-9*R - 1e-9)*E", "gated", 1e-9),
        ("1e12*R*E", "plain", 1e12),
        ("E/R", "plain", 1.0),
    ],
)
def test_known_rules_are_recognised_up_to_a_positive_factor(text, name, factor):
    found = recognise(toy(text), Toy.known_rules())
    assert found is not None
    assert found.name == name
    assert found.factor == pytest.approx(factor)
    assert (found.factor == 1.0) == (factor == 1.0)
    assert str(found) == (name if factor == 1.0 else f"{factor:.4g} × {name}")


@pytest.mark.parametrize(
    "text",
    [
        "(1 - R)*E",
        "-R*E",
        "R*E + 0.001",
        "0",
        "E - E",
        "1e-13*abs(E)",
        "1e-200*R*E*1e-200",
        "R/0",
        "R*E + 0/E",
        "1e200*(R - 1)*E*E*1e200",
        "R",
        "E",
    ],
)
def test_nothing_else_is_recognised(text):
    assert recognise(toy(text), Toy.known_rules()) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("depress: x/w - w; facilitate: (x*w)**w - 1", "evolved"),
        ("depress: 2*x/w - 2*w; facilitate: 2*(x*w)**w - 2", "2 × evolved"),
        ("depress: x/w - w; facilitate: 2*(x*w)**w - 2", None),
        ("depress: x; facilitate: x", "pair"),
        ("depress: 3*x; facilitate: 3*x", "3 × pair"),
        ("depress: 3*x; facilitate: x", None),
        ("depress: x; facilitate: -x", None),
        ("depress: 0; facilitate: x - 0.15", "potentiation only"),
        ("depress: w - w; facilitate: 4*x - 0.6", "4 × potentiation only"),
        ("depress: 0; facilitate: 0.15 - x", None),
        ("depress: 0.01; facilitate: x - 0.15", None),
        ("depress: 0; facilitate: 0", None),
        ("depress: 0; facilitate: x", None),
    ],
)
def test_one_factor_holds_for_all_slots(text, found):
    recognised = recognise(twin(text), Twin.known_rules())
    assert (recognised and str(recognised)) == found


@pytest.mark.parametrize("task", family_names())
def test_every_known_rule_of_every_family_is_recognised_as_itself(task):
    known = family_class(task).known_rules()
    assert {name: str(recognise(entry.rule, known)) for name, entry in known.items()} == {name: name for name in known}


@pytest.mark.parametrize(
    ("text", "name", "distance"),
    [
        ("3*(R - 1)*E", "gated", pytest.approx(0.0, abs=1e-6)),
        ("(R - 0.9)*E", "gated", pytest.approx(0.05, abs=0.03)),
        ("E", None, None),  # the opposite where R = −1, and nothing in common where R = 1
        ("R - R", None, None),
        ("R/0", None, None),
    ],
)
def test_the_nearest_known_rule(text, name, distance):
    recogniser = Recogniser({"gated": KnownRule("gated", toy("(R - 1)*E"), "")})
    found = recogniser.nearest(toy(text))
    if name is None:
        assert found is None
    else:
        assert found.name == name
        assert found.distance == distance


def test_distances_grow_with_the_difference_and_stay_below_one():
    recogniser = Recogniser({"gated": KnownRule("gated", toy("(R - 1)*E"), "")})
    distances = [recogniser.nearest(toy(f"(R - {b})*E")).distance for b in (1, 0.9, 0.5, 0.1)]
    assert distances == sorted(distances)
    assert distances[0] < 1e-6 < distances[1]
    assert distances[-1] < 1.0


def test_without_known_rules_nothing_is_near():
    assert Recogniser({}).nearest(toy("E")) is None
