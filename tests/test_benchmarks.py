"""The benchmarks measure the same work: the C limits give the kernels' results. Nothing here is timed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

# The benchmarks are not installed; they are run from the root of the repository.
sys.path.append(str(Path(__file__).parents[1]))

from benchmarks import c_limits, growth, page, problems, record, report, sides, targets, timing
from benchmarks.peers.process import NoPeer
from ruleforge.errors import InputError
from ruleforge.family import Outcome
from tasks.correlation.learner import Learner

needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
# The limits may reorder their arithmetic; what they simulate amplifies rounding only little.
TOLERANCE = 1e-9

REWARD = {"n_trials": 40}
SUPERVISED = {"duration": 400.0, "comparison_start": 50.0}
CORRELATION = {"duration": 3000.0, "readout": 2000.0}


def limit_of(problem, **options):
    limit = c_limits.Limit(problem, **options)
    try:
        return limit.run(repeats=2).results  # a second repeat must start where the first one did
    finally:
        limit.close()


def scores_of(problem):
    scores = problem.family.evaluate_many(problem.rules, problem.instances)
    assert all(outcome is Outcome.ok for each in scores for outcome in each.outcome)
    return np.array([each.fitness for each in scores])


@needs_gcc
@pytest.mark.parametrize("texts", [problems.REWARD_RULES, ("(R - 1)*log(1 + E*E)", "R*E*(1 + E*E)**(-0.5)")])
@pytest.mark.parametrize("resolution", [0.1, 0.05])
def test_the_reward_limit_gives_the_kernel_s_results(texts, resolution):
    problem = problems.reward({**REWARD, "resolution": resolution}, texts)
    found = limit_of(problem)
    np.testing.assert_array_equal(found["fitness"], scores_of(problem)[0])
    (instance,) = problem.instances
    weights = found["weights"].reshape(len(instance.initial_weights), -1)
    assert np.isfinite(weights[:, : len(texts)]).all()
    assert np.abs(weights[:, 0] - instance.initial_weights).max() > 1.0
    # The weights before the last trial are in the trace; with one more trial the last ones are.
    longer = problems.reward({**REWARD, "n_trials": REWARD["n_trials"] + 1, "resolution": resolution}, texts[:1])
    (after,) = longer.instances
    same_order = type(instance)(
        **{
            **vars(instance),
            "order": np.append(instance.order, instance.order[-1:]),
            "noise_seeds": np.append(instance.noise_seeds, after.noise_seeds[-1:]),
        }
    )
    trace = longer.family.trace(longer.rules[0], same_order)
    np.testing.assert_allclose(weights[:, 0], trace["weight"].values[-1], rtol=TOLERANCE, atol=1e-6)


@needs_gcc
@pytest.mark.parametrize("block", [1, None])
@pytest.mark.parametrize("text", problems.SUPERVISED_RULES.values(), ids=problems.SUPERVISED_RULES)
def test_the_supervised_limit_gives_the_kernel_s_results(text, block):
    problem = problems.supervised(SUPERVISED, [text])
    found, scores = limit_of(problem, block=block), scores_of(problem)[:, 0]
    np.testing.assert_allclose(found["fitness"], scores, rtol=TOLERANCE)
    weights = found["weights"].reshape(-1, len(problem.instances))
    error = [
        float(np.sqrt(np.mean((weights[:, lane] - instance.teacher_weights) ** 2)))
        for lane, instance in enumerate(problem.instances)
    ]
    scored = problem.family.evaluate_many(problem.rules, problem.instances)
    np.testing.assert_allclose(error, [each.metrics["weight_error"][0] for each in scored], rtol=TOLERANCE)


@needs_gcc
@pytest.mark.parametrize(
    "texts", [problems.CORRELATION_RULES, problems.CORRELATION_RULES_ELEMENTARY], ids=["+ − × ÷", "pow"]
)
def test_the_correlation_limit_gives_the_kernel_s_results(texts):
    problem = problems.correlation(CORRELATION, texts)
    found, scores = limit_of(problem), scores_of(problem)[0]
    np.testing.assert_allclose(found["fitness"], scores, rtol=TOLERANCE)
    (instance,) = problem.instances
    learner = Learner(problem.rules, instance, problem.family.settings)
    weights = found["weights"].reshape(len(texts), -1)
    for row in range(len(texts)):
        run = learner.learn(row)
        assert found["n_outputs"][row] == len(run.outputs) > 0
        np.testing.assert_allclose(weights[row], run.weights, rtol=0, atol=TOLERANCE)


@needs_gcc
def test_an_operator_that_the_limits_lack_is_told():
    with pytest.raises(c_limits.NoLimit, match="no operator"):
        limit_of(problems.reward(REWARD, ("(R - 1)*tanh(E)",)))


def test_without_a_compiler_the_row_says_so(monkeypatch):
    monkeypatch.setattr(c_limits.shutil, "which", lambda _: None)
    problem = problems.reward({"n_trials": 2})
    rows = sides.compared(
        [(sides.OURS, lambda: sides.ours(problem)), (sides.LIMIT, lambda: sides.LimitContender(problem))], rounds=1
    )
    assert [row.name for row in rows] == [sides.OURS, sides.LIMIT]
    assert rows[0].ratio == 1.0
    assert rows[1].absent == "gcc is not installed"
    assert rows[1].ratio is None
    written = report.table(["a", "b"], [[rows[1].name, rows[1].absent]])
    assert "| C limit | gcc is not installed |" in written


class Scripted:
    """A contender whose times are given."""

    note = ""

    def __init__(self, name, seconds):
        self.name, self._seconds = name, iter(seconds)

    def measure(self):
        taken = next(self._seconds)
        return timing.Timing(taken, 2 * taken)

    def close(self):
        pass


def test_ratios_are_medians_within_rounds():
    """A machine that is half as fast in every other round changes no ratio; the first round does not count."""
    rows = timing.alternate([Scripted("a", [9, 1, 2, 1]), Scripted("b", [1, 3, 6, 3])], rounds=3)
    assert rows[0].cpu == 1
    assert rows[1].cpu == 3
    assert rows[1].wall == 6
    assert rows[1].ratio == rows[1].wall_ratio == 3


def test_an_absent_peer_is_a_row():
    def missing():
        raise NoPeer("it is not installed")

    rows = sides.compared([("a", lambda: Scripted("a", [1, 1])), ("b", missing)], rounds=1)
    assert [(row.name, row.absent) for row in rows] == [("a", ""), ("b", "it is not installed")]


def test_targets_compare_in_the_right_direction():
    def row(name, ratio):
        return {"name": name, "ratio": ratio, "absent": ""}

    section = {"family": "correlation", "setting": "x", "rows": [row(sides.OURS, 1.0), row(sides.LIMIT, 0.5)]}
    section["rows"].append(row("NEST", 400.0))
    slow, fast = targets.reached({"sides": {"measured": [section]}})
    assert (slow.value, slow.wanted, slow.holds) == (2.0, "≤ 1.3", False)
    assert (fast.value, fast.wanted, fast.holds) == (400.0, "≥ 350", True)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(1.5, "1.50 s"), (0.0123, "12.3 ms"), (4.5e-6, "4.50 µs"), (None, "–")]
)
def test_durations_have_the_unit_that_suits(seconds, expected):
    assert report.duration(seconds) == expected


def test_the_exponent_is_that_of_the_larger_sizes():
    sizes = [1, 2, 4, 8, 16, 32]
    constant_then_square = np.array([64.0, 64.0, 64.0, 64.0, 256.0, 1024.0])
    assert growth.exponent(sizes, constant_then_square) == pytest.approx(2.0)


@pytest.mark.parametrize("axis", growth.AXES.values(), ids=growth.AXES)
@pytest.mark.parametrize("name", growth.FAMILIES)
def test_what_grows_stays_finite_at_the_least_size(axis, name):
    bound, rules, n_instances = axis.work(name, axis.sizes[name][0])
    instances = [bound.build(key) for key in bound.keys("training", n_instances, seed=0)]
    for scores in bound.evaluate_many(rules, instances):
        assert set(scores.outcome) == {Outcome.ok}


def test_expressions_grow_as_they_say():
    for name in growth.FAMILIES:
        for size in growth.AXES["expression"].sizes[name]:
            _, rules, _ = growth.AXES["expression"].work(name, size)
            assert all(abs(len(expression) - size) <= 2 for expression in rules[0].expressions)


def test_a_section_of_the_page_is_replaced():
    text = "# Title\n\n<!-- measured: memory -->\nold\n<!-- end -->\n\n<!-- measured: growth -->\nkept\n<!-- end -->\n"
    new = page.filled(text, "memory", "fresh")
    assert "old" not in new
    assert "fresh" in new
    assert "kept" in new
    assert page.filled(new, "memory", "fresh") == new
    with pytest.raises(InputError, match="no section"):
        page.filled(text, "profile", "x")


def test_the_page_has_every_section():
    text = page.PAGE.read_text(encoding="utf-8")
    for name in ("profile", "growth", "memory"):
        assert f"<!-- measured: {name} -->" in text


def test_the_record_s_benchmark_reads_what_it_has_made(tmp_path):
    measured = record.measured(f"sqlite:///{tmp_path}/record.db", record.Sizes(rules=400), lambda: 0.0)
    lists = {row["list"] for row in measured["rows"]}
    assert {f"rules, {name}" for name in record.queries()} | {"jobs, all", "statistics"} <= lists
    # Every job finds the common rules of its task first, and then new ones.
    new = record.Sizes(400).jobs * record.GENERATION * record.NEW_GENERATIONS
    assert measured["judged"] == new + record.Sizes(400).jobs * record.GENERATION
    both = {"SQLite": measured, "PostgreSQL": {"absent": "no server"}}
    assert "PostgreSQL: absent, no server." in record.markdown(both)
    pages, statistics = targets.reached({"record": {"measured": both}})
    assert pages.value >= 1e3 * max(row["processor"] for row in measured["rows"] if row["list"] == "rules, all")
    assert statistics.wanted == "≤ 10"
