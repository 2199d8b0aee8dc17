"""Our own logarithm: its error over the whole range, and its edges; and both functions in whole lanes."""

from __future__ import annotations

import math

import mpmath
import numba
import numpy as np
import pytest

from ruleforge.kernel import lanes
from ruleforge.kernel.functions import LARGEST, SMALLEST, SMALLEST_NORMAL, exponential, logarithm
from ruleforge.kernel.lanes import CACHE_LINE, LANES, aligned_zeros, load, store


@numba.njit
def over_all(values, results):
    for i in range(len(values)):
        results[i] = logarithm(values[i])


@numba.njit
def in_lanes(values, exponentials, logarithms):
    for i in range(0, len(values), LANES):
        store(exponentials, i, lanes.exponential(load(values, i)))
        store(logarithms, i, lanes.logarithm(load(values, i)))


@numba.njit
def one_by_one(values, exponentials, logarithms):
    for i in range(len(values)):
        exponentials[i], logarithms[i] = exponential(values[i]), logarithm(values[i])


def logarithms(values):
    results = np.zeros(len(values))
    over_all(np.asarray(values, dtype=np.float64), results)
    return results


def arguments():
    generator = np.random.Generator(np.random.PCG64(8))
    powers = 2.0 ** np.arange(-1022, 1024)
    halves = powers[:-1] * math.sqrt(2)  # where the reduced argument is largest
    return np.concatenate(
        [
            np.exp(generator.uniform(SMALLEST, LARGEST, 4000)),
            generator.uniform(0.5, 2.0, 4000),
            1.0 + generator.uniform(-1, 1, 1000) * 2.0 ** generator.integers(-52, -1, 1000),
            powers,
            np.nextafter(powers, 0),
            halves,
            np.nextafter(halves, np.inf),
            generator.uniform(0, 1, 500) * SMALLEST_NORMAL,
            np.arange(1.0, 200.0),
            [5e-324, SMALLEST_NORMAL, np.nextafter(SMALLEST_NORMAL, 0), np.finfo(float).max],
        ]
    )


def test_error_is_below_two_units_in_the_last_place():
    values = arguments()
    results = logarithms(values)
    worst = 0.0
    with mpmath.workdps(40):
        for x, result in zip(values, results, strict=True):
            true = mpmath.log(mpmath.mpf(float(x)))
            if true == 0:
                assert result == 0.0
                continue
            worst = max(worst, abs(mpmath.mpf(float(result)) - true) / mpmath.mpf(float(np.spacing(abs(float(true))))))
    assert worst < 2
    assert worst < 1  # what its docstring says


@pytest.mark.parametrize(
    ("x", "expected"),
    [(0.0, -np.inf), (-0.0, -np.inf), (1.0, 0.0), (np.inf, np.inf), (math.e, 1.0)],
)
def test_edges(x, expected):
    assert logarithms([x])[0] == expected


def test_of_one_is_zero_without_a_sign():
    assert not np.signbit(logarithms([1.0])[0])


@pytest.mark.parametrize("x", [np.nan, -1.0, -5e-324, -np.inf])
def test_not_a_number(x):
    assert np.isnan(logarithms([x])[0])


def test_it_never_falls():
    values = np.sort(np.concatenate([arguments(), np.linspace(0.9, 1.1, 20001), np.linspace(0.0, 30.0, 20001)]))
    results = logarithms(values)
    assert (results[1:] >= results[:-1]).all()


def test_lanes_have_the_bits_of_single_values():
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, -1.0, 5e-324, LARGEST, np.nextafter(LARGEST, 800), SMALLEST, -709.0]
    generator = np.random.Generator(np.random.PCG64(9))
    values = np.concatenate([special, arguments(), generator.uniform(-720, 720, 3000)])
    values = np.concatenate([values, np.ones(-len(values) % LANES)])
    together, alone = np.zeros((2, len(values))), np.zeros((2, len(values)))
    in_lanes(values, together[0], together[1])
    one_by_one(values, alone[0], alone[1])
    assert np.array_equal(together, alone, equal_nan=True)
    assert np.array_equal(np.signbit(together), np.signbit(alone))
    # Neither do neighbours or places matter.
    turned = np.roll(values, 5)
    moved = np.zeros((2, len(values)))
    in_lanes(turned, moved[0], moved[1])
    assert np.array_equal(np.roll(moved, -5, axis=1), together, equal_nan=True)


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 5), (2, 7, 16)])
def test_aligned_arrays_begin_on_a_cache_line(shape):
    array = aligned_zeros(*shape)
    assert array.shape == shape
    assert array.flags.c_contiguous
    assert not array.any()
    assert array.size == 0 or array.__array_interface__["data"][0] % CACHE_LINE == 0
