"""Scoring one rule as a job: ahead of evolutions, with the numbers of `evaluate`, through any interruption."""

from __future__ import annotations

import pytest

import ruleforge
from ruleforge.errors import InputError
from ruleforge.family import family
from ruleforge.language.rule import Rule
from ruleforge.store import RequestKey
from workers.evaluate import evaluate_rules
from workers.evaluation import KIND, EvaluationSpec, run_evaluation, submit_evaluation
from workers.evaluators import SerialEvaluator
from workers.evolve import submit
from workers.runner import Runner
from workers.versions import context

ASKED = EvaluationSpec(task="reward", rule="0.5*(R - 1)*E", parameters={"n_trials": 20}, n=3, seed=2)


def silent(_):
    pass


def states(store, job):
    return [event["payload"]["state"] for event in store.events(job) if event["kind"] == "state"]


def test_the_result_is_that_of_evaluate(store):
    id = submit_evaluation(store, ASKED)
    assert store.job(id).kind == KIND
    assert run_evaluation(store, id, SerialEvaluator()) == "succeeded"
    result = store.job(id).result
    expected = ruleforge.evaluate("reward", ASKED.rule, n=3, seed=2, n_trials=20)
    assert tuple(result["fitness"]) == expected.fitness
    assert (result["aggregate"], result["mean"]) == (expected.aggregate, expected.mean)
    assert result["rule"] == "0.5*(R - 1)*E"
    assert store.rule(result["id"]).rule.text == result["rule"], "so that it can be drawn"
    assert states(store, id) == ["queued", "running", "succeeded"]
    with pytest.raises(InputError, match="has ended already"):
        run_evaluation(store, id, SerialEvaluator())


def test_metrics_are_told_and_every_score_is_kept_with_them(store):
    id = submit_evaluation(store, ASKED)
    run_evaluation(store, id, SerialEvaluator())
    result = store.job(id).result
    bound = family("reward", {"n_trials": 20})
    keys = bound.keys("training", 3, 2)
    kept = store.cached_scores(context(bound), [result["id"]], [str(key) for key in keys])
    assert len(kept) == 3
    scored = [bound.evaluate([Rule.parse(ASKED.rule, "reward")], bound.build(key)) for key in keys]
    assert result["metrics"].keys() == scored[0].metrics.keys() == {"accuracy", "spikes_per_trial"}
    for name, mean in result["metrics"].items():
        assert mean == pytest.approx(sum(float(scores.metrics[name][0]) for scores in scored) / 3)
    for key, scores in zip(keys, scored, strict=True):
        record = kept[result["id"], str(key)]
        assert record.fitness == scores.fitness[0]
        assert record.metrics == {name: float(values[0]) for name, values in scores.metrics.items()}


def test_a_metric_that_is_not_finite_on_one_instance_has_no_mean(store):
    id = submit_evaluation(store, ASKED.model_copy(update={"rule": "E/(R - R)"}))
    run_evaluation(store, id, SerialEvaluator())
    assert set(store.job(id).result["metrics"].values()) == {None}


def test_what_a_record_has_is_not_simulated_again(store, monkeypatch):
    bound, rules = family("reward", {"n_trials": 20}), [Rule.parse("R*E", "reward")]
    first = evaluate_rules(SerialEvaluator(), bound, rules, n=3, store=store)
    monkeypatch.setattr(type(bound), "evaluate_many", None)
    assert evaluate_rules(SerialEvaluator(), bound, rules, n=3, store=store) == first


def test_defaults_are_filled_in_and_equal_ones_have_equal_hashes(store):
    spec = store.job(submit_evaluation(store, EvaluationSpec(task="reward", rule="R*E"))).spec
    assert (spec["n"], spec["split"], spec["parameters"]["n_trials"]) == (10, "training", 500)
    hashes = {
        store.job(submit_evaluation(store, EvaluationSpec(task="reward", rule=text, n=n))).spec_hash
        for text, n in (("R*E", None), ("R * E", 10), ("(R)*E", 10))
    }
    assert len(hashes) == 1
    once = [submit_evaluation(store, ASKED, RequestKey("k", "d")) for _ in range(2)]
    assert once[0] == once[1]


@pytest.mark.parametrize(
    "wrong",
    [{"rule": "(R - 1)*Q"}, {"rule": "R -"}, {"task": "nonsense"}, {"parameters": {"n_trials": 0}}],
)
def test_what_is_refused_is_not_queued(store, wrong):
    with pytest.raises(InputError):
        submit_evaluation(store, ASKED.model_copy(update=wrong))
    assert store.jobs() == []


def test_the_runner_takes_it_before_evolutions(store, jobs):
    evolution = submit(store, jobs.spec())
    evaluation = submit_evaluation(store, ASKED)
    assert [item.id for item in store.waiting(("evolution", KIND))] == [evaluation, evolution]
    assert Runner(store, SerialEvaluator(), 1, silent).run(until_idle=True) == {"succeeded": 2}


def test_one_that_is_stopped_goes_back_into_the_queue(store):
    id = submit_evaluation(store, ASKED)
    assert run_evaluation(store, id, SerialEvaluator(), stop=lambda: True, when_stopped="queued") == "queued"
    assert store.job(id).result is None
    assert run_evaluation(store, id, SerialEvaluator()) == "succeeded"


def test_a_fault_is_recorded(store):
    id = submit_evaluation(store, ASKED)

    class Faulty(SerialEvaluator):
        def score(self, *_, **__):
            raise RuntimeError("the machine is on fire")

    said = []
    assert Runner(store, Faulty(), 1, said.append).run(until_idle=True) == {"failed": 1}
    assert store.job(id).state == "failed"
    assert "the machine is on fire" in store.events(id)[-1]["payload"]["reason"]
