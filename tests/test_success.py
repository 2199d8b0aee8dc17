"""The harness of success rates: goes on where it was stopped, counts what was found, and plants what can be found."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # the benchmarks are not installed

from benchmarks import goals, planted, success, success_report  # noqa: E402
from ruleforge.family import Outcome, family_class  # noqa: E402
from ruleforge.language import Rule, behaviour  # noqa: E402
from ruleforge.search import Generation, Judged  # noqa: E402
from ruleforge.spec import job_spec  # noqa: E402
from workers.evaluators import SerialEvaluator  # noqa: E402

FAMILIES = ("reward", "supervised", "correlation")


@pytest.fixture(scope="module", params=FAMILIES)
def signals(request):
    return request.param, planted.recorded_signals(request.param)


def test_recorded_signals_are_those_of_every_slot(signals):
    task, recorded = signals
    for slot, inputs in zip(family_class(task).slots, recorded, strict=True):
        assert set(inputs) == set(slot.default_symbols)
        for values in inputs.values():
            assert values.shape == (planted.N_RECORDED,)
            assert np.isfinite(values).all()
            assert values.std() > 0


def test_ten_different_rules_are_planted_and_recognised(signals):
    task, recorded = signals
    rules = planted.planted_rules(task, recorded)
    assert [rule.text for rule in rules] == [rule.text for rule in planted.planted_rules(task, recorded)]
    assert len({behaviour(rule) for rule in rules}) == len(rules) == 10
    assert all(3 <= rule.complexity <= 9 for rule in rules)
    for rule in rules:
        target = planted.Planted(rule, recorded)
        assert target.score(rule)[:2] == (0.0, Outcome.ok)
        assert [target.found(other) for other in rules] == [other == rule for other in rules]


def test_a_planted_rule_is_found_back():
    recorded = planted.recorded_signals("reward")
    target = planted.Planted(Rule.parse("E*(R + 10)", "reward"), recorded)
    found = planted.search_for(target, {}, seed=1, evaluations=1500)
    assert target.found(Rule.parse(found["rule"], "reward"))
    assert 1 <= found["found_at"] == found["evaluations"] <= 1500
    assert planted.search_for(target, {}, seed=1, evaluations=found["found_at"] - 1)["found_at"] is None


class Small:
    """A part that takes no time."""

    part = success.Part(
        "reward",
        lambda: [goals.AtLeast(-40.0), goals.AtLeast(1000.0)],
        {
            "parameters": {"n_trials": 40, "n_patterns": 2, "n_inputs": 4},
            "instances": {"training": 2, "validation": 1, "test": 1},
            "budget": {"evaluations": 40},
            "search": {"population": 4, "offspring": 8},
        },
    )


@pytest.fixture
def harness(tmp_path, monkeypatch):
    monkeypatch.setitem(success.PARTS, "reward", Small.part)
    path = tmp_path / "found.json"

    def run(*arguments):
        success.main([*arguments, "--out", str(path)])
        return json.loads(path.read_text(encoding="utf-8"))["rows"]

    return run


def test_searches_that_are_there_are_not_run_again(harness, capsys):
    first = harness("run", "reward", "--seeds", "0:2")
    assert [row["seed"] for row in first] == [0, 1]
    assert capsys.readouterr().out.count("seed") == 2
    more = harness("run", "reward", "--seeds", "0:3")
    assert more[:2] == first
    assert capsys.readouterr().out.count("seed") == 1
    for row in more:
        assert row["evaluations"] == 40
        assert row["goals"] == ["training fitness ≥ -40", "training fitness ≥ 1000"]
        assert set(row["found"]) == {"training fitness ≥ -40"}
        assert 1 <= row["found"]["training fitness ≥ -40"]["evaluations"] <= 40


def test_ablations_are_configurations_of_one_file(harness, tmp_path, capsys):
    arguments = ("ablation", "reward", "--seeds", "3:5", "--only", "default", "--only", "mu_plus_lambda")
    rows = harness(*arguments)
    assert [(row["label"], row["seed"]) for row in rows] == [
        (label, n) for label in ("default", "mu_plus_lambda") for n in (3, 4)
    ]
    assert rows[2]["settings"] == ["search.method=mu_plus_lambda"]
    assert rows[0]["spec_hash"] != rows[2]["spec_hash"]
    capsys.readouterr()
    harness("report", "--figure", str(tmp_path / "found.png"))
    text = capsys.readouterr().out
    assert "| default | 2 of 2 | 1.00 | 0.34 … 1.00 |" in text
    assert "| mu_plus_lambda | 2 of 2 |" in text
    assert "### reward: training fitness ≥ 1000" in text
    assert "0 of 2" in text
    assert (tmp_path / "found.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("label", success.ABLATIONS)
def test_every_ablation_is_a_valid_specification(label):
    for part in success.PARTS.values():
        job_spec(success.specification(part.task, part.given, success.ABLATIONS[label], 1))


def test_a_search_is_the_same_in_the_harness(harness):
    once = success.run_one(Small.part, (), 5, SerialEvaluator())
    again = success.run_one(Small.part, (), 5, SerialEvaluator())
    assert once["history"] == again["history"]
    assert {**once, "seconds": 0, "found": 0} == {**again, "seconds": 0, "found": 0}


def generation_of(judged, evaluations):
    return Generation(0, tuple(judged), (), (), None, None, evaluations, "")


def judged(text, fitness):
    rule = Rule.parse(text, "reward")
    return Judged(rule, behaviour(rule), fitness, Outcome.ok)


def test_as_good_as_a_named_rule():
    """Equal up to a positive factor, or not worse over paired instances by more than a standard error."""
    family = family_class("reward")({"n_trials": 120})
    watch = goals.Watch([goals.AsGoodAs(family, "punishment-gated eligibility")])
    watch.on_generation(generation_of([judged("R", 1.0), judged("E*(1 - R)", 2.0), judged("E*(3*R - 3)", 0.0)], 3), 1.0)
    assert watch.found["punishment-gated eligibility"]["evaluations"] == 3
    assert watch.found["punishment-gated eligibility"]["why"] == "equal"
    watch = goals.Watch([goals.AsGoodAs(family, "punishment-gated eligibility")])
    watch.on_generation(generation_of([judged("(R - 1)*E + 0.0001*R", 5.0)], 1), 1.0)
    assert watch.done
    assert watch.found["punishment-gated eligibility"]["why"].startswith("as good: ")


def test_planted_searches_count_every_rule_of_a_family():
    found = {"default": {"a": {"evaluations": 7}}, "other": {"a": {"evaluations": 3}, "b": {"evaluations": 50}}}
    rows = [
        {"part": "planted/reward", "label": label, "goals": ["a", "b"], "evaluations": 100, "found": found[label]}
        for label in found
    ]
    text = success_report.text(rows)
    assert "### planted/reward: 2 rules" in text
    assert "| default | 1 of 2 | 0.500 |" in text
    assert "| other | 2 of 2 | 1.00 |" in text
