"""Scores: independent of the batch, honest about rules that leave the finite numbers, and drawn."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from matplotlib.figure import Figure

from ruleforge.family import Outcome
from ruleforge.kernel.lanes import LANES
from ruleforge.language.identity import recognise
from ruleforge.language.rule import Rule
from tasks.supervised import Supervised

FAMILY = Supervised({"duration": 1500.0, "comparison_start": 200.0})
TEXTS = ["2*s*(v - u)", "s*(v - u)", "1/s", "v", "0", "s*(v - u)*(2*u - 1)/v", "exp(u*v)", "(v - u)/(v + 70)", "-s"]


def rules(*texts):
    return [Rule.parse(text, Supervised) for text in texts]


def instances(n):
    return [FAMILY.build(key) for key in FAMILY.keys("training", n, 4)]


def same(one, other):
    assert one.fitness.tobytes() == other.fitness.tobytes()
    assert one.outcome == other.outcome
    assert one.metrics["weight_error"].tobytes() == other.metrics["weight_error"].tobytes()


def test_scores_do_not_depend_on_what_shares_the_batch():
    batch, problems = rules(*TEXTS), instances(19)
    together = FAMILY.evaluate_many(batch, problems)
    assert len(together) == 19
    for scores, problem in zip(together, problems, strict=True):
        same(scores, FAMILY.evaluate(batch, problem))
    alone = [FAMILY.evaluate_many([rule], problems[::-1])[::-1] for rule in batch]
    for index in range(len(batch)):
        for scores, single in zip(together, alone[index], strict=True):
            assert scores.fitness[index].tobytes() == single.fitness[0].tobytes()
            assert scores.outcome[index] is single.outcome[0]


def test_scores_do_not_depend_on_the_thread():
    batch, problems = rules(*TEXTS), instances(3)
    expected = FAMILY.evaluate_many(batch, problems)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: FAMILY.evaluate_many(batch, problems), range(8)):
            for one, other in zip(expected, found, strict=True):
                same(one, other)


def test_non_finite_rules_score_minus_infinity_and_leave_the_others_alone():
    problem = instances(1)[0]
    scores = FAMILY.evaluate(rules(*TEXTS), problem)
    dead = [TEXTS.index(text) for text in ("1/s", "exp(u*v)")]
    for index, outcome in enumerate(scores.outcome):
        if index in dead:
            assert outcome is Outcome.non_finite
            assert scores.fitness[index] == -np.inf
            assert np.isnan(scores.metrics["weight_error"][index])
    assert scores.outcome[0] is Outcome.ok
    same_rule = FAMILY.evaluate(rules(TEXTS[0]), problem)
    assert same_rule.fitness[0] == scores.fitness[0]


@pytest.mark.parametrize(
    "text",
    [
        "1/(u + 70)",  # a pole at the very start
        "0/(s - s)",
        "v*1e308*1e308",
        "1e300*u*u",  # finite itself, but not the potential that it leads to
        "s*(u - v)*1e9",  # runs away step by step
    ],
)
def test_whatever_becomes_infinite_is_non_finite(text):
    scores = FAMILY.evaluate(rules(text), instances(1)[0])
    assert scores.outcome == (Outcome.non_finite,)
    assert scores.fitness[0] == -np.inf


def test_a_rule_that_dies_in_the_last_step_is_non_finite():
    problem = FAMILY.instance_from_arrays([[1497.9], [], [], [], []], [0.0] * 5, [1.0, 0.0, 0.0, 0.0, 0.0])
    # The only spike reaches the membrane at 1499.9 ms: s is 0 up to that step and positive in the last one alone.
    assert FAMILY.evaluate(rules("(s/s - s/s)*0 + 1"), problem).outcome == (Outcome.non_finite,)
    assert FAMILY.evaluate(rules("exp(s*1e9)"), problem).outcome == (Outcome.non_finite,)
    assert FAMILY.evaluate(rules("exp(s*1e4) - 1"), problem).outcome == (Outcome.ok,)


def test_hopeless_rules_are_given_up_on_all_instances_and_good_ones_keep_their_bits():
    batch, problems = rules("2*s*(v - u)", "v", "0", "1/s"), instances(5)
    full = FAMILY.evaluate_many(batch, problems)
    means = np.mean([scores.fitness for scores in full], axis=0)
    for limit in (1.5 * means[0], means[0], np.nextafter(means[0], 0.0) * 0.99, 1.01 * means[2]):
        short = FAMILY.evaluate_many(batch, problems, give_up_below=limit)
        expected = [Outcome.ok if mean >= limit else Outcome.rejected_at_hurdle for mean in means[:3]]
        for complete, given_up in zip(full, short, strict=True):
            assert list(given_up.outcome[:3]) == expected
            kept = [outcome is Outcome.ok for outcome in expected]
            assert np.array_equal(given_up.fitness[:3], np.where(kept, complete.fitness[:3], -np.inf))
            assert given_up.outcome[3] is Outcome.non_finite


def test_no_survivor_would_have_been_given_up_in_any_group():
    for n in (3, 16, 17, 40):
        survivors = -np.random.Generator(np.random.PCG64(n)).uniform(5.0, 50.0, (4, n))
        hurdle = FAMILY.hurdle(survivors)
        for fitness in survivors:
            groups = [fitness[first : first + LANES] for first in range(0, n, LANES)]
            assert all(group.mean() >= hurdle for group in groups)


def test_empty_batches():
    assert FAMILY.evaluate_many(rules("s"), []) == []
    assert FAMILY.evaluate([], instances(1)[0]).fitness.shape == (0,)


def test_no_plasticity_is_far_behind_the_delta_rule():
    scores = FAMILY.evaluate_many(rules("0", "2*s*(v - u)", "s*(u - v)"), instances(6))
    fitness = np.mean([score.fitness for score in scores], axis=0)
    assert fitness[1] > 0.3 * fitness[0] > fitness[2]


def test_known_rules_are_recognised_and_told_apart():
    known = Supervised.known_rules()
    assert len(known) == 6
    for name, entry in known.items():
        assert recognise(entry.rule, known).name == name
        assert entry.citation
        assert entry.published < -13
    found = recognise(Rule.parse("(v - u)*s*3", Supervised), known)
    assert (found.name, found.factor) == ("delta rule (Urbanczik–Senn)", pytest.approx(3.0))
    assert recognise(Rule.parse("s*(u - v)", Supervised), known) is None


def test_signals_lie_where_the_slot_says():
    low, high = zip(*(signal.range for signal in Supervised.slots[0].signals), strict=True)
    rule = Rule.parse("2*s*(v - u)", Supervised)
    outside = []
    for problem in instances(8):
        trace = FAMILY.trace(rule, problem)
        outside.append(
            [
                np.mean((trace[n].values < low[i]) | (trace[n].values > high[i]))
                for i, n in ((0, "teacher"), (1, "student"))
            ]
        )
    assert np.max(np.mean(outside, axis=0)) < 0.05


def test_trace_tells_what_the_score_summed():
    rule, problem = rules("2*s*(v - u)")[0], instances(1)[0]
    trace = FAMILY.trace(rule, problem)
    compared = trace["time"].values >= 200.0
    assert np.array_equal(trace["teacher"].values[compared], problem.compared_targets)
    scores = FAMILY.evaluate([rule], problem)
    assert np.sqrt(np.sum(trace["error"].values[compared] ** 2)) == pytest.approx(-scores.fitness[0], rel=1e-12)
    difference = trace["weights"].values[-1] - trace["teacher_weights"].values
    assert np.sqrt(np.mean(difference**2)) == pytest.approx(scores.metrics["weight_error"][0], rel=1e-12)
    assert trace["time"].values[[0, -1]].tolist() == [1.0, 1500.0]


@pytest.mark.parametrize("text", ["2*s*(v - u)", "10*(v - u)", "1/s"])
def test_figures_are_drawn_for_good_wild_and_dead_rules(text, tmp_path):
    rule = rules(text)[0]
    figure = Figure(figsize=(9, 6))
    FAMILY.draw(rule, [FAMILY.trace(rule, problem) for problem in instances(2)], figure)
    figure.savefig(tmp_path / "figure.png")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["At the start", "At the end", "Error of the potential", "Weights"]
