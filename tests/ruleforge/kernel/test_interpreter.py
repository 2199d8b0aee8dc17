"""The compiled interpreter gives the numbers of the numpy reference, for every rule and every input."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_expressions import EVERY, EXACT, SPECIAL, expressions, folded, same_bits, values
from toy_families import Toy

from ruleforge.kernel.interpreter import fill_constants, run_program
from ruleforge.kernel.program import compile_programs
from ruleforge.language import Rule
from ruleforge.language.primitives import PRIMITIVES, apply
from ruleforge.language.tokens import fold

SIGNALS = ("R", "E", "R_mean")
# Elementary functions: libm, our polynomial and numpy's own may each differ by a little in the last place.
ULPS = {"exp": 2.0, "log": 2.0, "tanh": 4.0, "**": 4.0}
SMALLEST_NORMAL = 2.2250738585072014e-308


def run(tokens, inputs, symbols=SIGNALS):
    return run_program(compile_programs([tokens], symbols), 0, np.asarray(inputs, dtype=np.float64))


def stepwise(tokens, inputs):
    """Each operation as a program of its own, so that only the way from tree to program can make a difference."""

    def node(primitive, operands):
        symbols = ("a", "b")[: primitive.arity]
        return run((primitive.name, *symbols), np.array(operands), symbols)

    named = dict(zip(SIGNALS, inputs, strict=True))
    return fold(tokens, lambda t: named[t] if isinstance(t, str) else np.full(inputs.shape[1], t), node)


@given(expressions(SIGNALS, EXACT, max_leaves=30), values(3))
def test_arithmetic_is_that_of_numpy_bit_for_bit(tokens, inputs):
    named = dict(zip(SIGNALS, inputs, strict=True))
    compiled = run(tokens, inputs)
    assert same_bits(compiled, folded(tokens, named)).all()
    assert same_bits(compiled, Rule("toy", Toy.slots, (tokens,)).to_numpy()(**named)).all()


@given(expressions(SIGNALS, EVERY, max_leaves=30), values(3))
def test_programs_compute_what_the_tree_says(tokens, inputs):
    assert same_bits(run(tokens, inputs), stepwise(tokens, inputs)).all()


def operands(arity):
    """(arity, n): every combination of special values, then random ones over many magnitudes."""
    generator = np.random.Generator(np.random.PCG64(11))
    special = np.array(np.meshgrid(*[SPECIAL] * arity)).reshape(arity, -1)
    random = generator.standard_normal((arity, 4000)) * np.exp(generator.uniform(-6, 6, (arity, 4000)))
    small = generator.uniform(-8, 8, (arity, 4000))
    whole = generator.integers(-9, 10, (arity, 1000)).astype(float)
    mixed = np.concatenate([small[:1, :1000], whole[-1:, :]])[:arity]
    return np.concatenate([special, random, small, whole, mixed], axis=1)


@pytest.mark.parametrize("name", EVERY)
def test_each_operator_on_special_and_random_values(name):
    primitive = PRIMITIVES[name]
    inputs = operands(primitive.arity)
    symbols = ("a", "b")[: primitive.arity]
    compiled, reference = run((name, *symbols), inputs, symbols), apply(primitive, list(inputs))
    if name in EXACT:
        assert same_bits(compiled, reference).all()
        return
    # exp: results below 3.4e-308 are 0 in the kernels.
    kept = np.isfinite(reference) & ~((name == "exp") & (inputs[0] < -708))
    assert same_bits(compiled[~np.isfinite(reference)], reference[~np.isfinite(reference)]).all()
    distance = np.abs(compiled[kept] - reference[kept]) / np.spacing(np.abs(reference[kept]))
    assert distance.max() <= ULPS[name]
    assert (np.signbit(compiled[kept]) == np.signbit(reference[kept])).all()


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "**"])
def test_elementary_functions_against_fifty_digits(name):
    primitive = PRIMITIVES[name]
    generator = np.random.Generator(np.random.PCG64(3))
    inputs = generator.uniform(-12, 12, (primitive.arity, 300))
    if name in ("log", "**"):
        inputs[0] = np.exp(inputs[0])
    symbols = ("a", "b")[: primitive.arity]
    compiled = run((name, *symbols), inputs, symbols)
    exact = {"exp": mpmath.exp, "log": mpmath.log, "tanh": mpmath.tanh, "**": mpmath.power}[name]
    with mpmath.workdps(50):
        for column, result in zip(inputs.T, compiled, strict=True):
            true = exact(*(mpmath.mpf(float(value)) for value in column))
            assert abs(mpmath.mpf(float(result)) - true) < ULPS[name] * np.spacing(abs(float(true)))


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("-E/(E - 1)", 1.0, -np.inf),
        ("E/(1 - E)", 1.0, np.inf),
        ("1/E", -0.0, -np.inf),
        ("1/sign(E)", -0.0, np.inf),  # numpy's sign of −0 is 0
        ("1/abs(E)", -0.0, np.inf),
        ("1/-E", 0.0, -np.inf),
        ("1/sqrt(E)", -0.0, -np.inf),
        ("E/E", 0.0, np.nan),
        ("sqrt(E)", -1.0, np.nan),
        ("log(E)", 0.0, -np.inf),
        ("log(E)", -1.0, np.nan),
        ("E**0", np.nan, 1.0),
        ("E**0.5", -np.inf, np.inf),
        ("0**E", -1.0, np.inf),
        ("exp(E)", np.inf, np.inf),
        ("exp(E)", -np.inf, 0.0),
        ("max(E, 0)", np.nan, np.nan),
        ("max(0, E)", np.nan, np.nan),
        ("1/min(E, 0)", -0.0, -np.inf),
        ("1/min(0, E)", -0.0, np.inf),
        ("E - E", np.inf, np.nan),
        ("-0 + E", -0.0, -0.0),
        ("-2**E", 2.0, -4.0),
    ],
)
def test_poles_and_signs_of_zero(text, value, expected):
    rule = Rule.parse(text, Toy)
    inputs = np.array([[1.0], [value], [1.0]])
    assert same_bits(run(rule.expressions[0], inputs), [expected]).all()
    assert same_bits(rule.to_numpy()(E=value), [expected]).all()


@given(st.lists(expressions(SIGNALS, EVERY), min_size=1, max_size=6), values(3), st.integers(0, 31))
def test_a_rule_does_not_feel_its_batch_or_the_values_beside_it(batch, inputs, column):
    together = compile_programs(batch, SIGNALS)
    for row, tokens in enumerate(batch):
        alone = run(tokens, inputs)
        assert same_bits(run_program(together, row, inputs), alone).all()
        assert same_bits(run(tokens, inputs[:, column : column + 1]), alone[column : column + 1]).all()
        assert same_bits(run(tokens, inputs[:, : column + 1]), alone[: column + 1]).all()


@given(st.lists(expressions(SIGNALS, EVERY, max_leaves=30), min_size=1, max_size=6))
def test_programs_are_well_formed(batch):
    programs = compile_programs(batch, SIGNALS)
    n_fixed = len(SIGNALS) + programs.constants.shape[1]
    assert fill_constants(programs, 4).shape == (len(batch), programs.n_registers, 4)
    for row, tokens in enumerate(batch):
        written = set(range(n_fixed))
        for opcode, destination, *sources in programs.instructions[row, : programs.lengths[row]].tolist():
            arity = next(p.arity for p in PRIMITIVES.values() if p.opcode == opcode)
            assert n_fixed <= destination < programs.n_registers
            assert set(sources[:arity]) <= written
            assert destination not in sources  # else the loop over values is not vectorised
            written.add(destination)
        assert int(programs.results[row]) in written
        assert programs.lengths[row] <= sum(token in PRIMITIVES for token in tokens)


def test_repeated_parts_are_computed_once_and_registers_reused():
    tokens = Rule.parse("(R - E)*(R - E) + exp(R - E)/(R - E)", Toy).expressions[0]
    programs = compile_programs([tokens], SIGNALS)
    assert programs.lengths[0] == 5
    chain = Rule.parse("abs(" * 30 + "R" + ")" * 30, Toy).expressions[0]
    assert compile_programs([chain], SIGNALS).n_registers == len(SIGNALS) + 2


def test_zero_and_minus_zero_are_two_constants():
    tokens = Rule.parse("1/0 - 1/(-0)", Toy).expressions[0]
    assert run(tokens, np.zeros((3, 2))).tolist() == [np.inf, np.inf]


def test_a_program_without_operations_gives_its_signal_or_constant():
    assert run(("E",), [[1.0], [2.0], [3.0]]).tolist() == [2.0]
    assert run((4.0,), [[1.0], [2.0], [3.0]]).tolist() == [4.0]


def test_programs_leave_signals_and_constants_alone():
    programs = compile_programs([("+", "R", 2.0), ("*", "E", "E")], SIGNALS)
    inputs = np.arange(6.0).reshape(3, 2)
    before = inputs.copy()
    first = run_program(programs, 0, inputs)
    run_program(programs, 1, inputs)
    np.testing.assert_array_equal(inputs, before)
    np.testing.assert_array_equal(run_program(programs, 0, inputs), first)
