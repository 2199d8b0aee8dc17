"""What every evaluator holds to: the same bits in the order of the keys, stops, and faults."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable

import numpy as np
import pytest

from ruleforge.errors import EvaluationError, JobStopped, RuleSyntaxError
from ruleforge.family import InstanceKey, Outcome, Scores, family
from ruleforge.language.rule import Rule
from workers.evaluators import Evaluator, SerialEvaluator, ThreadEvaluator
from workers.evaluators.threads import divide
from workers.evaluators.units import InstanceCache, joined

EVALUATORS: dict[str, Callable[[], Evaluator]] = {
    "serial": SerialEvaluator,
    "1 thread": lambda: ThreadEvaluator(1),
    "2 threads": lambda: ThreadEvaluator(2),
    "4 threads": lambda: ThreadEvaluator(4),
}
TEXTS = ("(R - 1)*E", "R*E", "1/(R*R - 1)", "0*E", "R - 1 + E/R")
# More rules than one unit takes.
RULES = [Rule.parse(f"{text} + {number}*E", "reward") for number in range(30) for text in TEXTS]


@pytest.fixture(params=[*EVALUATORS, "2 processes"])
def evaluator(request, installed):
    if request.param == "2 processes":
        yield request.getfixturevalue("embedded")  # one for all tests, because to start one takes seconds
    else:
        made = EVALUATORS[request.param]()
        yield made
        made.close()


@pytest.fixture(scope="module")
def reward():
    return family("reward", {"n_trials": 10})


@pytest.fixture(scope="module")
def keys(reward):
    return [*reward.keys("training", 2, 4), *reward.keys("validation", 2, 4)]


@pytest.fixture(scope="module")
def plain(reward, keys):
    """The family asked directly, one instance after the other."""
    return [reward.evaluate(RULES, reward.build(key)) for key in keys]


def assert_same(found: Scores, expected: Scores) -> None:
    assert found.fitness.tobytes() == expected.fitness.tobytes()
    assert found.outcome == expected.outcome
    assert found.metrics.keys() == expected.metrics.keys()
    for name, values in expected.metrics.items():
        assert found.metrics[name].tobytes() == values.tobytes(), name


@pytest.fixture
def made(installed, tmp_path):
    """Binds the family of the test's own making; it notes in a file which instances were simulated."""

    def bound(**parameters):
        return family("made", {"log": str(tmp_path / "seen"), **parameters})

    return bound


@pytest.fixture
def seen(tmp_path):
    """Numbers of the instances that were simulated, as often as they were."""

    def read():
        file = tmp_path / "seen"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    return read


def made_rules(n):
    return [Rule.parse(f"{number}*x", "made") for number in range(n)]


def made_keys(n):
    return [InstanceKey("sampled", "training", 0, index) for index in range(n)]


def test_the_same_bits_as_the_family_itself(evaluator, reward, keys, plain):
    found = evaluator.score(reward, RULES, keys)
    assert len(found) == len(keys)
    for scores, expected in zip(found, plain, strict=True):
        assert_same(scores, expected)


def test_scores_come_in_the_order_of_the_keys(evaluator, reward, keys, plain):
    order = [3, 0, 2, 1, 0]
    for scores, index in zip(evaluator.score(reward, RULES[:5], [keys[i] for i in order]), order, strict=True):
        assert scores.fitness.tobytes() == plain[index].fitness[:5].tobytes()


def test_rules_and_instances_are_put_together_as_they_were_cut(evaluator, made):
    for n_rules, n_keys in ((1, 1), (1, 7), (130, 1), (67, 5), (200, 3)):
        found = evaluator.score(made(log=""), made_rules(n_rules), made_keys(n_keys))
        expected = [[index * 1000 + rule for rule in range(n_rules)] for index in range(n_keys)]
        assert [scores.fitness.tolist() for scores in found] == expected
        assert [scores.metrics["constant"].tolist() for scores in found] == [list(range(n_rules))] * n_keys


def test_the_fitness_to_give_up_below_reaches_the_family(evaluator, made):
    found = evaluator.score(made(), made_rules(2), made_keys(3), give_up_below=-7.5)
    assert [scores.fitness.tolist() for scores in found] == [[-7.5, -7.5]] * 3


def test_nothing_to_score(evaluator, reward, keys):
    found = evaluator.score(reward, [], keys)
    assert [scores.fitness.shape for scores in found] == [(0,)] * len(keys)
    assert [scores.outcome for scores in found] == [()] * len(keys)
    assert evaluator.score(reward, RULES[:2], []) == []


def test_a_stop_before_the_first_unit(evaluator, made, seen):
    with pytest.raises(JobStopped):
        evaluator.score(made(), made_rules(2), made_keys(6), stop=lambda: True)
    assert seen() == []


def test_a_stop_in_the_middle_ends_before_all_is_done(evaluator, made, seen):
    with pytest.raises(JobStopped):
        evaluator.score(made(seconds=0.02), made_rules(1), made_keys(300), stop=lambda: len(seen()) >= 4)
    before = seen()
    assert 4 <= len(before) < 300
    if isinstance(evaluator, ThreadEvaluator):
        # At the fourth instance every thread may have two before it looks again: those of the unit that it is at.
        assert len(before) <= 4 + 2 * evaluator.workers
    # A stop is of one call: the evaluator can be used again.
    assert len(evaluator.score(made(log=""), made_rules(1), made_keys(3))) == 3
    assert seen() == before, "nothing of the stopped call went on"


def test_a_fault_of_a_unit_is_raised_as_it_is_after_the_others_have_ended(evaluator, made, seen):
    with pytest.raises(EvaluationError, match="instance 1 cannot be simulated"):
        evaluator.score(made(fails_at=1), made_rules(1), made_keys(12))
    before = seen()
    assert before, "the other units were simulated"
    evaluator.score(made(log=""), made_rules(1), made_keys(2))
    assert seen() == before, "nothing of the failed call went on"


def test_a_refusal_is_raised_as_it_is(evaluator, made):
    with pytest.raises(RuleSyntaxError, match="unknown name 'y'") as refused:
        evaluator.score(made(refuses_at=0), made_rules(1), made_keys(1))
    assert refused.value.position == 0


def test_work_is_cut_into_whole_batches_that_cover_everything_once():
    for n_rules, n_keys, per_unit, workers, batch in (
        (150, 10, 1, 2, 16), (5, 15, 8, 4, 16), (64, 1, 1, 64, 16), (64, 1, 16, 2, 4), (17, 8, 1, 3, 1),
    ):  # fmt: skip
        units = divide(n_rules, n_keys, per_unit, workers, batch)
        covered = np.zeros((n_rules, n_keys), dtype=int)
        for rules, keys in units:
            covered[rules, keys] += 1
            assert rules.start % batch == 0, "a unit begins with a whole batch of lanes"
        assert (covered == 1).all()


def test_the_last_units_are_the_shortest_and_no_worker_gets_more_than_its_share_at_once():
    for workers, batch, share_work in ((2, 1, False), (2, 4, True), (4, 1, True), (8, 4, False)):
        sizes = [rules.stop - rules.start for rules, _ in divide(128, 1, 16, workers, batch, share_work)]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] <= min(64, 128 // workers)
        assert sizes[-1] == batch


def test_one_worker_does_not_cut_what_is_soon_done():
    assert divide(64, 2, 1, 1, 4) == [(slice(0, 64), slice(0, 1)), (slice(0, 64), slice(1, 2))]


def test_joined_scores_keep_every_metric():
    part = Scores(np.array([1.0]), (Outcome.ok,), {"accuracy": np.array([0.5])})
    other = Scores(np.array([-np.inf]), (Outcome.non_finite,), {"accuracy": np.array([np.nan])})
    both = joined([part, other])
    assert both.fitness.tolist() == [1.0, -np.inf]
    assert both.outcome == (Outcome.ok, Outcome.non_finite)
    np.testing.assert_array_equal(both.metrics["accuracy"], [0.5, np.nan])


def test_instances_are_built_once_and_the_least_used_are_dropped():
    built = []

    class Counting:
        parameters_digest = "counting"

        def build(self, key):
            built.append(key.index)
            return key

    cache = InstanceCache(2)
    for index in (0, 1, 0, 2, 0, 1):
        assert cache.get(Counting(), made_keys(3)[index]) == made_keys(3)[index]
    assert built == [0, 1, 2, 1]


def test_threads_that_want_the_same_instances_share_the_building():
    """Each thread builds the first instance while the other builds the second, or the barrier breaks."""
    both, built = threading.Barrier(2, timeout=30), []

    class Slow:
        parameters_digest = "slow"

        def build(self, key):
            built.append(key.index)
            both.wait()
            return key

    cache, keys = InstanceCache(), made_keys(2)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        found = [future.result() for future in [pool.submit(cache.get_all, Slow(), keys) for _ in range(2)]]
    assert found == [keys, keys]
    assert sorted(built) == [0, 1]


def test_whoever_waits_for_an_instance_learns_why_there_is_none():
    begun, tried, waiting = threading.Event(), [], threading.Event()

    class Failing:
        parameters_digest = "failing"

        def build(self, key):
            tried.append(key.index)
            if key.index == 0:
                begun.set()
                waiting.wait(30)
                raise EvaluationError("no such instance")
            waiting.set()
            return key

    cache, keys = InstanceCache(), made_keys(2)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        builder = pool.submit(cache.get, Failing(), keys[0])
        begun.wait(30)
        other = pool.submit(cache.get_all, Failing(), keys)
        for future in (builder, other):
            with pytest.raises(EvaluationError, match="no such instance"):
                future.result()
    assert tried == [0, 1]
    with pytest.raises(EvaluationError, match="no such instance"):
        cache.get(Failing(), keys[0])  # it is tried again, and fails again


def test_instances_of_other_parameters_are_others():
    cache = InstanceCache()
    key = InstanceKey("sampled", "training", 0, 0)
    short, long = (cache.get(family("reward", {"n_trials": n}), key) for n in (5, 6))
    assert (len(short.order), len(long.order)) == (5, 6)
