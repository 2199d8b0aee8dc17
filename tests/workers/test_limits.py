"""What scoring costs: refused above the limits of the environment, scored in pieces, given up if it takes too long."""

from __future__ import annotations

import numpy as np
import pytest

from ruleforge.cost import LIMIT_GIGABYTES, LIMIT_SECONDS
from ruleforge.errors import InputError, JobStopped, SpecificationError
from ruleforge.family import Outcome, family, family_class
from ruleforge.language.rule import Rule
from ruleforge.spec import job_spec
from workers.evaluate import evaluate_rules
from workers.evaluators import SerialEvaluator, units
from workers.evaluators.units import InstanceCache, bytes_of, score_unit
from workers.reproduce import reproduce
from workers.trace import trace_of

SMALL = {"n_trials": 20, "n_inputs": 10, "n_patterns": 4, "trial_duration": 100.0}
RULES = [Rule.parse(text, "reward") for text in ("R*E", "(R - 1)*E", "E", "0", "R", "E/R - 1")]
HUGE = {"n_trials": 1_000_000}


@pytest.mark.parametrize("name", ["reward", "supervised", "correlation"])
def test_defaults_and_published_protocols_are_within_the_limits(name):
    job_spec({"task": name})
    published = family_class(name).published_experiments()
    for split, parameters in published.parameters.items():
        bound = family(name, parameters)
        bound.keys(split, 1, 0)
        assert bound.cost(200).seconds < 60


def test_each_door_refuses_with_the_estimate_and_its_parameters():
    evaluator, bound = SerialEvaluator(), family("reward", HUGE)
    refusals = [
        lambda: job_spec({"task": "reward", "parameters": HUGE}),
        lambda: evaluate_rules(evaluator, bound, RULES[:1]),
        lambda: reproduce(evaluator, family_class("reward"), rules=["R*E"], parameters=HUGE),
        lambda: trace_of(bound, RULES[0]),
    ]
    for refused in refusals:
        with pytest.raises(
            SpecificationError, match=r"n_trials: .* about [\d,]+ s \(n_trials = 1e\+06, .*RULEFORGE_LIM"
        ):
            refused()


def test_whoever_runs_it_sets_the_limits(monkeypatch):
    with pytest.raises(SpecificationError, match=LIMIT_SECONDS):
        job_spec({"task": "reward", "parameters": HUGE})
    monkeypatch.setenv(LIMIT_SECONDS, "1e6")
    job_spec({"task": "reward", "parameters": HUGE})
    monkeypatch.setenv(LIMIT_GIGABYTES, "0.0001")
    with pytest.raises(SpecificationError, match=LIMIT_GIGABYTES):
        job_spec({"task": "reward"})
    for text in ("many", "0", "-1", "nan"):
        monkeypatch.setenv(LIMIT_SECONDS, text)
        with pytest.raises(InputError, match=f"{LIMIT_SECONDS}: expected a positive number, and '{text}' came"):
            job_spec({"task": "reward"})


def test_the_scores_of_one_generation_fit_into_memory():
    large = {"search": {"population": 16, "offspring": 90_000}, "instances": {"training": 10_000}}
    with pytest.raises(SpecificationError, match=r"90,000 rules .* on 10,000 instances .* about 450 GB"):
        job_spec({"task": "reward", **large})


def test_pieces_give_the_same_bits(monkeypatch):
    bound = family("reward", SMALL)
    keys = bound.keys("training", 2, 0)
    whole = score_unit(bound, RULES, keys)
    monkeypatch.setattr(units, "PIECE_BYTES", 1)
    for one, other in zip(score_unit(bound, RULES, keys), whole, strict=True):
        np.testing.assert_array_equal(one.fitness, other.fitness)
        assert one.outcome == other.outcome
        assert all(np.array_equal(one.metrics[name], other.metrics[name], equal_nan=True) for name in other.metrics)


def test_a_stop_is_seen_between_pieces(monkeypatch):
    bound = family("reward", SMALL)
    monkeypatch.setattr(units, "PIECE_BYTES", 1)
    with pytest.raises(JobStopped):
        score_unit(bound, RULES, bound.keys("training", 1, 0), stop=lambda: True)


def test_what_is_left_when_the_time_is_gone_is_timed_out(monkeypatch):
    bound = family("reward", SMALL)
    keys = bound.keys("training", 1, 0)
    (whole,) = score_unit(bound, RULES, keys)
    monkeypatch.setattr(units, "PIECE_BYTES", 1)
    monkeypatch.setattr(units, "LEAST_PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(units, "SLOWER", 0.0)
    (found,) = score_unit(bound, RULES, keys)
    assert found.outcome == (whole.outcome[0], *[Outcome.timed_out] * (len(RULES) - 1))
    assert found.fitness[0] == whole.fitness[0]
    assert (found.fitness[1:] == -np.inf).all()


def test_kept_instances_fit_into_their_bytes():
    bound = family("reward", SMALL)
    keys = bound.keys("training", 6, 0)
    size = max(bytes_of(bound.build(key)) for key in keys)
    cache = InstanceCache(n_bytes=3 * size)
    first = cache.get_all(bound, keys)
    assert cache.get(bound, keys[-1]) is first[-1]
    assert cache.get(bound, keys[0]) is not first[0]
    assert sum(map(bytes_of, cache._kept.values())) == cache._n_bytes <= 3 * size
