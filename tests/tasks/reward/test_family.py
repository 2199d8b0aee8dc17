"""What the reward family promises as a whole: scores, batches, threads, known rules, pictures."""

from __future__ import annotations

import io
import threading

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ruleforge.errors import InputError
from ruleforge.family import InstanceKey, Outcome, family
from ruleforge.language.rule import Rule
from tasks.reward import Reward

SHORT = {"n_trials": 40}
TEXTS = (
    "(R - 1)*E",
    "R*E",
    "0*E",
    "R - 1 + E/R",
    "R*(2*E - R)",
    "(R - R_mean)*E",
    "E**2 - 0.3*R",
    "tanh(E)*R_mean_negative + 0.1",
    "exp(0 - abs(E))*(R - 1)",
    "abs(E)**0.5*R - max(E, R_mean_positive)",
)
NON_FINITE = ("1/(R*R - 1)", "(R - R)/(E - E)", "log(E - E)", "1e308*(E*0 + 10)", "1/(R_mean + R_mean*E)")


def rule(text: str) -> Rule:
    return Rule.parse(text, "reward")


def instance(reward: Reward, index: int = 0, seed: int = 5):
    return reward.build(InstanceKey("sampled", "training", seed, index))


def bits(scores, position: int) -> tuple:
    metrics = {name: values[position].tobytes() for name, values in sorted(scores.metrics.items())}
    return scores.fitness[position].tobytes(), scores.outcome[position], metrics


@pytest.fixture(scope="module")
def reward() -> Reward:
    return Reward(SHORT)


@pytest.fixture(scope="module")
def alone(reward):
    """The scores of each rule in a batch of its own."""
    problem = instance(reward)
    return {text: bits(reward.evaluate([rule(text)], problem), 0) for text in (*TEXTS, *NON_FINITE)}


def test_scores_do_not_depend_on_lane_batch_or_neighbours(reward, alone):
    assert len({found[0] for found in alone.values()}) > 5, "rules that all score alike would show nothing"
    problem = instance(reward)
    generator = np.random.default_rng(0)
    for size in (2, 15, 16, 17, 40):
        texts = [str(text) for text in generator.choice((*TEXTS, *NON_FINITE), size)]
        scores = reward.evaluate([rule(text) for text in texts], problem)
        for position, text in enumerate(texts):
            assert bits(scores, position) == alone[text], (size, position, text)


def test_every_lane_of_a_trace_and_of_a_batch_is_the_same_simulation(reward):
    """Every lane gives the whole learning curve of the trace, not only the same sum."""
    problem = instance(reward)
    curve = reward.trace(rule("R*E"), problem)["reward"].values
    rewards, _, _ = reward._run([rule("R*E")] * 16, problem, len(problem.order))
    np.testing.assert_array_equal(rewards, np.repeat(curve[:, None], 16, axis=1))


def test_scores_do_not_depend_on_the_thread(reward, alone):
    problem = instance(reward)
    found: dict[str, list] = {}

    def score(texts):
        scores = reward.evaluate([rule(text) for text in texts], problem)
        for position, text in enumerate(texts):
            found.setdefault(text, []).append(bits(scores, position))

    threads = [threading.Thread(target=score, args=(list(TEXTS[shift:] + TEXTS[:shift]),)) for shift in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {text: [alone[text]] * 4 for text in TEXTS}


def test_the_screening_of_the_first_trials_changes_no_score(reward, monkeypatch):
    problem = instance(reward)
    rules = [rule(text) for text in (*TEXTS, *NON_FINITE)]
    before = reward.evaluate(rules, problem)
    monkeypatch.setattr("tasks.reward.family.SCREENING_TRIALS", len(problem.order))
    after = reward.evaluate(rules, problem)
    assert [bits(before, i) for i in range(len(rules))] == [bits(after, i) for i in range(len(rules))]


@pytest.mark.parametrize("text", NON_FINITE)
def test_rules_that_leave_the_finite_numbers(reward, text):
    with np.errstate(all="raise"):
        scores = reward.evaluate([rule(text)], instance(reward))
    assert scores.outcome == (Outcome.non_finite,)
    assert scores.fitness[0] == -np.inf
    assert all(np.isnan(values[0]) for values in scores.metrics.values())


def test_a_rule_that_diverges_late_is_non_finite_too(reward):
    """R_mean_positive - R_mean_negative is 1 - 0.99**k after k trials: exp overflows at trial 27."""
    problem = instance(reward)
    late = rule("exp(3000*(R_mean_positive - R_mean_negative))")
    weights = reward.trace(late, problem)["weight"].values
    assert np.isfinite(weights[:28]).all()
    assert np.isnan(weights[28:]).all()
    scores = reward.evaluate([rule("R*E"), late, rule("R*E")], problem)
    assert scores.outcome == (Outcome.ok, Outcome.non_finite, Outcome.ok)
    assert scores.fitness[1] == -np.inf
    assert bits(scores, 0) == bits(scores, 2) == bits(reward.evaluate([rule("R*E")], problem), 0)


def test_no_rules_are_no_scores(reward):
    scores = reward.evaluate([], instance(reward))
    assert scores.fitness.shape == (0,)
    assert scores.outcome == ()


def test_fitness_is_the_sum_of_rewards_and_accuracy_their_share(reward):
    scores = reward.evaluate([rule("R*E")], instance(reward))
    rewards = reward.trace(rule("R*E"), instance(reward))["reward"].values
    assert scores.fitness[0] == rewards.sum()
    assert scores.metrics["accuracy"][0] == (rewards == 1).mean()
    assert scores.metrics["spikes_per_trial"][0] > 0


def test_published_levels_over_a_hundred_unseen_experiments():
    """(R − 1)·E learns as published, no plasticity is chance, and the margin between them is far from both errors."""
    reward = Reward()
    rules = [rule("(R - 1)*E"), rule("0*E")]
    keys = reward.keys("validation", 100, 0)
    fitness = np.array([reward.evaluate(rules, reward.build(key)).fitness for key in keys])
    learned, idle = fitness.mean(axis=0)
    assert 170 < learned < 215
    assert -30 < idle < 30
    difference = fitness[:, 0] - fitness[:, 1]
    error = difference.std(ddof=1) / 10
    assert difference.mean() > 10 * error


def test_known_rules_parse_and_say_where_they_come_from():
    known = Reward.known_rules()
    assert {"(R - 1)*E", "R*E", "(R - R_mean)*E"} <= {item.rule.text for item in known.values()}
    for name, item in known.items():
        assert item.name == name
        assert item.rule.task == "reward"
        assert Rule.parse(item.rule.text, "reward") == item.rule
        assert any(character.isdigit() for character in item.citation), f"{name}: a citation has a year"
    assert known["punishment-gated eligibility"].published == 210.2


def test_the_family_is_found_by_its_name():
    assert isinstance(family("reward", {"n_trials": 3}), Reward)
    with pytest.raises(InputError, match=r"unknown parameter 'n_trails'.*Did you mean 'n_trials'\?"):
        family("reward", {"n_trails": 3})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_trials", 0),
        ("n_trials", 2.5),
        ("resolution", 0.0),
        ("resolution", 2.0),
        ("connection_probability", 1.5),
        ("connection_probability", 0.0),
        ("escape_scale", -1.0),
        ("learning_rate", float("nan")),
        ("averaging", 0.5),
        ("input_rate", float("inf")),
        ("synaptic_delay", 0.5),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(InputError, match=rf"{name}: .*, and {value!r} came"):
        Reward({name: value})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"trial_duration": 500.04},
            r"trial_duration is expected to be a multiple of resolution \(0.1 ms\), it is 500.04",
        ),
        ({"refractory_period": 0.04}, "refractory_period is expected to be a multiple of resolution"),
        ({"trial_duration": 0.04}, "trial_duration is expected to be a multiple of resolution"),
        ({"trial_duration": 1e-9}, "trial_duration is expected to be a multiple of resolution"),
        (
            {"synaptic_delay": 600.0},
            r"synaptic_delay \(600 ms\) is expected to be shorter than trial_duration \(500 ms\)",
        ),
        ({"synaptic_delay": 500.0}, "or no input ever arrives"),
        ({"resolution": 0.3}, "parameters.synaptic_delay: synaptic_delay is expected to be a multiple of resolution"),
        ({"eligibility_time_constant": 0.5}, "is expected to be at least trial_duration/500 "),
    ],
)
def test_times_that_cannot_be_simulated_are_refused_by_name(given, message):
    with pytest.raises(InputError, match=message):
        Reward(given)


def test_other_parameters_are_another_key():
    digests = {Reward(given).parameters_digest for given in ({}, {"n_trials": 40}, {"learning_rate": 5.0})}
    assert len(digests) == 3
    assert Reward({"n_trials": 500}).parameters_digest == Reward().parameters_digest


@pytest.mark.parametrize("text", ["(R - 1)*E", "1/(R*R - 1)", "R_mean_positive*E + R_mean - R_mean_negative"])
def test_the_picture_shows_learning_curve_weight_change_and_weights_with_units(reward, text):
    drawn = rule(text)
    traces = [reward.trace(drawn, instance(reward, index)) for index in range(2)]
    figure = Figure()
    FigureCanvasAgg(figure)
    reward.draw(drawn, traces, figure)
    assert len(figure.axes) == 3
    assert drawn.latex in figure.get_suptitle()
    labels = [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes]
    assert [x for x, _ in labels] == ["trial", "eligibility E", "trial"]
    assert all(part in y for (_, y), part in zip(labels, ("rewarded", "(pA)", "(nA)"), strict=True))
    curves, changes, weights = figure.axes
    assert curves.collections, "the band over experiments"
    assert {text.get_text() for text in changes.get_legend().get_texts()} == {"R = +1", "R = -1"}
    assert len(weights.lines) == traces[0]["weight"].values.shape[1]
    png = io.BytesIO()
    figure.savefig(png, format="png")
    assert png.getvalue()[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(png.getvalue()) > 10_000


def test_the_change_of_a_weight_is_drawn_as_the_rule_says(reward):
    traces = [reward.trace(rule("(R - 1)*E"), instance(reward))]
    figure = Figure()
    reward.draw(rule("(R - 1)*E"), traces, figure)
    rewarded, punished = figure.axes[1].lines[:2]
    eligibility = punished.get_xdata()
    np.testing.assert_array_equal(rewarded.get_ydata(), 0 * eligibility)
    np.testing.assert_allclose(punished.get_ydata(), -2 * reward.parameters.learning_rate * eligibility)
