"""Short calls by messages that go straight to the workers: the same scores, whoever hears them or does not."""

from __future__ import annotations

import os
import signal
from collections import Counter

import pytest

from tests.workers.clusters import Killer, made, made_keys, made_rules, values, wait_for
from workers.evaluators import SerialEvaluator, shares
from workers.evaluators.choose import make_evaluator
from workers.evaluators.messages import Messages

N_RULES, N_KEYS = 3, 8


@pytest.fixture
def answered(monkeypatch):
    """How many units of each call by messages were answered."""
    counts = []
    score = Messages.score

    def counted(self, request, plain, units):
        found = score(self, request, plain, units)
        counts.append(len(units) - found.count(None))
        return found

    monkeypatch.setattr(Messages, "score", counted)
    return counts


@pytest.fixture
def expected():
    return values(SerialEvaluator().score(made(), made_rules(N_RULES), made_keys(N_KEYS)))


def short_call(evaluator, bound, seconds_per_pair=0.001):
    """Scores of a call of which the evaluator believes to know how short it is."""
    evaluator._costs.note(bound.parameters_digest, 1, seconds_per_pair)
    return values(evaluator.score(bound, made_rules(N_RULES), made_keys(N_KEYS)))


def test_short_calls_go_by_messages_and_long_ones_by_tasks(embedded, answered, expected):
    quick = made(seconds=0.001)
    assert values(embedded.score(quick, made_rules(N_RULES), made_keys(N_KEYS))) == expected
    assert answered == [], "how long it takes was not known"
    for _ in range(3):
        assert values(embedded.score(quick, made_rules(N_RULES), made_keys(N_KEYS))) == expected
    assert len(answered) == 3
    assert min(answered) > 0
    assert short_call(embedded, quick, 100.0) == expected
    assert len(answered) == 3


def test_a_call_may_begin_with_messages_and_end_with_tasks(embedded, monkeypatch, expected):
    """One worker does not answer, as if it had just died."""
    score = Messages.score
    monkeypatch.setattr(
        Messages, "score", lambda self, request, plain, units: [None, *score(self, request, plain, units)[1:]]
    )
    quick = made(seconds=0.0011)
    assert short_call(embedded, quick) == expected


def test_what_a_busy_worker_has_not_begun_goes_to_another(embedded, answered, monkeypatch, tmp_path, expected):
    client = embedded.connection.client
    busy, other = client.nthreads()
    by_worker = Counter()

    def counted(text):
        found = shares.results_of(text)
        by_worker.update(result["worker"] for result in found.values())
        return found

    def keep_busy(seen):
        import pathlib
        import time

        pathlib.Path(seen).touch()
        time.sleep(1)

    monkeypatch.setattr("workers.evaluators.messages.results_of", counted)
    keeping = client.submit(keep_busy, str(tmp_path / "seen"), workers=[busy])
    wait_for((tmp_path / "seen").exists)
    assert short_call(embedded, made(seconds=0.0012)) == expected
    assert by_worker[busy] <= 1, "it has one thread, and is left one unit at the most"
    assert by_worker[other] + by_worker[busy] == answered[0] > 4
    keeping.result()


def test_a_worker_that_is_killed_while_it_answers_changes_nothing(embedded, tmp_path):
    slow = made(seconds=0.02, log=str(tmp_path / "seen"))
    expected = values(SerialEvaluator().score(made(), made_rules(2), made_keys(10)))
    assert values(embedded.score(slow, made_rules(2), made_keys(10))) == expected
    wait_for(lambda: len(embedded.connection.client.nthreads()) == 2)
    (tmp_path / "seen").unlink()
    killer = Killer(embedded, tmp_path / "seen")
    assert values(embedded.score(slow, made_rules(2), made_keys(10), stop=killer)) == expected
    assert killer.killed


def test_workers_without_our_preload_are_sent_tasks(cluster, answered, expected):
    """They do not hear messages."""
    cluster.start_foreign_worker()
    evaluator = make_evaluator(cluster.address)
    try:
        wait_for(evaluator.connection.client.nthreads)
        evaluator.connection._refreshed = 0.0
        assert short_call(evaluator, made()) == expected
        assert answered == [0]
    finally:
        evaluator.close()


def test_a_worker_that_hangs_holds_up_a_call_no_longer_than_the_scheduler_waits_for_it(
    cluster, answered, expected, tmp_path
):
    cluster.kill(cluster.scheduler)
    cluster.scheduler = cluster.start_scheduler(DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL="2s")
    # Without a nanny, which would end it and so close the connection.
    cluster.start_foreign_worker("--preload", "workers.cluster.preload", "--no-nanny")
    evaluator = make_evaluator(cluster.address)
    try:
        client = evaluator.connection.client
        wait_for(client.nthreads)
        slow = made(seconds=0.02, log=str(tmp_path / "seen"))
        (first,) = client.run(os.getpid).values()

        def hang():
            """Once a unit is being scored; asked again and again, as the wish to stop."""
            if (tmp_path / "seen").exists() and len(cluster.running) == 3:
                os.kill(first, signal.SIGSTOP)
                cluster.start_worker()
            return False

        evaluator._costs.note(slow.parameters_digest, 1, 0.001)
        evaluator.connection._refreshed = 0.0
        assert values(evaluator.score(slow, made_rules(N_RULES), made_keys(N_KEYS), stop=hang)) == expected
        assert len(cluster.running) == 4, "it was stopped in the middle"
        assert len(answered) == 1
        assert answered[0] < N_KEYS
    finally:
        evaluator.close()


def test_workers_keep_the_memory_that_they_freed(embedded):
    """Arrays of a megabyte come from what the process has: without that each would cost 256 page faults."""

    def faults():
        import resource

        import numpy as np

        def use():
            for _ in range(100):
                np.ones(2**17)

        use()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        use()
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    wait_for(lambda: len(embedded.connection.client.nthreads()) == 2)
    assert max(embedded.connection.client.run(faults).values()) < 1000
