"""What validation lets through can be built: every bound of every parameter, alone, in pairs, and far beyond."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleforge.cost import Cost, check_cost
from ruleforge.errors import InputError, SpecificationError
from ruleforge.family import Outcome, TaskFamily, family_class
from ruleforge.language.rule import Rule
from workers.evaluators.units import bytes_of

# Small problems, so that what a single extreme makes of them can be built within a test.
SMALL: dict[str, dict[str, Any]] = {
    "reward": {"n_trials": 2, "n_patterns": 2, "n_inputs": 3, "trial_duration": 20.0},
    "supervised": {"duration": 60.0, "comparison_start": 10.0, "n_inputs": 2},
    "correlation": {"duration": 2000.0, "readout": 600.0, "n_inputs": 5, "initial_weight": 0.5},
}
# Rules that read every signal and that leave the finite numbers where they can.
RULES = {
    "reward": ["(R - 1)*E", "1/E + R_mean", "E**E"],
    "supervised": ["s*(v - u)", "1/s"],
    "correlation": [
        "depress: w; facilitate: x",
        "depress: y; facilitate: -1",
        "depress: 0 - 10*x; facilitate: 1/x_slow",
    ],
}
ODD = (math.inf, -math.inf, math.nan, 1e308, -1e308, 5e-324, -5e-324, -0.0, 1e16, 10**400, -(10**30), 2**31, 2**53 + 1)
# What a test may spend on one combination; whatever is foreseen to cost more is somebody's wish, and not built here.
SECONDS, BYTES = 0.1, 30e6


def extremes(family: type[TaskFamily], name: str) -> list[Any]:
    """The lowest and highest values that the JSON schema of a parameter allows, from the schema alone."""
    schema = family.Parameters.model_json_schema()["properties"][name]
    numeric = next((s for s in schema.get("anyOf", [schema]) if s["type"] in ("number", "integer")), None)
    if numeric is None:
        return [False, True]
    least = numeric.get("minimum", numeric.get("exclusiveMinimum"))
    most = numeric.get("maximum", numeric.get("exclusiveMaximum"))
    assert least is not None, f"{name} has no lower bound"
    assert most is not None, f"{name} has no upper bound"
    if "exclusiveMinimum" in numeric:
        least = math.nextafter(least, math.inf)
    return [least, most]


def tried(family: type[TaskFamily], changed: dict[str, Any]) -> str:
    """Refused by a sentence that names a parameter; too much for a test, as foreseen; or built and scored."""
    parameters = {**SMALL[family.name], **changed}
    try:
        bound = family(parameters)
        bound.keys("training", 1, 0)  # refuses what cannot be drawn
        cost = bound.cost(11)
        check_cost(cost, bound.parameters, traced=True)
    except SpecificationError as error:
        said = error.errors
    else:
        return built(bound, cost)
    for pointer, sentence in said:
        assert pointer.removeprefix("/parameters/") in family.Parameters.model_fields, sentence
        assert sentence
    return "refused"


def built(bound: TaskFamily, cost: Cost | None) -> str:
    """Build the first instance and score on it, unless that is foreseen to be too much for a test."""
    family = type(bound)
    assert cost is not None
    if cost.seconds + cost.build_seconds > SECONDS or cost.instance_bytes + cost.trace_bytes > BYTES:
        return "expensive"
    instance = bound.build(bound.keys("training", 1, 0)[0])
    assert bytes_of(instance) <= cost.instance_bytes
    scores = bound.evaluate([Rule.parse(text, family) for text in RULES[family.name]], instance)
    for fitness, outcome in zip(scores.fitness, scores.outcome, strict=True):
        assert math.isfinite(fitness) == (outcome is Outcome.ok)
    return "built"


@pytest.mark.parametrize("name", SMALL)
def test_every_parameter_at_its_bounds_and_far_beyond(name):
    family = family_class(name)
    found = {
        (field, repr(value)): tried(family, {field: value})
        for field in family.Parameters.model_fields
        for value in [*extremes(family, field), *ODD]
    }
    assert set(found.values()) >= {"refused", "built"}
    for field in family.Parameters.model_fields:
        least, most = extremes(family, field)
        for value in ODD:
            if not least <= value <= most:
                assert found[field, repr(value)] == "refused"


@pytest.mark.parametrize("name", SMALL)
def test_every_pair_of_extremes(name):
    family = family_class(name)
    outcomes = [
        tried(family, {one: value, other: second})
        for one, other in itertools.combinations(family.Parameters.model_fields, 2)
        for value in extremes(family, one)
        for second in extremes(family, other)
    ]
    assert outcomes.count("built") > 100


def values(family: type[TaskFamily], field: str) -> st.SearchStrategy[Any]:
    """Any value within the bounds of the schema, the bounds more often than by chance."""
    least, most = extremes(family, field)
    inside = st.integers(least, most) if isinstance(least, int) else st.floats(least, most)
    # On the grid, or off it; and small numbers, which a uniform draw over ten decades never gives.
    small = st.sampled_from(
        [value for value in (0.1, 0.5, 1.0, 2.0, 3.0, 7.0, 50.0) if least <= value <= most] or [least]
    )
    return st.one_of(st.sampled_from([least, most]), inside, small.map(type(most)))


@pytest.mark.parametrize("name", SMALL)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_anything_within_the_schema(name, data):
    family = family_class(name)
    fields = data.draw(st.lists(st.sampled_from(sorted(family.Parameters.model_fields)), max_size=6, unique=True))
    tried(family, {field: data.draw(values(family, field), label=field) for field in fields})


# Times that no step of 32 bits holds, that are no times, and that are not in order.
TIMES = (
    [-1.0],
    [1e12],
    [1e308],
    [2.2e9],
    [math.nan],
    [math.inf],
    [-math.inf],
    [5.0, 1.0],
    ["early"],
    [[1.0]],
    [None],
    7,
)


@pytest.mark.parametrize("times", TIMES, ids=repr)
def test_times_of_given_arrays_are_within_the_experiment(times):
    reward = family_class("reward")({"trial_duration": 100.0})
    with pytest.raises(InputError):
        reward.instance_from_arrays(patterns=[[times]], labels=[1], order=[0], initial_weights=[1.0])
    supervised = family_class("supervised")({"n_inputs": 1})
    with pytest.raises(InputError):
        supervised.instance_from_arrays([times], [1.0])
    correlation = family_class("correlation")()
    with pytest.raises(InputError):
        correlation.instance_from_arrays([times], [400.0], 0.5)
    with pytest.raises(InputError):
        correlation.instance_from_arrays([[1.0]], times, 0.5)


@pytest.mark.parametrize(
    "weights", [[math.nan], [math.inf], ["heavy"], [[1.0]], [1.0, 2.0], [None], "w", None], ids=repr
)
def test_weights_of_given_arrays_are_numbers(weights):
    reward = family_class("reward")()
    with pytest.raises(InputError):
        reward.instance_from_arrays(patterns=[[[1.0]]], labels=[1], order=[0], initial_weights=weights)
    supervised = family_class("supervised")({"n_inputs": 1})
    with pytest.raises(InputError):
        supervised.instance_from_arrays([[1.0]], weights)
    with pytest.raises(InputError):
        family_class("correlation")().instance_from_arrays([[1.0]], [400.0], weights)


def test_given_arrays_may_begin_and_end_where_the_experiment_does():
    correlation = family_class("correlation")({"duration": 1e5, "resolution": 0.1, "initial_weight": 0.5})
    instance = correlation.instance_from_arrays([[0.0, 99_998.9]], [400.0], 0.5)
    assert instance.passes.tolist() == [10, 999_999]
    assert np.all(np.diff(instance.passes) >= 0)
