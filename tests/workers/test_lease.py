"""A job that runs is held: others are refused, and a request from elsewhere reaches it."""

from __future__ import annotations

import threading

import pytest

from ruleforge.errors import StoreError
from ruleforge.store import JobHeldError, open_store
from ruleforge.store.holders import Holder
from workers import lease as lease_module
from workers.evaluators import SerialEvaluator
from workers.evolve import SilentObserver, run_job, submit
from workers.lease import leased


@pytest.fixture(autouse=True)
def _quick_heart(monkeypatch):
    monkeypatch.setattr(lease_module, "HEARTBEAT_SECONDS", 0.02)


class Acting(SilentObserver):
    """Does something once a job has committed so many generations, then waits until the job has noticed."""

    def __init__(self, after, action):
        self.after, self.action, self.seen = after, action, 0

    def on_generation(self, generation, seconds):
        self.seen += 1
        if self.seen == self.after:
            self.action()


def wait_until(condition):
    while not condition():
        threading.Event().wait(0.01)


def states(store, job):
    return [event["payload"]["state"] for event in store.events(job) if event["kind"] == "state"]


def test_a_job_that_runs_is_refused_elsewhere(record_url, jobs, undisturbed):
    with open_store(record_url) as store:
        job = submit(store, jobs.spec())
        refusals = []

        def try_again():
            with open_store(record_url) as other, pytest.raises(JobHeldError) as refused:
                run_job(other, job, SerialEvaluator())
            refusals.append(str(refused.value))

        result = run_job(store, job, SerialEvaluator(), observer=Acting(2, try_again))
        assert f"job {job} is being run by process " in refusals[0]
        assert jobs.essence(result) == jobs.essence(undisturbed())
        assert states(store, job) == ["queued", "running", "succeeded"]


@pytest.mark.parametrize(("state", "verb"), [("paused", "pause"), ("cancelled", "cancel"), ("queued", "put back")])
def test_a_request_from_elsewhere_stops_the_job(record_url, jobs, state, verb):
    with open_store(record_url) as store, open_store(record_url) as other:
        job = submit(store, jobs.spec(budget={"generations": 1000}))
        request = Acting(2, lambda: other.set_state(job, state, f"asked to {verb}"))
        result = run_job(store, job, SerialEvaluator(), observer=request)
        assert (result["state"], result["champion"]) == (state, None)
        assert result["generations"] == request.seen == 2, "nothing is committed after the request"
        last = store.events(job)[-1]["payload"]
        assert last == {"state": state, "previous": "running", "reason": f"asked to {verb}"}
        if state != "cancelled":
            other.release(job, other.take(job, "the lease is free again"))


def test_a_request_is_seen_between_units_and_not_only_at_the_commit(store, jobs):
    class Endless(SerialEvaluator):
        def score(self, family, rules, keys, give_up_below=None, stop=None):
            store.set_state(job, "paused", "requested")
            wait_until(stop)
            return super().score(family, rules, keys, give_up_below, stop)

    job = submit(store, jobs.spec())
    assert run_job(store, job, Endless())["state"] == "paused"


def test_a_job_that_is_paused_and_resumed_elsewhere_at_once_goes_on_there(record_url, jobs, undisturbed):
    """Whoever resumes waits until the first process has let go."""
    with open_store(record_url) as store, open_store(record_url) as other:
        job = submit(store, jobs.spec())
        found = []
        second = threading.Thread(target=lambda: found.append(run_job(other, job, SerialEvaluator())))

        def hand_over():
            other.set_state(job, "paused", "requested")
            second.start()

        first = run_job(store, job, SerialEvaluator(), observer=Acting(2, hand_over))
        second.join()
        assert first["generations"] == 2
        assert jobs.essence(found[0]) == jobs.essence(undisturbed())
        assert states(store, job) == ["queued", "running", "paused", "running", "succeeded"]


def test_a_process_that_was_thought_dead_leaves_the_job_to_the_other(record_url, jobs, undisturbed, monkeypatch):
    with open_store(record_url) as store, open_store(record_url) as other:
        job = submit(store, jobs.spec())
        taken = []

        def overtaken():
            # Below zero, because a heartbeat may come between the look at the clock and that at the lease.
            monkeypatch.setattr("ruleforge.store.leases.LEASE_SECONDS", -60.0)
            taken.append(other.take(job, "resumed", holder=Holder("other", "machine", 1, "1")))
            monkeypatch.undo()

        result = run_job(store, job, SerialEvaluator(), observer=Acting(2, overtaken))
        assert (result["state"], result["generations"]) == ("running", 2)
        other.set_state(job, "paused", "handed on", lease=taken[0])
        assert jobs.essence(run_job(store, job, SerialEvaluator())) == jobs.essence(undisturbed())


def test_a_record_that_fails_does_not_end_the_job_for_however_long(store, jobs, monkeypatch):
    """Only the news that somebody else has decided about it does."""
    beats = []

    def fails(*arguments):
        beats.append(arguments)
        raise StoreError("locked for a moment")

    job = submit(store, jobs.spec())
    with leased(store, job, "started") as lease, monkeypatch.context() as patch:
        patch.setattr(store, "renew", fails)
        patch.setattr("ruleforge.store.leases.LEASE_SECONDS", 0.0)
        wait_until(lambda: len(beats) >= 3)
        assert not lease.lost()
        patch.undo()
        store.set_state(job, "paused", "requested")
        wait_until(lease.lost)


def test_a_commit_that_fails_pauses_the_job(store, jobs, monkeypatch, undisturbed):
    """A full disk, a record that others hold for too long: nothing of the job is wrong."""
    job = submit(store, jobs.spec())

    def fails(*_):
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="the disk is full"):
        run_job(
            store, job, SerialEvaluator(), observer=Acting(2, lambda: patch.setattr(store, "commit_generation", fails))
        )
    assert store.events(job)[-1]["payload"]["reason"] == "the disk is full"
    assert store.job(job).state == "paused"
    assert jobs.essence(run_job(store, job, SerialEvaluator())) == jobs.essence(undisturbed())


def test_the_heart_stops_with_the_job(store, jobs):
    jobs.run(store)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("heartbeat")]


def test_pausing_from_elsewhere_after_every_generation_changes_nothing(record_url, jobs, undisturbed):
    with open_store(record_url) as store, open_store(record_url) as other:
        job = submit(store, jobs.spec())
        for generation in range(1, 6):
            pausing = Acting(1, lambda: other.set_state(job, "paused", "requested"))
            result = run_job(store, job, SerialEvaluator(), observer=pausing)
            assert (result["state"], result["generations"]) == ("paused", generation)
        assert jobs.essence(run_job(store, job, SerialEvaluator())) == jobs.essence(undisturbed())
        assert states(store, job) == ["queued", *["running", "paused"] * 5, "running", "succeeded"]
