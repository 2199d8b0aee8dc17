"""What the correlation family promises beside its numbers: determinism, outcomes, errors, traces."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from matplotlib.figure import Figure

from ruleforge.errors import InputError, SpecificationError
from ruleforge.family import SPLITS, Outcome
from ruleforge.language.identity import recognise
from ruleforge.language.rule import Rule
from ruleforge.spec import job_spec
from tasks.correlation import Correlation

SHORT = {"duration": 4000.0, "readout": 3000.0}
KNOWN = list(Correlation.known_rules().values())


@pytest.fixture(scope="module")
def family():
    return Correlation(SHORT)


@pytest.fixture(scope="module")
def instance(family):
    return family.build(family.keys("training", 1, 0)[0])


def rule(text):
    return Rule.parse(text, Correlation)


def test_a_rule_has_the_same_bits_in_every_batch_and_thread(family, instance):
    rules = [known.rule for known in KNOWN] * 2
    together = family.evaluate(rules, instance)
    alone = [family.evaluate([each], instance) for each in rules]
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(lambda each: family.evaluate([each], instance), rules))
    for row in range(len(rules)):
        for other in (alone[row], threaded[row]):
            assert together.fitness[row] == other.fitness[0]
            assert together.metrics["mean_weight"][row] == other.metrics["mean_weight"][0]


def test_rules_learn_differently(family, instance):
    fitness = family.evaluate([known.rule for known in KNOWN], instance).fitness
    assert len(set(fitness)) == len(fitness)


def test_instances_are_repeatable_and_differ_between_splits(family):
    built = {}
    for split in SPLITS:
        for key in family.keys(split, 2, 9):
            built[str(key)] = family.build(key)
            again = Correlation(SHORT).build(key)
            np.testing.assert_array_equal(built[str(key)].passes, again.passes)
            assert built[str(key)].initial_potential == again.initial_potential
            assert built[str(key)].initial_weights[0] == again.initial_weights[0]
    assert len({instance.initial_potential for instance in built.values()}) == 2 * len(SPLITS)
    assert len({instance.passes[:50].tobytes() for instance in built.values()}) == 2 * len(SPLITS)


def test_the_pattern_recurs_and_does_not_show_in_the_rates():
    family = Correlation({"duration": 20_000.0})
    instance = family.build(family.keys("test", 1, 4)[0])
    sent = instance.passes - 10
    seen = [
        {(int(step - first), int(i)) for step, i in zip(sent, instance.inputs, strict=True) if first < step <= last}
        for first, last in instance.windows[:5]
    ]
    assert seen[0]
    assert all(each == seen[0] for each in seen)
    taking_part = sorted({i for _, i in seen[0]})
    assert 200 < len(taking_part) < 320  # 1000·(1 − exp(−0.3)) = 259 expected
    counts = np.bincount(instance.inputs, minlength=1000)
    others = np.setdiff1d(np.arange(1000), taking_part)
    assert counts[taking_part].mean() == pytest.approx(counts[others].mean(), rel=0.05)


def test_initial_weight_is_exact_if_given_and_scattered_if_not():
    exact = Correlation({**SHORT, "initial_weight": 0.5})
    assert {exact.build(key).initial_weights[0] for key in exact.keys("training", 3, 1)} == {0.5}
    drawn = Correlation(SHORT)
    assert drawn.parameters.mean_initial_weight == pytest.approx(0.384407, abs=1e-6)
    assert len({drawn.build(key).initial_weights[0] for key in drawn.keys("training", 3, 1)}) == 3


@pytest.mark.parametrize("depress", ["0 - 1/0", "-1/(w - w)", "-10**300*10**300"])
def test_infinite_weights_are_an_outcome(family, instance, depress):
    scores = family.evaluate([rule(f"depress: {depress}; facilitate: x"), rule("depress: x; facilitate: x")], instance)
    assert scores.outcome == (Outcome.non_finite, Outcome.ok)
    assert scores.fitness[0] == -np.inf
    assert np.isnan(scores.metrics["mean_weight"][0])


def test_weights_that_are_finite_but_overflow_the_readout(family, instance):
    scores = family.evaluate(
        [rule("depress: 0 - 10**308*10; facilitate: 0"), rule("depress: x; facilitate: x")], instance
    )
    assert scores.outcome == (Outcome.non_finite, Outcome.ok)


def test_not_a_number_in_a_facilitation_ends_as_zero(family, instance):
    scores = family.evaluate([rule("depress: 0; facilitate: (x - x)/(x - x)")], instance)
    assert scores.outcome == (Outcome.ok,)
    assert 0 <= scores.metrics["mean_weight"][0] < 0.1 * instance.initial_weights[0]


def test_lower_bound_of_facilitation():
    for bound, low in ((None, 0.0), (0.3, 0.3)):
        family = Correlation({**SHORT, "initial_weight": 0.6, "facilitate_lower_bound": bound})
        instance = family.build(family.keys("training", 1, 2)[0])
        weights = family.trace(rule("depress: 0; facilitate: 0 - 100"), instance)["weight"].values
        assert weights[-1].min() == low


def test_a_saturated_rule_is_given_up_only_below_the_hurdle():
    family = Correlation({"duration": 20_000.0, "saturated_rate": 40.0})
    instance = family.build(family.keys("training", 1, 0)[0])
    rules = [rule("depress: -w; facilitate: x + 1"), rule("depress: -w + 0.1; facilitate: x**2 - w")]
    free = family.evaluate(rules, instance)
    assert free.outcome == (Outcome.ok, Outcome.ok)
    assert free.metrics["output_rate"][0] > 60
    hurdle = family.evaluate(rules, instance, give_up_below=5.0)
    assert hurdle.outcome == (Outcome.rejected_at_hurdle, Outcome.ok)
    assert hurdle.fitness[0] == -np.inf
    assert hurdle.fitness[1] == free.fitness[1]
    np.testing.assert_array_equal(family.evaluate(rules, instance, give_up_below=0.1).fitness, free.fitness)
    never = Correlation({"duration": 20_000.0})
    np.testing.assert_array_equal(never.evaluate(rules, instance, give_up_below=5.0).fitness, free.fitness)


def test_only_searches_give_saturated_rules_up():
    assert Correlation().parameters.saturated_rate is None
    assert job_spec({"task": "correlation"}).parameters["saturated_rate"] == 40.0
    own = {"task": "correlation", "parameters": {"saturated_rate": 1000.0}}
    assert job_spec(own).parameters["saturated_rate"] == 1000.0


def test_a_rule_is_as_good_as_its_worst_instance(family):
    assert family.aggregate(np.array([3.0, -np.inf, 5.0])) == -np.inf
    assert family.aggregate(np.array([3.0, 2.0])) == 2.0
    assert family.ceiling(np.array([3.0, 2.0])) == 2.0


def test_an_empty_batch(family, instance):
    assert family.evaluate([], instance).fitness.shape == (0,)


def test_known_rules_are_recognised():
    known = Correlation.known_rules()
    found = recognise(rule("depress: 2.1*x; facilitate: 2*x"), known)
    assert found is not None
    assert (found.name, found.factor) == ("additive STDP", pytest.approx(2.0))
    assert all(each.citation for each in KNOWN)
    assert sum(each.published is not None for each in KNOWN) == 10


def test_instance_from_arrays_replays_an_instance(family, instance):
    sent = (instance.passes - 10) * 0.1
    times = [sent[instance.inputs == i] for i in range(instance.n_inputs)]
    replayed = family.instance_from_arrays(
        times, np.arange(400.0, 4000.0, 500.0), instance.initial_weights, initial_potential=instance.initial_potential
    )
    np.testing.assert_array_equal(replayed.passes, instance.passes)
    np.testing.assert_array_equal(replayed.inputs, instance.inputs)
    np.testing.assert_array_equal(replayed.windows, instance.windows)
    finer = family.instance_from_arrays([time + 0.04 for time in times], [400.0, 900.0], 0.5)
    np.testing.assert_array_equal(finer.passes, instance.passes)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"spike_times": []}, "spike_times: expected a sequence"),
        ({"spike_times": "12"}, "spike_times: expected a sequence"),
        ({"spike_times": [[1.0], [3.0, 2.0]]}, "spike_times/1: expected ascending times, and 2 ms comes after 3 ms"),
        ({"spike_times": [[-1.0, 2.0]]}, r"spike_times/0: expected times in \[0, 4000\) ms.*-1 ms came"),
        ({"spike_times": [[4000.0]]}, r"expected times in \[0, 4000\) ms.*4000 ms came"),
        ({"spike_times": [[float("nan")]]}, "expected finite numbers, and element 0 is nan"),
        ({"spike_times": [[[1.0]]]}, r"one-dimensional array, and one of shape \(1, 1\)"),
        ({"spike_times": [["now"]]}, "expected numbers"),
        ({"pattern_starts": [400.0, 450.0]}, "more than pattern_duration"),
        ({"pattern_starts": []}, "at least one pattern that ends within the readout"),
        ({"pattern_starts": [2950.0]}, "at least one pattern that ends within the readout"),
        ({"initial_weights": [0.5, 0.5]}, r"expected an array of shape \(1,\), and one of shape \(2,\)"),
        ({"initial_weights": 1.5}, r"expected weights in \[0, 1\], and element 0 is 1.5"),
        ({"initial_weights": float("inf")}, "initial_weights: expected finite numbers"),
        ({"initial_potential": float("nan")}, "initial_potential: expected a finite number of mV, and nan came"),
        ({"readout_potential": "high"}, "readout_potential: expected a finite number"),
    ],
)
def test_bad_arrays_are_refused_by_name(family, changed, message):
    given = {"spike_times": [[1.0, 2.0]], "pattern_starts": [400.0], "initial_weights": 0.5, **changed}
    with pytest.raises(InputError, match=message):
        family.instance_from_arrays(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"duration": 100_000.05},
            r"duration is expected to be a multiple of resolution \(0.1 ms\), it is 100000.05 ms",
        ),
        ({"dendritic_delay": 10_999.0}, "must add up to less than readout"),
        ({"duration": 5000.0}, "readout .11000 ms. must not be longer than duration"),
        ({"readout": 450.0}, "must hold the first pattern, which ends at 500 ms"),
        ({"pattern_interval": 100.0}, "pattern_interval"),
        ({"initial_weight": 1.5}, "less than or equal to 1"),
        ({"n_inputs": 1}, "without initial_weight"),
        ({"threshhold": 3}, "Did you mean 'threshold'"),
        ({"learning_rate": float("nan")}, "finite"),
    ],
)
def test_bad_parameters_are_refused(given, message):
    with pytest.raises(SpecificationError, match=message):
        Correlation(given)


def test_experiments_are_long_enough_for_what_is_drawn_or_given_as_arrays():
    """At most 1.25·rate·duration spikes are drawn per input, which thins the end of a short experiment."""
    short = Correlation({"duration": 1900.0, "readout": 1900.0})
    with pytest.raises(SpecificationError, match=r"6 spikes per input or more at input_rate \(3 Hz\), .*; 5.7 came"):
        short.keys("training", 1, 0)
    assert short.instance_from_arrays([[5.0]], [400.0], 0.5).passes.tolist() == [60]
    enough = Correlation({"duration": 2000.0, "readout": 1900.0, "n_inputs": 4000, "initial_weight": 0.5})
    instance = enough.build(enough.keys("training", 1, 0)[0])
    assert 0.85 < len(instance.passes) / (4000 * 2.4 * 2.0) < 0.95


def test_the_rate_of_an_input_is_what_its_description_says():
    family = Correlation({"initial_weight": 0.5})
    rates = [len(family.build(key).passes) / (1000 * 100.0) for key in family.keys("training", 3, 5)]
    assert np.mean(rates) == pytest.approx(2.4, abs=0.01)
    assert "2.4 Hz in the published protocol" in Correlation.Parameters.model_fields["input_rate"].description


def test_unknown_source_is_refused(family):
    with pytest.raises(InputError, match="expected 'sampled' or 'published'"):
        family.keys("training", 1, 0, "elsewhere")


def test_trace_shows_what_the_simulation_did(family, instance):
    evolved = KNOWN[8].rule
    trace = family.trace(evolved, instance)
    weights = trace["weight"].values
    assert weights.shape == (200, 1000)
    assert weights[-1].mean() == family.evaluate([evolved], instance).metrics["mean_weight"][0]
    counted = trace["output_rate"].values.mean()
    assert counted == pytest.approx(family.evaluate([evolved], instance).metrics["output_rate"][0])
    assert np.nanmax(trace["potential_late"].values) < 20.0
    assert all(quantity.unit and quantity.meaning for quantity in trace.values())


def test_stdp_window_of_additive_stdp(family, instance):
    trace = family.trace(rule("depress: 1.05*x; facilitate: x"), instance)
    interval, change = trace["stdp_interval"].values, trace["stdp_change"].values
    expected = np.where(interval > 0, 0.01, -0.0105) * np.exp(-np.abs(interval) / 20)
    for row in change:
        np.testing.assert_allclose(row, expected, atol=1e-15)


def test_trace_of_a_rule_that_leaves_the_finite_numbers_is_refused(family, instance):
    with pytest.raises(InputError, match="out of the finite numbers"):
        family.trace(rule("depress: 0 - 1/0; facilitate: x"), instance)


def test_picture_has_four_panels(family, instance):
    figure = Figure(figsize=(11, 8))
    evolved = KNOWN[8].rule
    family.draw(evolved, [family.trace(evolved, instance)], figure)
    figure.canvas.draw()
    titles = {axes.get_title() for axes in figure.axes if axes.get_title()}
    assert titles == {
        "Weights of all inputs",
        "Membrane potential around the pattern",
        "STDP window",
        "The pattern, inputs ordered by final weight",
    }


def test_inputs_that_never_fire_leave_a_decaying_potential(family):
    additive = [rule("depress: x; facilitate: x")]
    silent = family.evaluate(additive, family.instance_from_arrays([[], []], [400.0], 0.5, initial_potential=10.0))
    assert silent.outcome == (Outcome.ok,)
    assert silent.metrics["mean_weight"][0] == 0.5
    constant = family.evaluate(additive, family.instance_from_arrays([[], []], [400.0], 0.5))
    assert constant.outcome == (Outcome.non_finite,)  # 0/0: a potential that never moves has no signal-to-noise ratio
