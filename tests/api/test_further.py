"""Searches that are taken further from the command line: limits, interruptions, starts from a front."""

from __future__ import annotations

import json
import signal

import pytest

import ruleforge
from ruleforge.store import open_store
from tests.api.conftest import MIDDLING, MIDDLING_SEED, SMALL
from tests.api.test_interruption import RECORD, at_generation, stand

EVOLVE = ("evolve", "reward", *SMALL, "--seed", "3")


def essence(result):
    kept = ("state", "champion", "front", "generations", "evaluations", "history", "stopped_by", "effort")
    return {name: result[name] for name in kept}


def test_each_limit_takes_a_job_further(here):
    job = here(*EVOLVE, "--budget", "20", "--json").json["job"]
    for limit in (("--generations", "6"), ("--budget", "70"), ("--target", "100", "--budget", "90")):
        further = here("resume", job, *limit, "--json")
        assert further.code == 0, further.err
        assert further.json["job"] == job
        assert essence(further.json) == essence(here(*EVOLVE, *limit, "--db", "sqlite://", "--json").json)
        assert here("resume", job, "--json").json == further.json
    longer = here("resume", job, "--time", "1e6", "--generations", "20", "--json").json
    assert (longer["generations"], longer["stopped_by"]) == (20, "generations")


def test_what_cannot_be_is_a_sentence_and_changes_nothing(here):
    done = here(*EVOLVE, "--budget", "20", "--json").json
    job = done["job"]
    for limit, said in {
        ("--budget", "20"): f"budget.evaluations: expected more than what job {job} has reached (20 evaluations have",
        ("--budget", "0"): "budget.evaluations: input should be greater than or equal to 1",
        ("--generations", "1"): "budget.generations: expected more than",
        ("--time", "1e-9"): "budget.seconds: expected more than",
        ("--time", "nan"): "budget.seconds: ",
        ("--target", "-1e9"): "budget.target: expected more than",
    }.items():
        refused = here("resume", job, *limit)
        assert (refused.code, refused.out) == (2, ""), refused
        assert said in refused.err.replace("\n", " "), refused.err
        assert "Traceback" not in refused.err
    assert here("resume", "ffff", "--budget", "30").code == 2
    assert here("resume", job, "--json").json == done


def test_queued_only_with_detach(here):
    job = here(*EVOLVE, "--budget", "20", "--json").json["job"]
    queued = here("resume", job, "--budget", "40", "--detach", "--json").json
    assert (queued["state"], queued["job"]) == ("queued", job)
    assert here("runner", "--until-idle", "--workers", "1").code == 0
    assert here("resume", job, "--json").json["evaluations"] == 40


def test_in_python(tmp_path):
    url = f"sqlite:///{tmp_path}/record.db"
    given = {"seed": 3, "parameters": {"n_trials": 20}, "instances": {"training": 2, "validation": 3}}
    search = {"population": 8, "offspring": 8}
    first = ruleforge.evolve("reward", **given, search=search, budget={"evaluations": 20}, db=url)
    for budget in ({"budget": 30}, {"budget": {"evaluations": 40}}, {"generations": 9}, {"budget": 90, "target": 1e3}):
        further = ruleforge.resume(first, **budget, db=url)
        assert further.job == first.job
        assert ruleforge.resume(first.job[:8], db=url).raw == further.raw
    limits = {"evaluations": 90, "target": 1e3}
    direct = ruleforge.evolve("reward", **given, search=search, budget=limits, db="sqlite://")
    assert essence(further.raw) == essence(direct.raw)
    with pytest.raises(ruleforge.InputError, match="expected more than what job"):
        ruleforge.resume(first, budget=90, db=url)


def test_killed_while_it_goes_further(command_line, tmp_path, undisturbed):
    """kill -9 in the middle of the further part, Ctrl-C in the next one, and the end is that of the larger limit."""
    first = command_line.run(
        tmp_path, "evolve", "reward", *MIDDLING_SEED[:2], *MIDDLING, "--budget", "37", "--db", RECORD, "--json"
    )
    assert first.code == 0, first.err
    job, began = first.json["job"], first.json["generations"]
    further = ("resume", job, *MIDDLING_SEED[2:], "--db", RECORD, "--json")
    with command_line.start(tmp_path, *further) as process:
        at_generation(process, tmp_path, began + 2)
        process.kill()
        process.communicate(timeout=60)
    _, state, generation = stand(tmp_path)
    assert (state, began + 2 <= generation < 20) == ("running", True)
    # The same command goes on with it, for the job is on its way to these limits.
    with command_line.start(tmp_path, *further) as process:
        at_generation(process, tmp_path, generation + 1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, json.loads(out)["state"]) == (130, "paused")
    done = command_line.run(tmp_path, *further, "--workers", "1")
    assert done.code == 0, done.err
    assert essence(done.json) == essence(undisturbed)
    with open_store(f"sqlite:///{tmp_path}/record.db") as store:
        reasons = [e["payload"]["reason"] for e in store.events(job) if e["kind"] == "state"]
        assert reasons.count("extended to 20 generations") == 1


def test_from_a_front(here):
    first = here(*EVOLVE, "--budget", "30", "--json").json
    found = here(*EVOLVE, "--budget", "30", "--set", "n_trials=25", "--from", first["job"], "--json")
    assert found.code == 0, found.err
    with open_store("sqlite:///ruleforge.db") as store:
        job = store.job(found.json["job"])
        assert job.started_from == first["job"]
        assert job.spec["grammar"]["seed_rules"] == [item["rule"] for item in first["front"]]
        assert job.spec["parameters"]["n_trials"] == 25
    queued = here(*EVOLVE, "--from", first["job"], "--detach")
    with open_store("sqlite:///ruleforge.db") as store:
        assert store.job(queued.out.strip()).started_from == first["job"]
    refused = here("evolve", "supervised", "--from", first["job"])
    assert (refused.code, "its rules mean nothing to 'supervised'" in refused.err) == (2, True)
    nowhere = here(*EVOLVE, "--from", first["job"], "--db", "sqlite:///elsewhere.db")
    assert nowhere.code == 2
    assert "elsewhere.db" in nowhere.err
