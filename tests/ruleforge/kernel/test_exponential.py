"""Our own exponential: its error over the whole range, and its edges."""

from __future__ import annotations

import math

import mpmath
import numba
import numpy as np
import pytest

from ruleforge.kernel.functions import LARGEST, SMALLEST, exponential


@numba.njit
def over_all(values, results):
    for i in range(len(values)):
        results[i] = exponential(values[i])


def exponentials(values):
    results = np.zeros(len(values))
    over_all(np.asarray(values, dtype=np.float64), results)
    return results


def error_in_ulps(x, result):
    true = mpmath.exp(mpmath.mpf(float(x)))
    return abs(mpmath.mpf(float(result)) - true) / mpmath.mpf(float(np.spacing(float(true))))


def arguments():
    generator = np.random.Generator(np.random.PCG64(7))
    halves = (np.arange(-1020, 1024) + 0.5) * math.log(2)  # where the reduced argument is largest
    return np.concatenate(
        [
            generator.uniform(SMALLEST, LARGEST, 4000),
            generator.uniform(-2, 2, 2000),
            generator.uniform(-1, 1, 500) * 2.0 ** generator.integers(-60, 0, 500),
            np.nextafter(halves, 0),
            halves[:-1],
            np.arange(-708, 710).astype(float),
            [SMALLEST, np.nextafter(SMALLEST, 0), LARGEST, np.nextafter(LARGEST, 0), 0.0, -0.0],
        ]
    )


def test_error_is_below_two_units_in_the_last_place():
    values = arguments()
    values = values[(values >= SMALLEST) & (values <= LARGEST)]
    results = exponentials(values)
    assert np.isfinite(results).all()
    with mpmath.workdps(40):
        worst = max(error_in_ulps(x, result) for x, result in zip(values, results, strict=True))
    assert worst < 2
    assert worst < 1  # what its docstring says


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (0.0, 1.0),
        (-0.0, 1.0),
        (1.0, math.e),
        (np.inf, np.inf),
        (-np.inf, 0.0),
        (1e308, np.inf),
        (-1e308, 0.0),
        (np.nextafter(LARGEST, np.inf), np.inf),
        (np.nextafter(SMALLEST, -np.inf), 0.0),
        (5e-324, 1.0),
    ],
)
def test_edges(x, expected):
    assert exponentials([x])[0] == expected


def test_not_a_number_stays_so():
    assert np.isnan(exponentials([np.nan])[0])


def test_it_overflows_exactly_where_float64_does():
    with np.errstate(over="ignore"):
        assert math.isinf(np.exp(np.nextafter(LARGEST, np.inf)))
        assert np.isfinite(np.exp(LARGEST))


def test_it_never_falls():
    values = np.sort(np.concatenate([np.linspace(-709, 709, 20001), np.linspace(-1, 1, 20001)]))
    results = exponentials(values)
    assert (np.diff(results) >= 0).all()


def test_the_same_bits_in_every_lane():
    values = arguments()[:1003]
    together = exponentials(values)
    for begin in range(9):
        assert (exponentials(values[begin : begin + 1]) == together[begin]).all()
        assert (exponentials(values[begin:]) == together[begin:]).all()
