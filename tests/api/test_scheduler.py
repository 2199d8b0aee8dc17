"""`--scheduler` and `ruleforge worker` on the command line."""

from __future__ import annotations

import pytest

from ruleforge.errors import EvaluatorLostError
from workers.evaluators import SerialEvaluator

RUN = ("evolve", "reward", "--seed", "3", "--generations", "3", "--json")


def essence(result: dict) -> dict:
    return {name: value for name, value in result.items() if name not in ("job", "seconds")}


def test_evolve_and_resume_on_an_embedded_cluster(command_line, tmp_path):
    threads = command_line.run(tmp_path, *RUN, *command_line.small, "--db", "sqlite://")
    processes = command_line.run(tmp_path, *RUN, *command_line.small, "--scheduler", "local", "--workers", "2")
    assert (threads.code, processes.code) == (0, 0), threads.err + processes.err
    assert essence(processes.json) == essence(threads.json)
    assert "distributed" not in processes.err, processes.err
    assert "Traceback" not in processes.err, processes.err
    again = command_line.run(tmp_path, "resume", processes.json["job"], "--scheduler", "local", "--json")
    assert again.json == processes.json


def test_a_job_whose_scheduler_is_lost_is_paused_and_says_how_to_go_on(here, command_line, monkeypatch):
    class Lost(SerialEvaluator):
        def answer(self, request):
            raise EvaluatorLostError("the scheduler at tcp://a:1 was lost")

    with monkeypatch.context() as patch:
        patch.setattr("api.command_line.evolve.make_evaluator", lambda *_, **__: Lost())
        done = here(*RUN, *command_line.small, "--scheduler", "tcp://a:1")
    assert (done.code, done.json["state"]) == (130, "paused")
    job = done.json["job"]
    assert "the scheduler at tcp://a:1 was lost" in done.err
    assert f"Go on with: ruleforge resume {job} --scheduler tcp://a:1" in done.err
    assert here("resume", job, "--json").json["state"] == "succeeded"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("worker",), "expected the address of a scheduler, or --scheduler-file: give one of the two"),
        (("worker", "tcp://a:1", "--scheduler-file", "b.json"), "give one of the two"),
        (("worker", "elsewhere"), "expected 'local', an address like tcp://host:8786, or a scheduler file"),
        (("worker", "local"), "expected an address here"),
        (("worker", "tcp://a:1", "--workers", "0"), "workers: expected 1 to 1024"),
        (("evolve", "reward", "--scheduler", "elsewhere"), "and 'elsewhere' came"),
        (("evolve", "reward", "--scheduler", "tcp://a:1", "--workers", "2"), "leave the number out"),
    ],
)
def test_refusals_leave_nothing(here, tmp_path, arguments, sentence):
    done = here(*arguments)
    assert done.code == 2
    assert sentence in done.err
    assert list(tmp_path.iterdir()) == []
