"""Sixteen values side by side: where NaN and the bounds go, and where arrays begin."""

import numba
import numpy as np
import pytest

from ruleforge.kernel import lanes
from ruleforge.kernel.functions import element, set_element
from ruleforge.kernel.lanes import CACHE_LINE, LANES, aligned_zeros

VALUES = np.array([np.nan, -np.inf, np.inf, -2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0])


@numba.njit
def bounded(values, bound, at_most, at_least, where_greater):
    value, limit = lanes.load(values, 0), lanes.broadcast(bound)
    lanes.store(at_most, 0, lanes.at_most(limit, value))
    lanes.store(at_least, 0, lanes.at_least(limit, value))
    lanes.store(where_greater, 0, lanes.where_greater(value, limit))


@pytest.mark.parametrize("bound", [1.0, 0.0, -np.inf])
def test_bounds_keep_nan_or_replace_it(bound):
    at_most, at_least, where_greater = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    bounded(VALUES, bound, at_most, at_least, where_greater)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(at_most, np.where(bound < VALUES, bound, VALUES))
        np.testing.assert_array_equal(at_least, np.where(bound > VALUES, bound, VALUES))
        np.testing.assert_array_equal(where_greater, np.where(bound < VALUES, VALUES, bound))
    assert np.isnan(at_most[0])
    assert np.isnan(at_least[0])
    assert where_greater[0] == bound


@pytest.mark.parametrize("shape", [(1,), (3, 1008), (2, 5, 64)])
def test_aligned_zeros_begin_at_a_cache_line(shape):
    array = aligned_zeros(*shape)
    assert array.shape == shape
    assert array.ctypes.data % CACHE_LINE == 0
    assert array.flags.c_contiguous
    assert not array.any()


@numba.njit
def doubled(array):
    for index in range(array.size):
        set_element(array, index, element(array, index) * 2)


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.int64])
def test_elements_of_every_type_of_number(dtype):
    array = np.arange(-3, 5).astype(dtype)
    doubled(array)
    np.testing.assert_array_equal(array, np.arange(-3, 5) * 2)
