"""The comparison with hal-cgp: its texts become our rules, its searches our rows."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))  # the benchmarks are not installed

from benchmarks import success, versus
from benchmarks.goals import AtLeast
from benchmarks.peers.others import hal_cgp_folder
from benchmarks.peers.process import NoPeer
from ruleforge.family import family
from ruleforge.language import Rule
from workers.evaluators import SerialEvaluator

# Texts as hal-cgp 0.3 gives them, and the rules that they are.
RECORDED = [
    ("reward", ["x_1*(x_0 - 1.0)"], "E*(R - 1)"),
    ("reward", ["-x_0**2 - x_1 + x_1/x_0"], "-R**2 - E + E/R"),
    ("reward", ["0.1"], "0.1"),
    ("supervised", ["(x_0 - x_1)*x_2/(x_1 + 2*x_2)"], "(v - u)*s/(u + 2*s)"),
    ("correlation", ["-x_0 + x_1/x_0", "(x_0*x_1)**x_0 - 1.0"], "depress: -w + x/w; facilitate: (w*x)**w - 1"),
]
SMALL = success.Part(
    "reward",
    lambda: [AtLeast(-1000.0), AtLeast(1000.0)],
    {
        "parameters": {"n_trials": 20},
        "instances": {"training": 2, "validation": 1, "test": 1},
        "budget": {"evaluations": 40},
    },
)


@pytest.mark.parametrize(("task", "texts", "rule"), RECORDED)
def test_a_text_of_hal_cgp_is_a_rule(task, texts, rule):
    assert versus.rule_of(texts, family(task, {})) == Rule.parse(rule, task)


@pytest.mark.parametrize(
    "text", ["zoo", "nan", "zoo*x_1", "x_0 + I", "no expression: TypeError", "+".join(["x_0"] * 300)]
)
def test_what_is_no_rule_is_refused(text):
    assert versus.rule_of([text], family("reward", {})) is None


@pytest.mark.parametrize(
    ("task", "inputs", "published"),
    [
        ("reward", [2], (4, 4, 1, 5, 0.045)),
        ("supervised", [3], (4, 4, 1, 12, 0.045)),
        ("correlation", [2, 2], (8, 8, 1, 5, 0.05)),
    ],
)
def test_the_published_settings_are_told(task, inputs, published):
    told = versus.settings_of(task, family(task, {}), 7)
    assert tuple(told[key] for key in versus.SETTINGS) == published
    assert (told["inputs"], told["seed"]) == (inputs, 7)
    assert told["constants"] == ([1.0] if task == "supervised" else [0.1, 1.0, 10.0])
    assert told["operators"] == ["+", "-", "*", "/", *(["**"] if task == "correlation" else [])]


def test_texts_are_judged_once_per_behaviour_and_within_the_budget():
    judge = versus.Judge(SMALL, 3, SerialEvaluator())
    judged, told = judge.judge([["x_1*x_0"], ["x_0*x_1*x_0*x_0"], ["zoo"], ["x_1/(x_0 - x_0)"]])
    assert [item.rule.text for item in judged] == ["E*R", "R*E*R*R", "E/(R - R)"]
    assert judged[0].fitness == judged[1].fitness
    assert [fitness for _, fitness in told] == [judged[0].fitness, judged[1].fitness, versus.WORST, versus.WORST]
    assert (judge.evaluations, len(judge.behaviours), judge.refused) == (3, 2, 1)
    judged, _ = judge.judge([[f"x_1 + {number}.0"] for number in range(50)])
    assert len(judged) == 37
    assert judge.exhausted


@pytest.fixture
def hal_cgp():
    try:
        return hal_cgp_folder()
    except NoPeer as reason:
        pytest.skip(f"hal-cgp is not here: {reason}")


@pytest.mark.usefixtures("hal_cgp")
def test_hal_cgp_searches_with_our_evaluator(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(versus, "part_of", lambda name: SMALL)
    for contender in ("hal-cgp", "ruleforge"):
        arguments = ["run", "reward", "--contender", contender, "--seeds", "0:2", "--out", str(tmp_path / "rows.json")]
        versus.main(arguments)
        assert len(capsys.readouterr().out.splitlines()) == 2
        versus.main(arguments)
        assert capsys.readouterr().out == ""
    rows = success.Results(tmp_path / "rows.json").rows
    for row in rows[:2]:
        assert list(row["found"]) == ["training fitness ≥ -1000"]
        assert row["evaluations"] == 40
        assert row["calls"] >= 40 >= row["behaviours"] >= 1
    assert rows[0]["champion"] != rows[1]["champion"] or rows[0]["calls"] != rows[1]["calls"]
    monkeypatch.setattr(versus, "TOGETHER", {"reward": 0})  # what is scored ahead changes nothing
    again = versus.run_hal_cgp("reward", SMALL, 1, SerialEvaluator())
    for key in ("evaluations", "calls", "behaviours", "generations", "champion", "fitness"):
        assert again[key] == rows[1][key]
    versus.main(["report", "--out", str(tmp_path / "rows.json")])
    text = capsys.readouterr().out
    assert text.index("| ruleforge | 0 of 2 |") < text.index("| hal-cgp 0.3 | 0 of 2 |")
    assert "| reward | 2 | " in text
