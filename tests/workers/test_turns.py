"""Sharing an evaluator: equal time for equal priority, on a clock of our own."""

from __future__ import annotations

import threading

import pytest

from ruleforge.errors import JobStopped
from ruleforge.family import InstanceKey, family
from ruleforge.language.rule import Rule
from workers.evaluators import SerialEvaluator
from workers.turns import SharedEvaluator, Turns, jobs_at_once


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def shares(turns, clock, costs, n_turns):
    """Let jobs with these costs per turn (seconds) take n_turns, all waiting at any time; seconds by job."""
    for _ in range(n_turns):
        with turns._changed:
            turns._waiting.update(costs)
            job = next(name for name in costs if turns._is_next(name))
            turns._waiting.clear()
        with turns.turn(job):
            clock.now += costs[job]
    return turns.used


def test_jobs_with_short_and_with_long_generations_get_equal_time():
    clock = Clock()
    turns = Turns(lambda: 1, clock)
    costs = {f"job {i}": 0.1 * (i + 1) for i in range(8)}
    for job in costs:
        turns.join(job)
    used = shares(turns, clock, costs, 1000)
    mean = sum(used.values()) / len(used)
    assert all(abs(value / mean - 1) < 0.05 for value in used.values())


def test_a_job_that_comes_later_begins_level():
    clock = Clock()
    turns = Turns(lambda: 1, clock)
    for job in ("a", "b"):
        turns.join(job)
    shares(turns, clock, {"a": 1.0, "b": 1.0}, 100)
    turns.join("c")
    before = turns.used
    used = shares(turns, clock, dict.fromkeys("abc", 1.0), 30)
    assert {job: used[job] - before[job] for job in used} == dict.fromkeys("abc", 10.0)


def test_a_higher_priority_has_every_turn_that_it_wants():
    clock = Clock()
    turns = Turns(lambda: 1, clock)
    turns.join("low")
    turns.join("high", priority=1)
    assert shares(turns, clock, {"low": 1.0, "high": 1.0}, 10) == {"low": 0.0, "high": 10.0}
    turns.leave("high")
    assert shares(turns, clock, {"low": 1.0}, 3) == {"low": 3.0}


def test_what_the_first_turns_load_for_all_is_charged_to_nobody():
    clock = Clock()
    turns = Turns(lambda: 2, clock)
    for job in ("first", "beside it", "later"):
        turns.join(job)
    with turns.turn("first", loads="kernels"), turns.turn("beside it", loads="kernels"):
        clock.now += 5.0
    for job in ("later", "first"):
        with turns.turn(job, loads="kernels"):
            clock.now += 1.0
    with turns.turn("first", loads="other kernels"):
        clock.now += 5.0
    assert turns.used == {"first": 1.0, "beside it": 0.0, "later": 1.0}


def test_a_turn_is_waited_for_and_a_stop_ends_the_waiting():
    turns = Turns(lambda: 1)
    for job in ("a", "b"):
        turns.join(job)
    order = []
    started = threading.Event()

    def second():
        started.set()
        with turns.turn("b"):
            order.append("b")

    with turns.turn("a"):
        thread = threading.Thread(target=second)
        thread.start()
        started.wait()
        with pytest.raises(JobStopped, match="while it waited for its turn"), turns.turn("a", stop=lambda: True):
            pytest.fail("there is one turn at a time")
        order.append("a")
    thread.join()
    assert order == ["a", "b"]


@pytest.mark.parametrize(("workers", "expected"), [(1, 1), (2, 2), (8, 2), (32, 3), (256, 10)])
def test_more_jobs_score_at_once_where_there_are_many_workers(workers, expected):
    assert jobs_at_once(workers) == expected


def test_a_shared_evaluator_scores_as_the_evaluator_does():
    reward = family("reward", {"n_trials": 20})
    rules, keys = [Rule.parse("R*E", "reward")], [InstanceKey("sampled", "training", 1, i) for i in range(2)]
    evaluator = SerialEvaluator()
    turns = Turns(lambda: 1)
    turns.join("job")
    shared = SharedEvaluator(evaluator, turns, "job")
    assert shared.workers == 1
    expected = evaluator.score(reward, rules, keys)
    assert [list(item.fitness) for item in shared.score(reward, rules, keys)] == [list(e.fitness) for e in expected]
    assert turns.used["job"] == 0, "it has loaded the kernels"
    shared.score(reward, rules, keys)
    assert turns.used["job"] > 0
    shared.close()
    assert evaluator.score(reward, rules, keys[:1])
