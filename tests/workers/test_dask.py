"""Jobs on Dask clusters of real processes: the history of a serial run, whatever happens to workers and scheduler."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from ruleforge.errors import EvaluatorLostError, InputError, JobStopped
from tests.workers.clusters import PROGRAMS, Killer, made, made_keys, made_rules, values, wait_for
from workers.cluster.compatibility import METADATA, cautions, facts, refusals
from workers.cluster.connection import scheduler_place
from workers.evaluators import SerialEvaluator
from workers.evaluators.choose import make_evaluator
from workers.evaluators.dask import DaskEvaluator
from workers.evaluators.threads import ThreadEvaluator
from workers.evolve import SilentObserver, run_job, submit

STOP_SECONDS = 3.0


@pytest.fixture(scope="module")
def spec(jobs):
    return jobs.spec(instances={"training": 4, "validation": 3, "test": 3})


@pytest.fixture(scope="module")
def expected(jobs, undisturbed, spec):
    return jobs.essence(undisturbed(spec))


class After(SilentObserver):
    """Acts once, after so many generations."""

    def __init__(self, generations, act):
        self.left, self.act = generations, act

    def on_generation(self, generation, seconds):
        self.left -= 1
        if self.left == 0:
            self.act()


# Embedded clusters ---------------------------------------------------------------------------------------------------


def test_two_processes_give_the_serial_history(jobs, store, spec, expected, embedded):
    assert embedded.workers == 2
    assert jobs.essence(jobs.run(store, embedded, spec)) == expected


@pytest.mark.parametrize("workers", [1, 4])
def test_other_numbers_of_processes_give_the_serial_history(jobs, store, spec, expected, workers):
    evaluator = make_evaluator("local", workers)
    try:
        assert evaluator.workers == workers
        assert jobs.essence(jobs.run(store, evaluator, spec)) == expected
    finally:
        evaluator.close()


def test_a_worker_that_is_killed_between_generations_changes_nothing(jobs, store, spec, expected, embedded):
    killed = []

    def kill():
        pid = next(iter(embedded.connection.client.run(os.getpid).values()))
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    assert jobs.essence(jobs.run(store, embedded, spec, observer=After(2, kill))) == expected
    assert killed


def test_a_worker_that_is_killed_while_it_scores_changes_nothing(embedded, tmp_path):
    """Each unit that was lost is computed again, and no score is there twice."""
    slow = made(seconds=0.1, log=str(tmp_path / "seen"))
    killer = Killer(embedded, tmp_path / "seen")
    found = embedded.score(slow, made_rules(2), made_keys(10), stop=killer)
    assert killer.killed
    assert values(found) == values(SerialEvaluator().score(made(), made_rules(2), made_keys(10)))


def test_units_end_soon_after_a_stop(embedded, tmp_path):
    """In the middle of units that would take ten seconds each, and with as many again waiting."""
    seen = tmp_path / "seen"
    slow = made(seconds=0.2, log=str(seen))
    stopped_at = []

    def stop():
        if seen.exists() and not stopped_at:
            stopped_at.append(time.monotonic())
        return bool(stopped_at)

    with pytest.raises(JobStopped):
        embedded.score(slow, made_rules(1), made_keys(200), stop=stop)
    assert time.monotonic() - stopped_at[0] < STOP_SECONDS
    before = seen.read_text()
    embedded.score(made(), made_rules(2), made_keys(8))
    assert seen.read_text() == before, "nothing of the stopped call went on"


def test_several_jobs_share_a_cluster(embedded):
    """Calls from several threads do not mix, and the stop of one is not that of another."""
    found = {}

    def score(number):
        stop = (lambda: True) if number == 0 else (lambda: False)
        try:
            found[number] = values(embedded.score(made(seconds=0.01), made_rules(number + 1), made_keys(6), stop=stop))
        except JobStopped:
            found[number] = "stopped"

    threads = [threading.Thread(target=score, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.pop(0) == "stopped"
    for number, scores in found.items():
        assert scores == [[index * 1000.0 + rule for rule in range(number + 1)] for index in range(6)]


def test_a_worker_may_compile_after_its_start(tmp_path):
    """Also where the program had numba in memory before its workers were given their environment."""
    program = Path(__file__).parent / "helpers/compile_in_worker.py"
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.split() == ["2", "1"], done.stderr


def test_dask_says_nothing_by_itself_here_or_in_the_workers(embedded):
    def outspoken():
        names = ["distributed", *(name for name in logging.root.manager.loggerDict if name.startswith("distributed."))]
        return [name for name in names if logging.getLogger(name).isEnabledFor(logging.ERROR)]

    assert outspoken() == []
    wait_for(lambda: len(embedded.connection.client.nthreads()) == 2)  # a test before may have killed one
    assert list(embedded.connection.client.run(outspoken).values()) == [[], []]


def test_a_family_that_is_not_installed_is_refused(embedded):
    class Own(type(made())):
        pass

    with pytest.raises(InputError, match="Own is not the installed family 'made'"):
        embedded.score(Own(), made_rules(1), made_keys(1))


# Somebody's scheduler ------------------------------------------------------------------------------------------------


def test_workers_and_scheduler_come_and_go(jobs, store, spec, expected, cluster):
    """A job begins without any worker; one joins, a second joins, the first is killed, then the scheduler is."""
    said = []
    evaluator = make_evaluator(str(cluster.file), warn=said.append)
    try:
        present = evaluator.connection.client.nthreads
        assert present() == {}
        first = cluster.start_worker()  # takes seconds to join, and units are waiting for it
        scores = evaluator.score(made(), made_rules(3), made_keys(5))
        assert values(scores) == values(SerialEvaluator().score(made(), made_rules(3), made_keys(5)))
        cluster.start_worker()

        def swap():
            wait_for(lambda: len(present()) == 2)
            cluster.kill(first)

        def restart():
            cluster.kill(cluster.scheduler)
            cluster.scheduler = cluster.start_scheduler()

        class Both(After):
            def on_generation(self, generation, seconds):
                super().on_generation(generation, seconds)
                if generation.number == 2:
                    restart()

        assert jobs.essence(jobs.run(store, evaluator, spec, observer=Both(1, swap))) == expected
        assert any("was lost" in sentence for sentence in said)
        assert any("is back" in sentence for sentence in said)
    finally:
        evaluator.close()


def test_other_versions_are_refused_on_both_sides(cluster, tmp_path):
    """The worker names both versions and ends; so does who finds such a worker in the cluster, or sees it join."""
    said = []
    evaluator = make_evaluator(cluster.address, warn=said.append)
    try:
        assert evaluator.connection.client.get_metadata(METADATA) == dict(facts())
        cluster.start_foreign_worker("--preload", str(Path(__file__).parent / "helpers/other_versions.py"))
        wait_for(evaluator.connection.client.nthreads)
        # It is there, and a new client refuses the cluster.
        with pytest.raises(InputError, match=rf"numba is {facts()['numba']} here and 0\.0\.1 there"):
            make_evaluator(cluster.address)
        # The one that was there before leaves it out, and waits for another.
        joining = cluster.start_worker()
        scores = evaluator.score(made(), made_rules(3), made_keys(5))
        assert values(scores) == values(SerialEvaluator().score(made(), made_rules(3), made_keys(5)))
        assert any("numba is" in sentence and "0.0.1 there" in sentence for sentence in said)
        cluster.kill(joining, signal.SIGTERM)
        # The cluster's versions are others now: our own workers do not join.
        evaluator.connection.client.set_metadata(METADATA, {**facts(), "numpy": "1.0"})
        refused = subprocess.run(
            [PROGRAMS / "ruleforge", "worker", cluster.address, "--workers", "1"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert refused.returncode == 2
        assert f"numpy is {facts()['numpy']} here and 1.0 there" in refused.stderr
        assert "Traceback" not in refused.stderr
        plain = cluster.start_foreign_worker("--preload", "workers.cluster.preload", "--no-nanny")
        wait_for(lambda: plain.poll() is not None)
        assert f"numpy is {facts()['numpy']} here and 1.0 there" in cluster.log()
    finally:
        evaluator.close()


def test_a_scheduler_that_is_gone_for_good_pauses_the_job(jobs, store, spec, expected, cluster, monkeypatch):
    monkeypatch.setattr("workers.cluster.connection.RECONNECT_SECONDS", 1.0)
    evaluator = make_evaluator(cluster.address, warn=lambda _: None)
    try:
        cluster.start_worker()
        job = submit(store, spec)
        with pytest.raises(EvaluatorLostError, match=f"the scheduler at {cluster.address} was lost and did not come"):
            run_job(store, job, evaluator, observer=After(2, lambda: cluster.kill(cluster.scheduler)))
        paused = store.job(job)
        assert (paused.state, paused.result) == ("paused", None)
        assert paused.generation >= 2
        reason = store.events(job)[-1]["payload"]["reason"]
        assert "start it again, and the job goes on where it stands" in reason
        # The same evaluator is of use again once there is a scheduler.
        cluster.start_scheduler()
        monkeypatch.setattr("workers.cluster.connection.RECONNECT_SECONDS", 60.0)
        assert jobs.essence(run_job(store, job, evaluator)) == expected
    finally:
        evaluator.close()


# Choosing and comparing ----------------------------------------------------------------------------------------------


def test_threads_unless_a_scheduler_is_named():
    evaluator = make_evaluator(None, 2)
    assert isinstance(evaluator, ThreadEvaluator)
    assert not isinstance(evaluator, DaskEvaluator)
    evaluator.close()


@pytest.mark.parametrize(
    ("scheduler", "workers", "sentence"),
    [
        (None, 0, "workers: expected 1 to 1024"),
        ("local", 0, "workers: expected 1 to 1024"),
        ("local", True, "workers: expected 1 to 1024"),
        ("tcp://127.0.0.1:1", 2, "as many workers as have joined it, and 2 came: leave the number out"),
        ("elsewhere", None, "expected 'local', an address like tcp://host:8786, or a scheduler file"),
        ("http://127.0.0.1:1", None, "no Dask scheduler answers at http://127.0.0.1:1"),
    ],
)
def test_what_is_no_place_to_score_is_refused(scheduler, workers, sentence):
    with pytest.raises(InputError, match=sentence):
        make_evaluator(scheduler, workers)


def test_a_scheduler_that_does_not_answer(monkeypatch, tmp_path):
    monkeypatch.setattr("workers.cluster.connection.CONNECT_SECONDS", 0.5)
    for scheduler in ("tcp://127.0.0.1:1", str(tmp_path / "scheduler.json")):
        with pytest.raises(InputError, match=f"no Dask scheduler answers at {scheduler}.*start one"):
            make_evaluator(scheduler)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("tcp://host:8786", {"address": "tcp://host:8786"}),
        ("tls://host:8786", {"address": "tls://host:8786"}),
        ("host:8786", {"address": "tcp://host:8786"}),
        ("scheduler.json", {"scheduler_file": "scheduler.json"}),
        ("/scratch/me/scheduler", {"scheduler_file": "/scratch/me/scheduler"}),
    ],
)
def test_places_of_a_scheduler(text, place):
    assert scheduler_place(text) == place


def test_versions_are_refused_and_processors_are_warned_about():
    ours = facts()
    assert refusals(ours, ours) == []
    assert cautions(ours, ours) == []
    for name in ("ruleforge", "kernel", "numba", "numpy", "python", "distributed"):
        assert refusals(ours, {**ours, name: "0.0"}) == [f"{name} is {ours[name]} here and 0.0 there"]
    assert refusals(ours, {})[0].endswith("missing there")
    other = {**ours, "cpu": "Abacus 1", "cpu features": "+wood,-avx512f"}
    mine = {**ours, "cpu": "Abacus 2", "cpu features": "+wood,+avx512f"}
    assert refusals(mine, other) == []
    assert cautions(mine, other) == [
        "the processor is 'Abacus 2' here and 'Abacus 1' there",
        "the processors differ in avx512f",
    ]


def test_another_processor_in_the_cluster_is_warned_about_once(embedded, monkeypatch):
    said = []
    connection = embedded.connection
    answers = {"tcp://a": {**facts(), "cpu": "Abacus 1"}, "tcp://b": {**facts(), "cpu": "Abacus 1"}}
    monkeypatch.setattr(connection, "client", SimpleNamespace(run=lambda *_, **__: answers))
    monkeypatch.setattr(connection, "_warn", said.append)
    connection._compare(list(answers), strict=True)
    (sentence,) = said
    assert "the same seed may not give the same last bits on tcp://a" in sentence
