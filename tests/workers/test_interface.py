"""`import ruleforge` as the documentation shows it: evolve, evaluate, Rule and what they return."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ruleforge
from ruleforge.errors import InputError
from ruleforge.store import open_store
from workers.evaluators.choose import number_of_workers
from workers.interface import FoundRule, Result, database_url
from workers.pictures import draw_rule


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RULEFORGE_DB", raising=False)


@pytest.fixture
def small(jobs):
    """Keys of a small job, for ruleforge.evolve("reward", **small)."""
    return {key: value for key, value in jobs.SMALL.items() if key not in ("task", "seed")}


def test_evolve(small, jobs, undisturbed):
    result = ruleforge.evolve("reward", seed=3, **small)
    assert jobs.essence(result.raw) == jobs.essence(undisturbed())
    assert isinstance(result, ruleforge.Result)
    assert result.champion == result.front[-1]
    assert result.champion.rule == ruleforge.Rule.parse(result.raw["champion"]["rule"], "reward")
    assert str(result.champion) == result.raw["champion"]["rule"]
    assert result.champion.fitness == max(item.fitness for item in result.front)
    assert result.champion.validation["n"] == 3
    assert result.champion.test is None
    assert str(result.reported) == result.raw["reported"]["rule"]
    assert result.reported.test == result.raw["reported"]["test_fitness"]
    assert result.reported.validation["aggregate"] == max(item.validation["aggregate"] for item in result.front)
    assert result.history == result.raw["history"]
    with open_store("sqlite:///ruleforge.db", create=False) as store:  # the default, in the current folder
        assert store.job(result.job).result == result.raw


def test_a_specification_file_and_keys_over_it(small, jobs, undisturbed, tmp_path, monkeypatch):
    (tmp_path / "job.toml").write_text(
        'task = "reward"\nseed = 99\nname = "mine"\n[parameters]\nn_trials = 20\n'
        "[search]\npopulation = 8\noffspring = 8\n"
        "[instances]\ntraining = 2\nvalidation = 3\ntest = 3\n[budget]\ngenerations = 5\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("RULEFORGE_DB", "sqlite:///elsewhere.db")
    result = ruleforge.evolve("reward", config=tmp_path / "job.toml", seed=3, workers=2)
    assert jobs.essence(result.raw) == jobs.essence(undisturbed())
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".db"] == ["elsewhere.db"]
    with open_store("sqlite:///elsewhere.db", create=False) as store:
        assert store.job(result.job).name == "mine"


def test_evaluate():
    found = ruleforge.evaluate("reward", "(R - 1)*E", split="validation", n=3, n_trials=20)
    assert len(found.fitness) == 3
    assert found.mean == found.aggregate == np.mean(found.fitness)
    assert found.standard_error == pytest.approx(np.std(found.fitness, ddof=1) / np.sqrt(3))
    assert (found.outcome, found.known_as) == ("ok", "punishment-gated eligibility")
    assert found == ruleforge.evaluate("reward", found.rule, split="validation", n=3, n_trials=20, workers=2)
    other = ruleforge.evaluate("reward", "(R - 1)*E", split="test", n=3, n_trials=20)
    assert other.fitness != found.fitness


def test_evaluate_of_a_rule_that_does_not_stay_finite():
    found = ruleforge.evaluate("reward", "1/(R*R - 1)", n=2, n_trials=20)
    assert (found.outcome, found.fitness) == ("non_finite", (None, None))
    assert (found.aggregate, found.mean, found.standard_error) == (None, None, None)


def test_one_instance_has_no_standard_error():
    assert ruleforge.evaluate("reward", "R*E", n=1, n_trials=20).standard_error is None


def test_a_rule():
    rule = ruleforge.Rule.parse("dw: (R - 1)*E", task="reward")
    assert str(rule.to_sympy()) == "E*(R - 1)"
    eligibility = np.linspace(-1, 1, 5)
    np.testing.assert_array_equal(rule.to_numpy()(R=1.0, E=eligibility), 0 * eligibility)
    np.testing.assert_array_equal(rule.to_numpy()(R=-1.0, E=eligibility), -2 * eligibility)
    assert rule.latex.startswith(r"\Delta w")


def test_the_table_of_a_notebook_escapes_what_it_shows(small):
    result = ruleforge.evolve("reward", seed=3, **small)
    shown = result._repr_html_()
    assert shown.count("<tr>") == len(result.front) + 1
    assert all(item.rule.text in shown for item in result.front)

    class Strange(ruleforge.Rule):
        text = "<script>alert('R')</script>"
        latex = "R < E & 1"

    rule = Strange("reward", result.front[0].rule.slots, result.front[0].rule.expressions)
    validation = {"aggregate": None, "mean": None, "standard_error": None, "n": 3}
    strange = FoundRule(rule, None, validation, '<img src="x">')
    shown = Result(strange, (strange,), {"job": "0" * 12, "state": "succeeded"})._repr_html_()
    assert "<script" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;" in shown
    assert "$R &lt; E &amp; 1$" in shown
    assert "<td>– (3)</td>" in shown


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"task": "rewards"}, r"unknown task 'rewards'.*Did you mean 'reward'\?"),
        ({"budgets": {}}, r"unknown key 'budgets'.*Did you mean 'budget'\?"),
        ({"budget": {"generation": 3}}, r"budget.generation: unknown key.*Did you mean 'generations'\?"),
        ({"parameters": {"resolutoin": 1}}, r"parameters.resolutoin: unknown parameter.*'resolution'\?"),
        ({"workers": 0}, "workers: expected 1 to 1024 threads, and 0 came"),
        ({"workers": -2}, "workers: expected 1 to 1024 threads, and -2 came"),
        ({"workers": 1.5}, "workers: expected 1 to 1024 threads, and 1.5 came"),
        ({"config": "missing.toml"}, "missing.toml cannot be read: No such file"),
        ({"db": "ruleforge.db"}, "write sqlite:///ruleforge.db"),
        ({"db": "sqlite:///no/folder/x.db"}, "there is no folder"),
    ],
)
def test_evolve_refuses_with_a_sentence_and_leaves_nothing(given, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        ruleforge.evolve(**{"task": "reward", **given})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"task": "rewards"}, r"unknown task 'rewards'.*Did you mean 'reward'\?"),
        ({"rule": "R*Q"}, r"unknown name 'Q'"),
        ({"split": "trainig"}, "unknown split 'trainig': expected one of training, validation, test, library"),
        ({"n": 0}, "n: expected 1 to 100000 instances, and 0 came"),
        ({"seed": -1}, "seed: expected 0 to 9223372036854775807, and -1 came"),
        ({"n_trails": 3}, r"unknown parameter 'n_trails'.*Did you mean 'n_trials'\?"),
        ({"workers": 0}, "workers: expected 1 to 1024 threads, and 0 came"),
        ({"task": "supervised", "rule": ruleforge.Rule.parse("R*E", "reward")}, "one of 'reward' came"),
    ],
)
def test_evaluate_refuses_with_a_sentence(given, sentence):
    with pytest.raises(InputError, match=sentence):
        ruleforge.evaluate(**{"task": "reward", "rule": "R*E", **given})


def test_the_record_that_is_used(monkeypatch):
    assert database_url() == "sqlite:///ruleforge.db"
    monkeypatch.setenv("RULEFORGE_DB", "sqlite:///mine.db")
    assert database_url() == "sqlite:///mine.db"
    assert database_url("sqlite:///given.db") == "sqlite:///given.db"


def test_all_cores_unless_told_otherwise():
    assert number_of_workers(None) >= 1
    assert number_of_workers(3) == 3


def test_importing_the_package_loads_nothing_heavy():
    program = (
        "import sys, ruleforge; print(*sorted({'numba', 'sympy', 'sqlalchemy', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
    with pytest.raises(AttributeError, match="no attribute 'evolv'"):
        ruleforge.evolv  # noqa: B018
    assert set(ruleforge.__all__) <= set(dir(ruleforge))
    assert all(getattr(ruleforge, name) is not None for name in ruleforge.__all__)


@pytest.mark.parametrize(("name", "begin"), [("r.png", b"\x89PNG"), ("r.svg", b"<?xml"), ("r.PDF", b"%PDF")])
def test_a_picture_is_drawn_whole_or_not_at_all(tmp_path, name, begin):
    reward = ruleforge.family.family("reward", {"n_trials": 20})
    rule = ruleforge.Rule.parse("(R - 1)*E", "reward")
    draw_rule(reward, rule, Path(name), n=2)
    assert (tmp_path / name).read_bytes().startswith(begin)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match=r"folder\.png is a folder or a device"):
        draw_rule(reward, rule, Path("folder.png"), n=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, "folder.png"])
