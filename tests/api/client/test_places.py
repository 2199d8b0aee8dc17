"""A record and the service on it are asked alike and answer alike: `--db` and `--server` of all that reads."""

from __future__ import annotations

import json
import re

import pytest

from ruleforge.store import open_store

SPEC = {"seed": 9, "budget": {"generations": 3}, "parameters": {"n_trials": 20}}


@pytest.fixture(scope="module")
def job(server):
    """A finished job of the service."""
    import ruleforge

    with ruleforge.Client(server.url) as client:
        asked = {**server.small, **SPEC}
        found = client.submit(asked)
        found.wait()
        return found.id


@pytest.fixture
def both(server, here, job):
    """The same command at the record and at the service that keeps it."""

    def call(*arguments):
        return here(*arguments, "--db", server.database), here(*arguments, "--server", server.url)

    return call


READING = [
    ("jobs",),
    ("jobs", "--state", "succeeded"),
    ("jobs", "--state", "failed"),
    ("jobs", "--task", "reward", "--top", "1"),
    ("rules",),
    ("rules", "--top", "3"),
    ("rules", "--task", "reward", "--sort", "complexity"),
    ("rules", "--known", "none", "--max-complexity", "5", "--top", "100"),
    ("rules", "--known", "any", "--sort", "found"),
    ("rules", "--min-fitness", "0", "--sort", "newest"),
    ("rules", "--text", "R *", "--top", "7"),
    ("rules", "--text", "no such text"),
    ("show", "best"),
    ("show", "champion"),
    *(("export", "best", "--format", form) for form in ("text", "latex", "mathml", "python", "json")),
]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_a_record_and_its_service_answer_alike(both, arguments):
    local, remote = both(*arguments)
    assert (local.code, local.err) == (0, "")
    assert remote == local
    local, remote = both(*arguments, "--json")
    assert (local.code, local.err) == (0, "")
    assert remote.json == local.json  # whatever the order of the keys


def test_the_beginning_of_an_id_that_a_table_shows_is_taken_everywhere(both, here, server):
    shown = both("rules", "--top", "1")[0].out
    (beginning,) = re.findall(r"^ ?([0-9a-f]{8,}) ", shown, re.MULTILINE)
    for command in (("show", beginning, "--json"), ("export", beginning, "--json")):
        local, remote = both(*command)
        assert (local.code, local.err, local.json) == (remote.code, remote.err, remote.json)
        assert local.json["id"].startswith(beginning)


def test_a_picture_is_the_same_from_both(both, tmp_path):
    for place, name in zip(both("show", "best", "--figure", "best.svg"), ("--db", "--server"), strict=True):
        assert place.code == 0, name
    drawn = (tmp_path / "best.svg").read_bytes()
    assert drawn.startswith(b"<?xml")
    local = both("show", "best", "--figure", "other.svg")[0]
    assert local.code == 0
    assert (tmp_path / "other.svg").read_bytes() == drawn


def test_a_service_draws_svg_alone(both):
    _, remote = both("show", "best", "--figure", "best.png")
    assert (remote.code, remote.out) == (2, "")
    assert "a service draws SVG: expected a name ending in .svg" in remote.err


def test_families(here, server):
    for arguments in (("tasks",), ("tasks", "reward"), ("tasks", "reward", "--json"), ("tasks", "--json")):
        local, remote = here(*arguments), here(*arguments, "--server", server.url)
        assert remote == local
    assert here("tasks", "rewrad", "--server", server.url).code == 2


def test_scores(here, server):
    rules = ("--rule", "(R - 1)*E", "--rule", "E*(R - 1)", "--rule", "1/(R - R)")
    for more in ((), ("--json",), ("--split", "validation", "--n", "3", "--seed", "2", "--json")):
        asked = ("evaluate", "reward", *rules, "--set", "n_trials=20", *more)
        local, remote = here(*asked), here(*asked, "--server", server.url)
        assert local.code == 0
        assert remote == local
    assert len(local.json["evaluations"]) == 3
    refused = here("evaluate", "reward", "--rule", "(R - 1)*Q", "--server", server.url)
    assert refused.code == 2
    assert "Q" in refused.err


def test_a_study_at_a_service_is_that_of_a_record(here, server, tmp_path):
    (tmp_path / "study.toml").write_text(
        'task = "reward"\nseed = 40\nreplicates = 2\n[budget]\ngenerations = 2\n[parameters]\nn_trials = 20\n'
        "[instances]\ntraining = 2\nvalidation = 3\ntest = 3\n[search]\npopulation = 8\noffspring = 8\n",
        "utf-8",
    )
    remote = here("study", "study.toml", "--server", server.url, "--json")
    assert remote.code == 0
    assert re.match(r"Study [0-9a-f]+: 2 jobs at http", remote.err)
    local = here("study", "study.toml", "--json")
    same = [
        {
            **result,
            "study": "",
            "jobs": [],
            "winners": [{**winner, "job": ""} for winner in result["winners"]],
        }
        for result in (remote.json, local.json)
    ]
    assert same[0] == same[1]
    assert {winner["job"] for winner in remote.json["winners"]} <= {item["job"] for item in remote.json["jobs"]}
    jobs = here("jobs", "--study", remote.json["study"], "--server", server.url, "--json")
    assert {item["id"] for item in jobs.json["jobs"]} == {item["job"] for item in remote.json["jobs"]}
    assert here("jobs", "--study", remote.json["study"], "--db", server.database, "--json") == jobs


@pytest.mark.parametrize("command", ["jobs", "rules", "show best", "export best", "study study.toml"])
def test_a_record_and_a_service_at_once_are_refused(here, tmp_path, command):
    (tmp_path / "study.toml").write_text('task = "reward"\nreplicates = 2\n', "utf-8")
    done = here(*command.split(), "--db", "sqlite:///x.db", "--server", "http://127.0.0.1:1")
    assert (done.code, done.out) == (2, "")
    assert "expected --db or --server, and both came" in done.err
    assert not (tmp_path / "x.db").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("jobs", "--state", "runing"), "Did you mean 'running'"),
        (("jobs", "--top", "0"), "--top: expected 1 or more"),
        (("jobs", "--study", "0000"), "0000"),
        (("rules", "--sort", "fitnes"), "Did you mean 'fitness'"),
        (("rules", "--min-fitness", "nan"), "nan"),
        (("rules", "--top", "-1"), "--top: expected 1 or more"),
        (("show", "0000"), "0000"),
        (("show", "zzzz"), "zzzz"),
        (("export", "best", "--format", "latx"), "latx"),
    ],
)
def test_refusals_are_sentences_from_both(both, arguments, sentence):
    for done in both(*arguments):
        assert (done.code, done.out) == (2, "")
        assert sentence in done.err
        assert "Traceback" not in done.err


def test_the_beginning_of_several_ids_names_them(both, server, here):
    with open_store(server.database) as store:
        ids = [found.rule.id for found in store.rules(top=500)]
    beginnings = [one[:n] for one in ids for n in (1, 2) if sum(id.startswith(one[:n]) for id in ids) > 1]
    for done in both("show", beginnings[0]):
        assert done.code == 2
    local = here("show", beginnings[0], "--db", server.database)
    named = re.findall(r"[0-9a-f]{32}", local.err)
    assert len(named) >= 2
    assert all(id.startswith(beginnings[0]) for id in named)


@pytest.mark.parametrize("columns", ["20", "40", "59", "60", "80", "120"])
def test_no_id_is_ever_cut(both, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    for command, key in (("jobs", "jobs"), ("rules", "rules")):
        listed = json.loads(both(command, "--json")[0].out)[key]
        out = both(command)[0].out
        for item in listed:
            assert re.search(rf"^ ?{item['id'][:12]}\b", out, re.MULTILINE)
        assert all(len(line) <= int(columns) for line in out.splitlines())


def test_a_service_scores_what_is_listed(here, server, job):
    done = here("rules", "--top", "40", "--score", "--json", "--server", server.url)
    assert done.code == 0
    assert done.json["rules"]
    assert all(item["library_fitness"] is not None for item in done.json["rules"])
    assert re.search(r"^[0-9]+ scored in [0-9.]+ s$", done.err, re.MULTILINE)
    assert here("rules", "--top", "40", "--json", "--db", server.database).json == done.json
    assert here("rules", "--top", "40", "--score", "--server", server.url).err == ""
