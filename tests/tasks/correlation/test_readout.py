"""The readout in closed form against its definition, step by step in extended precision, where it could go wrong."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from ruleforge.family import Outcome
from ruleforge.language.rule import Rule
from tasks.correlation import Correlation
from tasks.correlation.readout import read_out

_specification = importlib.util.spec_from_file_location("plain_correlation", Path(__file__).with_name("plain.py"))
plain = importlib.util.module_from_spec(_specification)
_specification.loader.exec_module(plain)

SHORT = {"duration": 3000.0, "readout": 2500.0, "n_inputs": 50, "input_rate": 10.0, "initial_weight": 0.5}
TOLERANCE = 1e-11  # relative


def defined(family, instance, weights):
    """Signal-to-noise ratio, m and σ from V at every step, as long double."""
    own = family.parameters
    n_steps = own.steps(own.readout)
    decay = np.exp(-np.longdouble(own.resolution) / np.longdouble(own.membrane_time_constant))
    passes = list(zip(instance.passes.tolist(), instance.inputs.tolist(), strict=True))
    carried = [np.longdouble(own.maximal_weight) * np.longdouble(w) for w in weights]
    start = np.longdouble(instance.readout_potential)
    V = np.array(plain.potentials(passes, carried, start, n_steps, decay, own.steps(own.dendritic_delay)))
    step = np.arange(1, n_steps + 1)
    complete = [(first, last) for first, last in instance.windows if last <= n_steps]
    if own.first_window_in_baseline:  # half-open windows, the first one left out, and the last step not recorded
        V, step = V[:-1], step[:-1]
        complete = complete[1:]
        left_out = [(step >= first) & (step < last) for first, last in instance.windows[1:]]
    else:
        left_out = [(step >= first) & (step <= last) for first, last in instance.windows]
    complete = [(step >= first) & (step <= last) for first, last in complete]
    baseline = V[~np.any(left_out, axis=0)] if left_out else V
    mean, deviation = baseline.mean(), baseline.std()
    return np.array([np.mean([(V[window].max() - mean) / deviation for window in complete]), mean, deviation])


def check(family, instance, weights):
    found = read_out(weights[None], instance, family.settings)[:, 0]
    np.testing.assert_allclose(found, defined(family, instance, weights).astype(np.float64), rtol=TOLERANCE)


@pytest.fixture
def generator():
    return np.random.Generator(np.random.PCG64(11))


def drawn(generator, family, starts, *, rate=10.0, potential=3.0):
    """Poisson spikes; several fall into one step, and some at the edges of windows."""
    own = family.parameters
    counts = generator.poisson(rate * 1e-3 * own.duration, own.n_inputs)
    trains = [np.sort(generator.integers(0, own.steps(own.duration), n)) * own.resolution for n in counts]
    before = own.axonal_delay + own.dendritic_delay
    edges = [time - before for start in starts for time in (start, start + own.pattern_duration) if time >= before]
    trains[0] = np.sort(np.array([edge for edge in edges if edge < own.duration]))
    return family.instance_from_arrays(trains, starts, 0.5, initial_potential=potential)


@pytest.mark.parametrize(
    ("starts", "changed"),
    [
        ([400.0, 900.0, 1400.0], {}),
        ([400.0, 900.0, 1400.0], {"first_window_in_baseline": True}),
        ([0.0, 500.0], {}),
        ([0.0, 500.0], {"first_window_in_baseline": True}),
        ([400.0, 500.1, 600.2], {"first_window_in_baseline": True}),
        ([400.0, 900.0, 2450.0], {"first_window_in_baseline": True}),  # the end of the readout cuts the last one off
        ([400.0, 900.0, 2400.0], {"first_window_in_baseline": True}),  # or ends with it, as in the published readouts
        ([400.0, 500.1, 600.2], {}),  # windows without a step between them
        ([400.0, 2450.0], {}),  # the end of the readout cuts the second one off
        ([400.0, 2400.0], {}),  # and here it just holds it
        ([400.0, 2600.0], {}),  # or does not reach it
        ([400.0, 900.0], {"resolution": 1.0, "membrane_time_constant": 0.5}),  # the potential decays to 0
        ([400.0, 900.0], {"dendritic_delay": 3.0, "maximal_weight": 0.25}),
    ],
)
def test_every_place_of_windows(generator, starts, changed):
    family = Correlation({**SHORT, **changed})
    instance = drawn(generator, family, starts)
    for potential_weights in (generator.uniform(0, 1, instance.n_inputs), np.eye(instance.n_inputs)[0]):
        check(family, instance, potential_weights)


@pytest.mark.parametrize("potential", [-10.0, 10.0])
def test_a_potential_that_no_spike_moves(potential):
    """Above 0 it is highest where a window begins, below 0 where it ends."""
    family = Correlation(SHORT)
    for times in ([[], []], [[900.0], [1800.0]]):
        instance = family.instance_from_arrays(times, [20.0, 400.0], 0.5, initial_potential=potential)
        check(family, instance, np.array([0.0, 0.7]))


def test_a_mean_of_many_deviations(generator):
    family = Correlation({**SHORT, "membrane_time_constant": 5000.0, "threshold": 1e5, "n_inputs": 200})
    instance = drawn(generator, family, [400.0, 900.0, 1400.0, 1900.0], rate=800.0, potential=400_000.0)
    weights = np.full(instance.n_inputs, 0.5)
    ratio, mean, deviation = defined(family, instance, weights)
    assert mean > 500 * deviation
    np.testing.assert_allclose(
        read_out(weights[None], instance, family.settings)[:, 0],
        np.array([ratio, mean, deviation], dtype=np.float64),
        rtol=1e-9,
    )


def test_an_instance_is_read_out_as_the_family_that_evaluates_it_says(generator):
    """Not as the one that built it."""
    instance = drawn(generator, Correlation(SHORT), [400.0, 900.0, 1400.0])
    weights = generator.uniform(0, 1, instance.n_inputs)
    for changed in ({"readout": 1200.0}, {"dendritic_delay": 2.0}, {"first_window_in_baseline": True}):
        check(Correlation({**SHORT, **changed}), instance, weights)


@pytest.mark.parametrize("weight", [1e308, np.inf])
def test_a_potential_that_overflows_has_no_fitness(generator, weight):
    family = Correlation(SHORT)
    instance = drawn(generator, family, [400.0])
    assert not np.isfinite(read_out(np.full((1, instance.n_inputs), weight), instance, family.settings)[0, 0])
    silent = family.instance_from_arrays([[], []], [400.0], 0.5)
    rule = Rule.parse("depress: x; facilitate: x", Correlation)
    assert family.evaluate([rule], silent).outcome == (Outcome.non_finite,)
