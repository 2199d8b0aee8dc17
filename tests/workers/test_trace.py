"""What a rule does, as arrays and as pictures."""

from __future__ import annotations

import json
import math
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruleforge.errors import InputError
from ruleforge.family import TaskFamily, family, family_class
from ruleforge.language import Rule
from workers.pictures import OVERVIEW, draw_rule, figure_kinds, figure_svg
from workers.trace import kept, numbers, trace_of

# Small, so that a trace takes milliseconds.
SMALL = {
    "reward": {"n_trials": 30},
    "supervised": {"duration": 1000},
    "correlation": {"duration": 4000, "readout": 2000},
}
NAMES = sorted(SMALL)
POINTS = 60


def small(name):
    return family(name, SMALL[name])


def known(name, index=0):
    return list(family_class(name).known_rules().values())[index].rule


@pytest.fixture(scope="module")
def traced():
    return {name: trace_of(small(name), known(name), n=2, points=POINTS) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_is_plain_json_of_bounded_size(traced, name):
    trace = traced[name]
    assert json.loads(json.dumps(trace, allow_nan=False)) == trace
    assert (trace["task"], trace["id"], len(trace["instances"])) == (name, known(name).id, 2)
    assert trace["parameters"].items() >= SMALL[name].items()
    assert [chart["kind"] for chart in trace["charts"]] == list(family_class(name).chart_kinds)
    for chart in trace["charts"]:
        assert all(chart[axis][part] for axis in "xy" for part in ("name", "unit"))
        assert chart["series"]
        for series in chart["series"]:
            columns = [series[part] for part in ("x", "y", "low", "high") if series[part] is not None]
            assert {len(column) for column in columns} == {len(series["x"])}
            assert 1 <= len(series["x"]) <= POINTS


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_is_the_same_every_time(traced, name):
    assert trace_of(small(name), known(name), n=2, points=POINTS) == traced[name]


def test_charts_show_what_the_simulation_recorded():
    reward = small("reward")
    trace = trace_of(reward, known("reward"), n=1)
    charts = {chart["kind"]: chart for chart in trace["charts"]}
    recorded = reward.trace(known("reward"), reward.build(reward.keys("validation", 1, 0)[0]))
    (rewarded, chance) = charts["learning_curve"]["series"]
    assert rewarded["y"][0] == pytest.approx(np.mean(recorded["reward"].values[:25] > 0), rel=1e-6)
    assert chance["y"] == [0.5, 0.5]
    gain = reward.parameters.learning_rate
    change = charts["weight_change"]["series"]
    np.testing.assert_allclose(change[1]["y"], -2 * gain * np.array(change[1]["x"]), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(
        charts["weights"]["series"][3]["y"], recorded["weight"].values[:, 3] / 1000, rtol=1e-6, atol=1e-9
    )


def test_numbers_that_are_not_finite_are_none():
    assert numbers([1.0, math.nan, math.inf, -math.inf, 1 / 3]) == [1.0, None, None, None, 0.3333333]
    charts = {c["kind"]: c for c in trace_of(small("reward"), Rule.parse("log(E)", "reward"), n=1)["charts"]}
    change = charts["weight_change"]["series"][0]
    assert None in change["y"]
    assert any(isinstance(value, float) for value in change["y"])
    assert None in charts["weights"]["series"][0]["y"]


def test_a_rule_that_leaves_the_finite_numbers_can_be_shown():
    for name in ("reward", "supervised"):
        text = {"reward": "1/(R - R)", "supervised": "exp(exp(v*v))"}[name]
        assert trace_of(small(name), Rule.parse(text, name), n=2)["charts"]
        for kind in figure_kinds(family_class(name)):
            assert figure_svg(small(name), Rule.parse(text, name), kind, n=2)


@settings(derandomize=True, deadline=None, database=None, max_examples=60)
@given(
    st.lists(st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf]), min_size=1, max_size=400),
    st.integers(4, 50),
)
def test_thinning_keeps_ends_extremes_and_gaps(listed, points):
    values = np.array(listed)
    chosen = kept(values, points)
    assert len(chosen) <= points or len(values) <= points
    assert (np.diff(chosen) > 0).all()
    assert {int(chosen[0]), int(chosen[-1])} == {0, len(values) - 1}
    finite = values[np.isfinite(values)]
    if len(values) > points and len(finite) == len(values):
        assert {values.min(), values.max()} <= set(values[chosen])
    if len(values) > points and 0 < len(finite) < len(values):
        assert not np.isfinite(values[chosen]).all(), "a gap stays a gap"


class Bare(family_class("reward")):
    """A family that declares no charts and draws no picture."""

    chart_kinds = ()
    draw = TaskFamily.draw


def test_a_family_without_charts_of_its_own_shows_what_it_records():
    charts = {chart["kind"]: chart for chart in trace_of(Bare(SMALL["reward"]), known("reward"), n=1)["charts"]}
    assert set(charts) == {"reward", "weight", "eligibility"}
    assert charts["weight"]["y"] == {"name": "weight", "unit": "pA"}
    assert charts["weight"]["series"][1]["name"] == "weight 1"
    assert set(charts["reward"]["series"][0]["y"]) == {-1.0, 1.0}
    assert figure_kinds(Bare) == ()
    with pytest.raises(InputError, match="reward has no picture of its rules"):
        figure_svg(Bare(SMALL["reward"]), known("reward"))


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_the_same_every_time(name):
    for kind in figure_kinds(family_class(name)):
        first, second = (figure_svg(small(name), known(name), kind, n=1) for _ in range(2))
        assert first == second
        assert ElementTree.fromstring(first).tag == "{http://www.w3.org/2000/svg}svg"
        assert "<dc:date>" not in first


def test_a_file_holds_the_same_picture(tmp_path):
    draw_rule(small("reward"), known("reward"), tmp_path / "rule.svg", n=1)
    expected = figure_svg(small("reward"), known("reward"), OVERVIEW, n=1)
    assert (tmp_path / "rule.svg").read_text("utf-8") == expected
    assert [path.name for path in tmp_path.iterdir()] == ["rule.svg"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"points": 3}, "points: expected 4 to 10000, and 3 came"),
        ({"points": 10**9}, "points: expected 4 to 10000"),
        ({"n": 0}, "n: expected 1 or more instances, and 0 came"),
    ],
)
def test_refused_sizes(options, sentence):
    with pytest.raises(InputError, match=sentence):
        trace_of(small("reward"), known("reward"), **options)


def test_an_unknown_picture_is_refused():
    with pytest.raises(InputError, match=r"unknown kind of picture 'weight': expected one of overview, .*'weights'\?"):
        figure_svg(small("reward"), known("reward"), "weight")
