"""The winners of a study are judged by whoever ends its last job, whatever happens to that process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from ruleforge.errors import EvaluatorLostError
from ruleforge.store import open_store
from workers import ended_studies, runner
from workers.evaluators import SerialEvaluator
from workers.evolve import run_job
from workers.interface import resume
from workers.runner import Runner
from workers.study import end_study, run_study, study, study_result, submit_study

SMALL = {
    **{"task": "reward", "seed": 3, "replicates": 2, "parameters": {"n_trials": 20}},
    **{"instances": {"training": 2, "validation": 3, "test": 3}, "search": {"population": 4, "offspring": 8}},
    "budget": {"generations": 2},
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(runner, "LOOK_SECONDS", 0.05)


class Watching(SerialEvaluator):
    """Notes the seeds of the test streams that are asked for."""

    def __init__(self, loses=()):
        super().__init__()
        self.seeds, self.loses = [], list(loses)

    def answer(self, request):
        if request.keys[0].split == "test":
            self.seeds.append(request.keys[0].seed)
            if len(self.seeds) in self.loses:
                self.loses.remove(len(self.seeds))
                raise EvaluatorLostError("the cluster has gone")
        return super().answer(request)


def silent(_):
    pass


def winners(store, id):
    """Without what differs between two runs of the same jobs, which is their ids."""
    return [{**winner, "job": None} for winner in study_result(store, id)["winners"]]


@pytest.fixture
def expected(tmp_path):
    """The winners of a study that `ruleforge study FILE` ran."""
    with open_store(f"sqlite:///{tmp_path}/expected.db") as store:
        found = run_study(store, submit_study(store, study(SMALL)), SerialEvaluator())["winners"]
    assert found[0]["reported"]["test_fitness"]["n"] == 3
    return [{**winner, "job": None} for winner in found]


def test_a_runner_judges_the_winner_once_and_as_the_command_does(store, expected):
    id = submit_study(store, study(SMALL))
    watching = Watching()
    assert Runner(store, watching, say=silent).run(until_idle=True) == {"succeeded": 2}
    assert winners(store, id) == expected
    assert len(watching.seeds) == len(set(watching.seeds)) == 3  # of two jobs, and of the study
    again = Watching()
    assert Runner(store, again, say=silent).run(until_idle=True) == {}
    assert again.seeds == []


@pytest.mark.parametrize("last", ["run_job", "cancelled", "deleted"])
def test_a_study_whose_last_job_ended_elsewhere_is_judged_by_the_next_runner(store, last, expected):
    """By a process that died before it had judged, and by a request, which judges nothing."""
    id = submit_study(store, study(SMALL if last == "run_job" else {**SMALL, "replicates": 3}))
    jobs = [job for _, job in store.study(id).jobs]
    for job in jobs[:2]:
        run_job(store, job, SerialEvaluator())
    if last != "run_job":
        store.set_state(jobs[2], "cancelled", "requested")
    if last == "deleted":
        store.delete_job(jobs[2])
    assert study_result(store, id)["winners"][0]["reported"]["test_fitness"] is None
    assert Runner(store, SerialEvaluator(), say=silent).run(until_idle=True) == {}
    (winner,) = winners(store, id)
    assert winner["reported"]["validation_fitness"] == expected[0]["reported"]["validation_fitness"]
    assert winner["reported"]["test_fitness"]["n"] == 3
    if last == "run_job":
        assert [winner] == expected


def test_a_runner_notices_a_job_that_a_request_ends_while_it_waits(store, monkeypatch):
    monkeypatch.setattr(ended_studies, "LOOK_SECONDS", 0.05)
    id = submit_study(store, study(SMALL))
    first, second = (job for _, job in store.study(id).jobs)
    store.set_state(second, "paused", "requested")
    over = threading.Event()
    thread = threading.Thread(target=Runner(store, SerialEvaluator(), say=silent).run, args=(over.is_set,))
    thread.start()
    try:
        while store.job(first).state != "succeeded":
            over.wait(0.01)
        store.set_state(second, "cancelled", "requested")
        while study_result(store, id)["winners"][0]["reported"]["test_fitness"] is None:
            over.wait(0.01)
    finally:
        over.set()
        thread.join()


def test_resume_of_the_last_job_judges_the_winner(tmp_path, expected):
    url = f"sqlite:///{tmp_path}/record.db"
    with open_store(url) as store:
        id = submit_study(store, study(SMALL))
        jobs = [job for _, job in store.study(id).jobs]
    for job in jobs:
        assert resume(job, db=url, workers=1).state == "succeeded"
    with open_store(url) as store:
        assert winners(store, id) == expected


def test_the_command_resume_of_the_last_job_judges_the_winner(tmp_path, expected):
    url = f"sqlite:///{tmp_path}/record.db"
    with open_store(url) as store:
        id = submit_study(store, study(SMALL))
        for _, job in store.study(id).jobs:
            command = [sys.executable, "-m", "api.command_line", "resume", job, "--db", url, "--workers", "1"]
            subprocess.run(command, check=True, capture_output=True)
        assert winners(store, id) == expected


def test_a_process_that_is_killed_while_it_judges_leaves_it_to_the_next_one(tmp_path, expected):
    url = f"sqlite:///{tmp_path}/record.db"
    program = f"""
import os, signal
from ruleforge.store import open_store
from workers.evaluators import SerialEvaluator
from workers.runner import Runner
from workers.study import study_result, submit_study, study

class Dying(SerialEvaluator):
    streams = set()
    def answer(self, request):
        scores = super().answer(request)
        if request.keys[0].split == "test":
            self.streams.add(request.keys[0].seed)
        if len(self.streams) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return scores

with open_store({url!r}) as store:
    submit_study(store, study({SMALL!r}))
    Runner(store, Dying(), say=lambda said: None).run(until_idle=True)
"""
    died = subprocess.run([sys.executable, "-c", program], check=False, cwd=os.getcwd())
    assert died.returncode == -signal.SIGKILL
    with open_store(url) as store:
        id = submit_study(store, study(SMALL))
        assert study_result(store, id)["state"] == "succeeded"
        assert winners(store, id)[0]["reported"]["test_fitness"] is None
        assert Runner(store, SerialEvaluator(), say=silent).run(until_idle=True) == {}
        assert winners(store, id) == expected


def test_two_processes_that_judge_at_once_judge_alike(store, expected):
    id = submit_study(store, study(SMALL))
    for _, job in store.study(id).jobs:
        run_job(store, job, SerialEvaluator())
    watching = [Watching() for _ in range(4)]
    threads = [threading.Thread(target=end_study, args=(store, id, each)) for each in watching]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert winners(store, id) == expected
    assert len({seed for each in watching for seed in each.seeds}) == 1


def test_what_passes_is_tried_again_and_what_stays_is_said_once(store, expected, monkeypatch):
    id = submit_study(store, study(SMALL))
    for _, job in store.study(id).jobs:
        run_job(store, job, SerialEvaluator())
    lost = Watching(loses=[1])
    with pytest.raises(EvaluatorLostError):
        Runner(store, lost, say=silent).run(until_idle=True)
    said: list[str] = []
    monkeypatch.setattr(ended_studies, "end_study", lambda *_: 1 / 0)
    assert Runner(store, SerialEvaluator(), say=said.append).run(until_idle=True) == {}
    assert said == [f"The winners of study {id} are not judged, ZeroDivisionError: division by zero"]
    monkeypatch.undo()
    Runner(store, SerialEvaluator(), say=silent).run(until_idle=True)
    assert winners(store, id) == expected
