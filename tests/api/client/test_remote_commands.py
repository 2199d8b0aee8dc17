"""`submit`, `watch`, and `--server` of `pause`, `resume` and `cancel`."""

from __future__ import annotations

import re
import signal

import pytest

import ruleforge

QUICK = ("--seed", "9", "--generations", "3")
ENDLESS = ("--generations", "1000000")


@pytest.fixture
def at(server, here):
    """A command at the service."""
    return lambda *arguments: here(*arguments, "--server", server.url)


def test_submit_and_watch_are_evolve(server, here, at, command_line):
    done = at("submit", "reward", *QUICK, *command_line.small)
    assert done.code == 0
    id = done.out.strip()
    assert f"ruleforge watch {id} --server {server.url}" in done.err
    watched = at("watch", id[:6], "--json")
    assert (watched.code, watched.json["job"], watched.json["state"]) == (0, id, "succeeded")
    local = here("evolve", "reward", *QUICK, *command_line.small, "--json").json
    assert watched.json["history"] == local["history"]
    shown = at("watch", id)
    assert shown.code == 0
    assert "Front of job" in shown.out
    assert "Champion" in shown.out
    assert at("resume", id, "--json").json == watched.json
    assert "this is its stored result" in at("resume", id).err


def test_resume_with_a_limit_and_submit_from_a_front(here, at, command_line):
    id = at("submit", "reward", "--seed", "19", "--budget", "30", *command_line.small).out.strip()
    first = at("watch", id, "--json").json
    queued = at("resume", id, "--budget", "80", "--json").json
    assert (queued["job"], queued["state"] in ("queued", "running", "succeeded")) == (id, True)
    further = at("watch", id, "--json").json
    local = here("evolve", "reward", "--seed", "19", "--budget", "80", *command_line.small, "--json").json
    assert (further["history"], further["front"]) == (local["history"], local["front"])
    refused = at("resume", id, "--budget", "80")
    assert (refused.code, "expected more than what job" in refused.err) == (2, True)
    other = at("submit", "reward", "--from", id, "--generations", "2", *command_line.small, "--json")
    assert other.code == 0, other.err
    assert at("watch", other.json["job"], "--json").json["generations"] == 2
    assert first["evaluations"] == 30


def test_watching_shows_the_generations(server, at, command_line):
    """A line now and then for who has no terminal, as `evolve` does."""
    id = at("submit", "reward", *QUICK, *command_line.small, "--json").json["job"]
    watched = at("watch", id)
    assert f"Job {id} " in watched.err
    assert "generation 0  best" in watched.err


def test_a_file_may_name_the_task(at, tmp_path):
    (tmp_path / "job.toml").write_text('task = "reward"\nname = "filed"\n[budget]\ngenerations = 1000000\n', "utf-8")
    queued = at("submit", "--config", "job.toml", "--set", "n_trials=20", "--json").json
    assert (queued["task"], queued["state"], queued["champion"]) == ("reward", "queued", None)
    assert at("cancel", queued["job"], "--json").json["state"] == "cancelled"


def test_pause_resume_and_cancel(at, command_line):
    id = at("submit", "reward", *ENDLESS, *command_line.small).out.strip()
    paused = at("pause", id[:8], "--json").json
    assert (paused["job"], paused["state"]) == (id, "paused")
    assert at("pause", id, "--json").json["previous"] == "paused"
    watched = at("watch", id)
    assert watched.code == 130
    assert f"Go on with: ruleforge resume {id} --server" in watched.err
    assert at("resume", id).out.strip() == id
    assert f"Job {id} is cancelled." in at("cancel", id).out
    watched = at("watch", id, "--json")
    assert (watched.code, watched.json["state"], watched.json["front"]) == (130, "cancelled", [])
    refused = at("resume", id)
    assert refused.code == 2
    assert "cannot become queued" in refused.err


def test_a_study_has_its_own_id(server, at, tmp_path, command_line):
    (tmp_path / "study.toml").write_text('task = "reward"\nreplicates = 2\n', "utf-8")
    id = at("submit", "--config", "study.toml", *QUICK, *command_line.small).out.strip()
    with ruleforge.Client(server.url) as client:
        assert len(client.study(id)["jobs"]) == 2


def test_ctrl_c_ends_the_watching_and_not_the_job(server, command_line, tmp_path):
    with ruleforge.Client(server.url) as client:
        job = client.submit(server.endless, seed=70)
        with command_line.start(tmp_path, "watch", job.id, "--server", server.url) as process:
            for line in process.stderr:
                if line.startswith("generation"):
                    break
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        assert process.returncode == 130
        assert f"Job {job.id} goes on. Watch it again with: ruleforge watch {job.id} --server {server.url}" in err
        assert "Traceback" not in err
        assert job.refresh().state == "running"
        job.cancel()


def test_an_evaluation_can_be_watched(server, at):
    with ruleforge.Client(server.url) as client:
        client.evaluate("reward", "R*E", n=2, n_trials=20)
        job = next(client.jobs(kind="evaluation"))
    assert "R*E: fitness" in at("watch", job.id).out
    assert at("watch", job.id, "--json").json["rule"] == "R*E"


REFUSED = {
    ("submit",): (2, r"expected a TASK, or --config FILE with one"),
    ("submit", "rewrad"): (2, r"unknown task 'rewrad'"),
    ("submit", "reward", "--set", "search.popul=1"): (2, r"unknown key 'search\.popul'"),
    ("submit", "reward", "--seed", "-1"): (2, r"seed: "),
    ("submit", "reward", "--config", "missing.toml"): (2, r"missing\.toml cannot be read"),
    ("watch", "0123456789ab"): (2, r"there is no job '0123456789ab'"),
    ("watch", "../../etc"): (2, r"expected an id"),
    ("cancel", "0123456789ab", "--json"): (2, r"there is no job"),
    ("pause", "0123", "--db", "sqlite:///a.db"): (2, r"expected --db or --server, and both came"),
    ("resume", "0123", "--db", "sqlite:///a.db"): (2, r"expected --db or --server, and both came"),
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_refusals(at, tmp_path, arguments):
    code, sentence = REFUSED[arguments]
    done = at(*arguments)
    assert (done.code, done.out) == (code, "")
    assert "Traceback" not in done.err
    assert re.search(sentence, done.err), done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [("submit", "reward"), ("watch", "ab"), ("pause", "ab"), ("resume", "ab")])
def test_nobody_there(here, command):
    done = here(*command, "--server", "http://127.0.0.1:1")
    assert done.code == 1
    assert "no service answers at http://127.0.0.1:1" in done.err
