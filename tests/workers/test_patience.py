"""A record that is away for a while, at every step of a job: the job goes on, and its history is the same."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager

import pytest

from ruleforge.errors import EvaluatorLostError, Fault, InputError, RecordAwayError, StoreError
from ruleforge.store import open_store
from workers import lease, patience, runner
from workers.evaluation import EvaluationSpec, submit_evaluation
from workers.evaluators import SerialEvaluator
from workers.evolve import SilentObserver, run_job, submit
from workers.patience import PatientStore
from workers.runner import Runner


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(lease, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(runner, "FIRST_REST", 0.05)
    monkeypatch.setattr(patience, "POLL_SECONDS", 0.02)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "record.db"


@pytest.fixture
def impatient(path):
    """A record whose lock is waited for a moment only by the database itself."""
    with open_store(f"sqlite:///{path}", busy_timeout=0.02) as opened:
        yield opened


def states(store, job):
    return [event["payload"]["state"] for event in store.events(job) if event["kind"] == "state"]


@contextmanager
def held(path, seconds=0.3):
    """The lock of writers is somebody else's from here on, for so long after the block."""
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    holder.execute("BEGIN IMMEDIATE")
    yield

    def let_go():
        holder.execute("ROLLBACK")
        holder.close()

    threading.Timer(seconds, let_go).start()


class Locking(SilentObserver):
    """Has the record locked after the event of this name, until it is told that this is waited for."""

    def __init__(self, path, event):
        self.path, self.event, self.warnings, self.holder = path, event, [], None

    def _at(self, event):
        if event == self.event:
            self.event = None
            self.holder = sqlite3.connect(self.path, isolation_level=None, timeout=10)
            self.holder.execute("BEGIN IMMEDIATE")

    def on_start(self, *_):
        self._at("start")

    def on_generation(self, *_):
        self._at("generation")

    def on_validation(self, *_):
        self._at("validation")

    def on_warning(self, message):
        self.warnings.append(message)
        self.holder.execute("ROLLBACK")
        self.holder.close()


@pytest.mark.parametrize("event", ["start", "generation", "validation"])
def test_a_lock_at_any_step_of_a_job_is_waited_for(path, impatient, jobs, undisturbed, event):
    observer = Locking(path, event)
    result = jobs.run(impatient, observer=observer)
    assert jobs.essence(result) == jobs.essence(undisturbed())
    assert states(impatient, result["job"]) == ["queued", "running", "succeeded"]
    (said,) = observer.warnings
    assert "is locked by another process" in said
    assert "Trying again for up to 10 minutes" in said


@pytest.mark.parametrize("when", ["taking", "running"])
@pytest.mark.parametrize("kind", ["evolution", "evaluation"])
def test_a_lock_while_a_runner_works(path, impatient, jobs, undisturbed, when, kind):
    evaluation = EvaluationSpec(task="reward", rule="R*E", parameters={"n_trials": 20}, n=2)
    job = submit(impatient, jobs.spec()) if kind == "evolution" else submit_evaluation(impatient, evaluation)
    evaluator = _Locking(path) if when == "running" else SerialEvaluator()
    if when == "taking":
        with held(path):
            pass
    assert Runner(impatient, evaluator, 2, lambda _: None).run(until_idle=True) == {"succeeded": 1}
    assert states(impatient, job) == ["queued", "running", "succeeded"]
    if kind == "evolution":
        assert jobs.essence(impatient.job(job).result) == jobs.essence(undisturbed())


class _Locking(SerialEvaluator):
    """Has the record locked for a while when it scores for the first time."""

    def __init__(self, path):
        super().__init__()
        self.path = path

    def answer(self, request):
        if self.path is not None:
            with held(self.path):
                self.path = None
        return super().answer(request)


def test_a_job_whose_record_stays_away_is_put_back_and_tried_again(store, jobs, undisturbed, monkeypatch):
    """Longer than anybody waits: under a runner it is queued again, counted as that, and ends as if nothing were."""
    monkeypatch.setattr(patience.PatientStore.__init__, "__defaults__", (*PatientStore.__init__.__defaults__[:2], 0.0))
    failures = iter([True, True, False])
    commit, said = store.commit_generation, []

    def fails(*arguments, **options):
        if next(failures, False):
            raise RecordAwayError("the disk is full")
        return commit(*arguments, **options)

    monkeypatch.setattr(store, "commit_generation", fails)
    job = submit(store, jobs.spec())
    ended = Runner(store, SerialEvaluator(), 2, said.append).run(until_idle=True)
    assert ended == {"queued": 2, "succeeded": 1}
    assert states(store, job) == ["queued", *["running", "queued"] * 2, "running", "succeeded"]
    assert said.count(f"Job {job} is put back: the disk is full") == 2
    assert jobs.essence(store.job(job).result) == jobs.essence(undisturbed())


def test_a_command_pauses_it_instead(store, jobs, monkeypatch):
    monkeypatch.setattr(patience.PatientStore.__init__, "__defaults__", (*PatientStore.__init__.__defaults__[:2], 0.0))
    monkeypatch.setattr(store, "finish", _raising(RecordAwayError("locked")))
    with pytest.raises(RecordAwayError):
        jobs.run(store)
    (job,) = store.jobs()
    assert job.state == "paused"
    assert store.events(job.id)[-1]["payload"]["reason"] == "locked"


def _raising(error):
    def call(*_, **__):
        raise error

    return call


@pytest.mark.parametrize("error", [StoreError("damaged"), InputError("no such job")], ids=["record", "input"])
def test_what_does_not_pass_is_not_waited_for(store, error, monkeypatch):
    monkeypatch.setattr(store, "jobs", _raising(error))
    with pytest.raises(type(error), match=str(error)):
        PatientStore(store).jobs()
    assert error.fault is Fault.permanent


def test_a_request_to_stop_ends_the_waiting(store, monkeypatch):
    asked = threading.Event()
    monkeypatch.setattr(store, "jobs", _raising(RecordAwayError("locked")))
    patient = PatientStore(store, asked.is_set, lambda _: asked.set())
    with pytest.raises(RecordAwayError):
        patient.jobs()


def test_whoever_is_told_of_the_waiting_cannot_end_it(store, monkeypatch):
    answers = iter([RecordAwayError("locked"), None])

    def jobs():
        if (error := next(answers)) is not None:
            raise error
        return []

    monkeypatch.setattr(store, "jobs", jobs)
    assert PatientStore(store, say=_raising(OSError())).jobs() == []


def _losing(method):
    """The method, whose answer is lost twice."""
    failures = iter([True, True])

    def call(*arguments, **options):
        method(*arguments, **options)
        if next(failures, False):
            raise RecordAwayError("the connection is lost")

    return call


def test_a_commit_whose_answer_was_lost_is_not_made_twice(store, jobs, undisturbed, monkeypatch):
    """The connection breaks after the commit, so that the same generation, and the same end, are recorded again."""
    for name in ("commit_generation", "finish"):
        monkeypatch.setattr(store, name, _losing(getattr(store, name)))
    result = jobs.run(store)
    assert jobs.essence(result) == jobs.essence(undisturbed())
    assert [item["number"] for item in store.generations(result["job"])] == list(range(5))
    assert states(store, result["job"]) == ["queued", "running", "succeeded"]


def test_a_server_that_breaks_every_connection_and_refuses_new_ones(
    postgresql_record, postgresql_server, jobs, undisturbed
):
    class Breaking(SilentObserver):
        seen = 0

        def on_generation(self, *_):
            self.seen += 1
            if self.seen in (1, 3):
                postgresql_server.sql("ALTER DATABASE record ALLOW_CONNECTIONS false")
                threading.Timer(0.5, allow).start()
                postgresql_server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'record'")

    def allow():
        postgresql_server.sql("ALTER DATABASE record ALLOW_CONNECTIONS true")

    with open_store(postgresql_record) as store:
        result = jobs.run(store, observer=Breaking())
        assert jobs.essence(result) == jobs.essence(undisturbed())
        assert states(store, result["job"]) == ["queued", "running", "succeeded"]


def test_a_place_of_scoring_that_is_lost_is_tried_again_after_longer_and_longer_rests(store, jobs, monkeypatch):
    pauses = []
    rest = Runner._rest

    def resting(self, job):
        rest(self, job)
        pauses.append(self._rests[job][0])

    monkeypatch.setattr(Runner, "_rest", resting)
    failures = iter([True] * 3)

    class Lost(SerialEvaluator):
        def answer(self, request):
            if next(failures, False):
                raise EvaluatorLostError("the scheduler is gone")
            return super().answer(request)

    job = submit(store, jobs.spec())
    shared = Runner(store, Lost(), 2, lambda _: None)
    assert shared.run(lambda: store.job(job).state == "succeeded") == {"queued": 3, "succeeded": 1}
    assert pauses == [0.05, 0.1, 0.2]
    assert shared._rests == {}, "a generation was committed since"


def test_run_job_leaves_a_job_alone_that_another_runs(store, jobs):
    job = submit(store, jobs.spec())
    store.take(job, "elsewhere")
    with pytest.raises(StoreError) as held_elsewhere:
        run_job(store, job, SerialEvaluator())
    assert held_elsewhere.value.fault is Fault.foreign
    assert store.job(job).state == "running"
