"""Queueing, running, pausing, cancelling and killing, by the installed script."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager

import pytest

from ruleforge.store import open_store
from tests.api.conftest import MIDDLING, MIDDLING_SEED


@contextmanager
def running(process):
    """A runner, which would go on for ever if the test failed."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(store, job, condition, process):
    """Until the job is as wanted; its record."""
    while process.poll() is None:
        record = store.job(job)
        if condition(record):
            return record
        time.sleep(0.02)
    return pytest.fail(f"the runner ended: {process.communicate()}")


def states(store, job):
    return [event["payload"]["state"] for event in store.events(job) if event["kind"] == "state"]


def test_a_runner_that_is_killed_is_taken_over_and_nothing_is_lost(command_line, tmp_path, record_url, undisturbed):
    here = ("--db", record_url)
    job = command_line.run(tmp_path, "evolve", "reward", *MIDDLING_SEED, *MIDDLING, *here, "--detach").out.strip()
    with open_store(record_url) as store:
        assert store.job(job).state == "queued"
        with running(command_line.start(tmp_path, "runner", *here)) as process:
            wait_for(store, job, lambda record: record.generation >= 2, process)
        killed = store.job(job)
        assert killed.state == "running"
        assert 2 <= killed.generation < 20
        done = command_line.run(tmp_path, "runner", *here, "--until-idle", "--json")
        assert (done.code, done.json) == (0, {"jobs": {"succeeded": 1}})
        assert store.job(job).result["history"] == undisturbed["history"]
        assert store.job(job).result["front"] == undisturbed["front"]
        assert [item["number"] for item in store.generations(job)] == list(range(20))
        assert states(store, job) == ["queued", "running", "running", "succeeded"]
        taken = [e["payload"] for e in store.events(job) if e["kind"] == "state"][2]["reason"]
        assert taken.startswith(f"taken over from process {process.pid} on ")
        assert taken.endswith("which has ended")


def test_pause_resume_cancel_and_sigterm_reach_a_runner(command_line, here, tmp_path, record_url, undisturbed):
    where = ("--db", record_url)
    job = here("evolve", "reward", *MIDDLING_SEED, *MIDDLING, *where, "--detach", "--json").json["job"]
    with open_store(record_url) as store, running(command_line.start(tmp_path, "runner", *where)) as process:
        wait_for(store, job, lambda record: record.generation >= 1, process)
        paused = here("pause", job[:8], *where, "--json").json
        assert paused == {"job": job, "state": "paused", "previous": "running"}
        assert here("pause", job, *where).out.strip() == f"Job {job} is paused."
        at = store.job(job).generation
        endless = ("--seed", "9", "--generations", "100000")
        other = here("evolve", "reward", *endless, *MIDDLING, *where, "--detach").out.strip()
        wait_for(store, other, lambda record: record.generation >= 1, process)
        refused = here("resume", other, *where)
        assert refused.code == 2
        assert f"job {other} is being run by process {process.pid} on {os.uname().nodename}" in refused.err
        assert store.job(job).generation == at < 20
        assert here("cancel", other, *where).code == 0
        assert here("resume", job, *where, "--detach", "--json").json["state"] == "queued"
        wait_for(store, job, lambda record: record.generation > at, process)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0
        assert "the jobs go back into the queue" in err
        assert "Traceback" not in err
        assert store.job(job).state == "queued"
        refused = here("resume", other, *where)
        assert refused.code == 2
        assert f"job {other} was cancelled without a result" in refused.err
        assert here("pause", other, *where).code == 2
        assert here("resume", job, *where, "--json").json["history"] == undisturbed["history"]


def test_a_study_at_the_command_line(here, tmp_path):
    (tmp_path / "study.toml").write_text(
        'task = "reward"\nseed = 1\nreplicates = 2\nname = "sizes"\n'
        "[parameters]\nn_trials = 20\n[instances]\ntraining = 2\nvalidation = 3\n"
        "[budget]\ngenerations = 2\ntarget = 1e6\n"
        '[[configurations]]\nlabel = "small"\nsearch = {population = 4, offspring = 4}\n'
        '[[configurations]]\nlabel = "large"\nsearch = {population = 8, offspring = 8}\n',
        encoding="utf-8",
    )
    queued = here("study", "study.toml", "--detach", "--json").json
    assert (queued["state"], len(queued["jobs"])) == ("queued", 4)
    done = here("study", "study.toml", "--json").json
    assert (done["study"], done["state"], done["name"]) == (queued["study"], "succeeded", "sizes")
    assert [(job["configuration"], job["seed"]) for job in done["jobs"]] == [
        *(("small", 1), ("large", 1), ("small", 2), ("large", 2))
    ]
    assert [row["configuration"] for row in done["rows"]] == ["small", "large"]
    assert [row["reached"] for row in done["rows"]] == [0, 0]
    shown = here("study", "study.toml")
    assert shown.code == 0
    assert "2 of 2" in shown.out
    assert "0 % (0 … 66)" in shown.out
    assert "> " in shown.out
    refused = here("evolve", "reward", "--config", "study.toml")
    assert refused.code == 2
    assert "configurations" in refused.err or "ruleforge study" in refused.err


def test_evolve_sends_replicates_to_study(here):
    refused = here("evolve", "reward", "--set", "replicates=3")
    assert refused.code == 2
    assert "replicates: a job has one seed, and 3 were asked for: run `ruleforge study FILE.toml`" in refused.err


def test_an_older_record_is_upgraded_by_command(here, tmp_path):
    here("evolve", "reward", "--detach")
    assert here("db", "upgrade", "--json").json["schema"] >= "0002"
    assert "The record has schema" in here("db", "upgrade").out
    assert here("db", "upgrade", "--db", "sqlite:///none.db").code == 2
