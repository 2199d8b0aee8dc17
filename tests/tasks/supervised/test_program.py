"""Instructions with shared work done once give the same bits as the reference semantics."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleforge.language.rule import Rule
from tasks.supervised import Supervised
from tasks.supervised.interpreter import run
from tasks.supervised.program import POTENTIAL, RESPONSE, TARGET, assemble

N_INPUTS, WIDTH = 3, 32
LEAVES = st.sampled_from(["v", "u", "s", 0.0, -0.0, 1.0, 0.1, -2.5])
EXACT = ["+", "-", "*", "/"]


def grow(children):
    binary = st.builds(lambda op, a, b: (op, *a, *b), st.sampled_from([*EXACT, "min", "max"]), children, children)
    unary = st.builds(lambda op, a: (op, *a), st.sampled_from(["neg", "abs", "sqrt"]), children)
    return binary | unary


EXPRESSIONS = st.recursive(LEAVES.map(lambda leaf: (leaf,)), grow, max_leaves=12)


@settings(max_examples=150, deadline=None)
@given(st.lists(EXPRESSIONS, min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_bits_are_those_of_the_reference(expressions, seed):
    generator = np.random.Generator(np.random.PCG64(seed))
    signals = {"v": generator.uniform(-75, -65, WIDTH), "u": generator.uniform(-75, -65, WIDTH)}
    signals["u"][:8] = signals["v"][:8]
    responses = generator.uniform(0, 0.1, (N_INPUTS, WIDTH))
    responses[:, ::5] = 0.0
    batch = [Rule.from_tokens([expression], Supervised) for expression in expressions]
    code, registers = assemble([rule.expressions[0] for rule in batch], ("v", "u", "s"), N_INPUTS, WIDTH)
    registers[TARGET], registers[POTENTIAL] = signals["v"], signals["u"]
    registers[RESPONSE : RESPONSE + N_INPUTS] = responses
    for row, rule in enumerate(batch):
        reference = rule.to_numpy()
        run(code.instructions, code.bounds[row, 0], code.bounds[row, 1], registers, registers.reshape(-1), WIDTH)
        for j in range(N_INPUTS):
            first, last = code.bounds[row, 1 + j], code.bounds[row, 2 + j]
            run(code.instructions, first, last, registers, registers.reshape(-1), WIDTH)
            expected = reference(**signals, s=responses[j])
            found = registers[code.results[row, j]]
            np.testing.assert_array_equal(found, expected)
            finite = ~np.isnan(expected)
            assert np.array_equal(np.signbit(found[finite]), np.signbit(expected[finite]))


def test_what_does_not_read_s_is_done_once():
    rule = Rule.parse("s*((v - u)*(2*u - 1))/v", Supervised)
    code, _ = assemble([rule.expressions[0]], ("v", "u", "s"), N_INPUTS, WIDTH)
    lengths = np.diff(code.bounds[0])
    assert lengths.tolist() == [4, 2, 2, 2]
