"""The runner: what is queued is run, fairly, by one process, and goes on after anything."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter

import pytest

from ruleforge.errors import EvaluatorLostError, InputError
from ruleforge.store import open_store
from workers import lease, runner
from workers.evaluators import SerialEvaluator, ThreadEvaluator
from workers.evolve import SilentObserver, run_job, submit
from workers.runner import Runner


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.05)


@pytest.fixture
def two_threads():
    evaluator = ThreadEvaluator(2)
    yield evaluator
    evaluator.close()


def silent(_):
    pass


def states(store, job):
    return [event["payload"]["state"] for event in store.events(job) if event["kind"] == "state"]


def until(condition):
    while not condition():
        threading.Event().wait(0.01)


@pytest.mark.xfail(strict=False, reason="shares of scoring time differ by up to half, for a reason not yet known")
@pytest.mark.parametrize("place", ["two_threads", "embedded"])
def test_eight_jobs_at_once_all_finish_with_equal_shares(record_url, jobs, undisturbed, place, request, monkeypatch):
    """On two threads, and on the two processes of a Dask cluster: equal in time of scoring, alike in generations."""
    all_there = threading.Barrier(8)

    def say(said):
        if " begins" in said:
            all_there.wait(60)

    # Scoring is what is shared, so it must be what takes the time.
    size = {"parameters": {"n_trials": 100}, "search": {"population": 16, "offspring": 16}}
    specs = [jobs.spec(seed=seed, budget={"generations": 12}, **size) for seed in range(8)]
    expected = undisturbed(specs[7])
    with open_store(record_url) as store:
        ids = [submit(store, spec) for spec in specs]
        runner = Runner(store, request.getfixturevalue(place), 8, say)
        leave, shares = runner.turns.leave, []

        def leave_and_tell(job):
            shares.append((runner.turns.used, Counter({id: store.job(id).generation for id in ids})))
            leave(job)

        monkeypatch.setattr(runner.turns, "leave", leave_and_tell)
        assert runner.run(until_idle=True) == {"succeeded": 8}
        seconds, generations = shares[0]  # when the first had ended, and the others had competed with it all along
        mean = sum(seconds.values()) / 8
        assert all(abs(seconds[id] / mean - 1) <= 0.3 for id in ids), seconds
        # What a generation costs is a matter of its rules.
        mean = sum(generations.values()) / 8
        assert all(abs(generations[id] / mean - 1) <= 0.5 for id in ids), generations
        assert jobs.essence(store.job(ids[7]).result) == jobs.essence(expected)


def test_at_most_so_many_jobs_at_once_and_the_higher_priority_beside_them(store, jobs):
    begun = threading.Event()
    going_on = threading.Event()
    active = []

    class Waiting(SerialEvaluator):
        def score(self, *arguments, **options):
            active.append(len(shared._active))
            begun.set()
            until(going_on.is_set)
            return super().score(*arguments, **options)

    evaluator = Waiting()
    ordinary = [submit(store, jobs.spec(seed=seed)) for seed in range(3)]
    shared = Runner(store, evaluator, 1, silent)
    thread = threading.Thread(target=shared.run, kwargs={"until_idle": True})
    thread.start()
    begun.wait()
    urgent = submit(store, jobs.spec(seed=9), priority=1)
    until(lambda: urgent in shared._active)
    assert store.job(urgent).state in ("queued", "running")
    assert set(shared._active) == {ordinary[0], urgent}
    going_on.set()
    thread.join()
    assert [store.job(id).state for id in [*ordinary, urgent]] == ["succeeded"] * 4
    ended = next(e["time"] for e in store.events(urgent) if e["payload"].get("state") == "succeeded")
    begun = next(e["time"] for e in store.events(ordinary[1]) if e["payload"].get("state") == "running")
    assert ended < begun, "nothing else is begun before the urgent one has ended"
    assert max(active) <= 2


def test_stopping_puts_the_jobs_back(record_url, jobs, undisturbed, two_threads):
    specs = [jobs.spec(seed=seed, budget={"generations": 30}) for seed in range(2)]
    with open_store(record_url) as store:
        ids = [submit(store, spec) for spec in specs]
        ended = Runner(store, two_threads, 2, silent).run(lambda: all(store.job(id).generation >= 2 for id in ids))
        assert ended == {"queued": 2}
        for id in ids:
            assert states(store, id) == ["queued", "running", "queued"]
            assert store.events(id)[-1]["payload"]["reason"] == "stopped on request"
        assert len(store.waiting()) == 2
        assert Runner(store, two_threads, 2, silent).run(until_idle=True) == {"succeeded": 2}
        for id, spec in zip(ids, specs, strict=True):
            assert jobs.essence(store.job(id).result) == jobs.essence(undisturbed(spec))


def test_pause_cancel_and_resume_reach_a_job_of_the_runner(record_url, jobs, undisturbed, two_threads):
    with open_store(record_url) as store, open_store(record_url) as outside:
        kept, gone = (submit(store, jobs.spec(budget={"generations": 40})) for _ in range(2))
        stop = threading.Event()
        thread = threading.Thread(target=Runner(store, two_threads, 2, silent).run, args=(stop.is_set,))
        thread.start()
        until(lambda: all(outside.job(id).generation >= 2 for id in (kept, gone)))
        outside.set_state(kept, "paused", "requested")
        outside.set_state(gone, "cancelled", "requested")
        until(lambda: "heartbeat" not in str(threading.enumerate()))  # both were let go of
        at = outside.job(kept).generation
        assert at < 40
        assert (outside.job(kept).state, outside.job(gone).state) == ("paused", "cancelled")
        outside.set_state(kept, "queued", "resumed")
        until(lambda: outside.job(kept).state == "succeeded")
        stop.set()
        thread.join()
        expected = undisturbed(jobs.spec(budget={"generations": 40}))
        assert jobs.essence(outside.job(kept).result) == jobs.essence(expected)
        assert states(outside, gone) == ["queued", "running", "cancelled"]


def test_paused_jobs_are_left_alone(store, jobs):
    id = submit(store, jobs.spec())
    store.set_state(id, "paused", "requested")
    assert Runner(store, SerialEvaluator(), 2, silent).run(until_idle=True) == {}
    assert store.job(id).state == "paused"


def test_a_job_that_fails_is_recorded_and_the_others_go_on(store, jobs):
    said = []
    bad = submit(store, jobs.spec())
    good = submit(store, jobs.spec(seed=4))

    class Faulty(SerialEvaluator):
        def score(self, family, rules, keys, *arguments, **options):
            if keys[0].seed == 3:
                raise RuntimeError("the machine is on fire")
            return super().score(family, rules, keys, *arguments, **options)

    assert Runner(store, Faulty(), 2, said.append).run(until_idle=True) == {"failed": 1, "succeeded": 1}
    assert store.job(bad).state == "failed"
    assert store.job(good).state == "succeeded"
    assert f"Job {bad} failed, RuntimeError: the machine is on fire" in said


_RUNNER = """
import sys
from ruleforge.store import open_store
from workers.evaluators import SerialEvaluator
from workers.runner import Runner
sys.stdin.readline()
with open_store(sys.argv[1]) as store:
    Runner(store, SerialEvaluator(), 2, lambda said: print(said, flush=True)).run(until_idle=True)
"""


def test_two_runners_never_run_one_job_twice(postgresql_record, jobs, undisturbed):
    with open_store(postgresql_record) as store:
        specs = [jobs.spec(seed=seed) for seed in range(8)]
        ids = [submit(store, spec) for spec in specs]
        runners = [
            subprocess.Popen(
                [sys.executable, "-c", _RUNNER, postgresql_record],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        for process in runners:
            process.stdin.write("\n")
            process.stdin.flush()
        outputs = [process.communicate(timeout=120)[0] for process in runners]
        assert [process.returncode for process in runners] == [0, 0]
        for id, spec in zip(ids, specs, strict=True):
            assert sum(output.count(f"Job {id} begins") for output in outputs) == 1
            assert states(store, id) == ["queued", "running", "succeeded"]
            assert jobs.essence(store.job(id).result) == jobs.essence(undisturbed(spec))
            assert [item["number"] for item in store.generations(id)] == list(range(5))
        holders = {
            event["payload"]["process"] for id in ids for event in store.events(id) if "process" in event["payload"]
        }
        assert len(holders) == 2, "both took part"


_DEADLY = """
import os, sys
from ruleforge.store import open_store
from workers.evaluators import SerialEvaluator
from workers.runner import Runner

class Deadly(SerialEvaluator):
    def answer(self, request):
        if request.keys[0].seed == 3:
            os._exit(9)
        return super().answer(request)

with open_store(sys.argv[1]) as store:
    Runner(store, Deadly(), 8, print).run(until_idle=True)
"""


def test_a_job_that_ends_its_processes_ends_and_the_others_go_on(store, tmp_path, jobs, undisturbed):
    deadly = submit(store, jobs.spec(seed=3))
    others = [submit(store, jobs.spec(seed=seed)) for seed in (4, 5)]
    codes = []
    while store.waiting():
        done = subprocess.run(
            [sys.executable, "-c", _DEADLY, f"sqlite:///{tmp_path}/record.db"],
            capture_output=True,
            text=True,
            check=False,
        )
        codes.append(done.returncode)
        assert done.returncode in (0, 9), done.stderr
        assert len(codes) <= 6, "the queue is blocked"
    assert codes == [9] * (runner.MAX_TAKEOVERS + 1) + [0]
    assert store.job(deadly).state == "failed"
    reason = store.events(deadly)[-1]["payload"]["reason"]
    assert reason.startswith("its process ended 4 times without another generation, and it is not tried again")
    assert f"Job {deadly} has failed: {reason}" in done.stdout
    for job, seed in zip(others, (4, 5), strict=True):
        assert jobs.essence(store.job(job).result) == jobs.essence(undisturbed(jobs.spec(seed=seed)))


def test_takeovers_count_until_a_generation_is_committed_or_somebody_asks_for_the_job(store, jobs, monkeypatch):
    monkeypatch.setattr("ruleforge.store.leases.LEASE_SECONDS", 0.0)
    job = submit(store, jobs.spec())
    counts = []
    for _ in range(3):
        store.take(job, "started")
        counts.append(lease.fruitless_takeovers(store, job))
    store.set_state(job, "paused", "requested")
    store.take(job, "resumed")
    counts.append(lease.fruitless_takeovers(store, job))
    token = store.take(job, "resumed")
    counts.append(lease.fruitless_takeovers(store, job))
    store.release(job, token)
    monkeypatch.undo()
    watched = Watch(lambda: counts.append(lease.fruitless_takeovers(store, job)))
    run_job(store, job, SerialEvaluator(), observer=watched)
    assert counts == [0, 1, 2, 0, 1, *[0] * 5]


class Watch(SilentObserver):
    """Calls something after each generation."""

    def __init__(self, call):
        self.call = call

    def on_generation(self, generation, seconds):
        self.call()


def test_jobs_whose_place_of_scoring_is_lost_go_back_into_the_queue(store, jobs):
    said = []
    job = submit(store, jobs.spec())

    class Lost(SerialEvaluator):
        def answer(self, request):
            raise EvaluatorLostError("the scheduler is gone")

    with pytest.raises(EvaluatorLostError, match="the scheduler is gone"):
        Runner(store, Lost(), 2, said.append).run(until_idle=True)
    assert states(store, job) == ["queued", "running", "queued"]
    assert store.events(job)[-1]["payload"]["reason"] == "the scheduler is gone"
    assert f"Job {job} is put back: the scheduler is gone" in said
    # A runner that stays tries again, and goes on once it can.
    failures = iter([True, True])

    class Back(SerialEvaluator):
        def answer(self, request):
            if next(failures, False):
                raise EvaluatorLostError("the scheduler is gone")
            return super().answer(request)

    ended = Runner(store, Back(), 2, said.append).run(lambda: store.job(job).state == "succeeded")
    assert ended == {"queued": 2, "succeeded": 1}


def test_a_number_of_jobs_that_is_none_is_refused(store):
    with pytest.raises(InputError, match="jobs: expected 1 to 1000 jobs at once, and 0 came"):
        Runner(store, SerialEvaluator(), 0)
