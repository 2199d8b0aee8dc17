"""Whoever watches decides nothing: a job with the worst of observers has the history of one that nobody watches."""

from __future__ import annotations

import asyncio
import io

import pytest

from ruleforge.errors import EvaluatorLostError, InputError, JobStopped, StoreError
from ruleforge.store import JobHeldError, LeaseLostError
from workers.evaluators import SerialEvaluator
from workers.evolve import SilentObserver, submit
from workers.runner import Runner
from workers.study import run_study, study, submit_study

WORST = [
    OSError(28, "No space left on device"),
    BrokenPipeError(),
    ValueError("I/O operation on closed file"),
    UnicodeEncodeError("ascii", "−", 0, 1, "ordinal not in range"),
    RuntimeError("cannot schedule new futures"),
    RecursionError(),
    MemoryError(),
    StopIteration(),
    asyncio.QueueFull(),
    # What means something where it comes from the job itself.
    JobStopped("stop"),
    LeaseLostError("lost"),
    JobHeldError("held", stopping=False),
    EvaluatorLostError("lost"),
    StoreError("locked"),
    InputError("no"),
]


class Raising:
    """Raises at everything that is told."""

    def __init__(self, error):
        self.error, self.told = error, set()

    def __getattr__(self, name):
        def told(*_):
            self.told.add(name)
            raise self.error

        return told


@pytest.mark.parametrize("error", WORST, ids=lambda error: type(error).__name__)
def test_nothing_that_an_observer_raises_reaches_the_job(store, jobs, undisturbed, capsys, error):
    observer = Raising(error)
    result = jobs.run(store, observer=observer)
    assert jobs.essence(result) == jobs.essence(undisturbed())
    assert {"on_start", "on_generation", "on_validation"} <= observer.told
    assert capsys.readouterr().err.count("could not be shown, and the job goes on") == 1, "said, and said once"


@pytest.mark.parametrize("observer", [object(), None, 3, SilentObserver], ids=["object", "none", "number", "class"])
def test_what_is_no_observer_watches_nothing(store, jobs, undisturbed, observer):
    assert jobs.essence(jobs.run(store, observer=observer)) == jobs.essence(undisturbed())


class Unwritable(io.StringIO):
    def write(self, _):
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("stream", [None, Unwritable()], ids=["none", "full"])
def test_also_where_that_cannot_be_said(store, jobs, undisturbed, monkeypatch, stream):
    monkeypatch.setattr("sys.stderr", stream)
    result = jobs.run(store, observer=Raising(ValueError()))
    assert jobs.essence(result) == jobs.essence(undisturbed())


def test_ctrl_c_while_something_is_shown_is_still_ctrl_c(store, jobs):
    with pytest.raises(KeyboardInterrupt):
        jobs.run(store, observer=Raising(KeyboardInterrupt()))
    assert store.jobs()[0].state == "paused"


def test_a_runner_whose_words_nobody_takes(store, jobs, undisturbed):
    def say(_):
        raise OSError(5, "Input/output error")

    ids = [submit(store, jobs.spec(seed=seed)) for seed in (3, 4)]
    assert Runner(store, SerialEvaluator(), 2, say).run(until_idle=True) == {"succeeded": 2}
    assert jobs.essence(store.job(ids[0]).result) == jobs.essence(undisturbed())


def test_a_study(store, jobs):
    asked = study({**jobs.SMALL, "replicates": 2})
    result = run_study(store, submit_study(store, asked), SerialEvaluator(), observer=Raising(OSError()))
    assert result["state"] == "succeeded"
