"""Under what rules were found, and their scores on the library: `show`, `jobs` and `rules --score`."""

from __future__ import annotations

import json
import re
import sqlite3

import pytest

import ruleforge
from ruleforge.context import Context
from ruleforge.family import family

STUDY = """
task = "reward"
seed = 3
replicates = 2
[parameters]
n_trials = 20
[instances]
training = 2
validation = 3
test = 3
[search]
population = 8
offspring = 8
[budget]
generations = 2
[grammar]
seed_rules = ["(R - 1)*E"]
[[configurations]]
label = "as published, with a name that is longer than a column"
[[configurations]]
label = "fast"
parameters = { n_trials = 20, learning_rate = 20.0 }
grammar = { operators = ["+", "*"], seed_rules = ["R*E"] }
"""
LABELS = ("as published, with a name that is longer than a column", "fast")


@pytest.fixture(scope="module")
def studied(command_line, tmp_path_factory):
    """The folder of a study's record, and its result."""
    folder = tmp_path_factory.mktemp("studied")
    (folder / "study.toml").write_text(STUDY, "utf-8")
    done = command_line.run(folder, "study", "study.toml", "--json")
    assert done.code == 0, done.err
    return folder, done.json


@pytest.fixture
def record(studied):
    return f"sqlite:///{studied[0]}/ruleforge.db"


def found_under(here, record, text, *more):
    rule = ruleforge.Rule.parse(text, "reward")
    item = here("show", rule.id, "--db", record, "--json", *more).json
    return item, {context["changed"].get("learning_rate"): context for context in item["found_under"]}


def test_show_says_under_what_a_rule_was_found(here, studied, record):
    study = studied[1]
    _, by_rate = found_under(here, record, "(R - 1)*E")
    of_plain = [job for job in study["jobs"] if job["configuration"] == LABELS[0]]
    plain = by_rate[None]
    assert (plain["task"], plain["version"], plain["changed"]) == ("reward", 1, {"n_trials": 20})
    assert plain["context"] == Context.of("reward", 1, plain["parameters"]).digest
    assert plain["parameters"] == family("reward", {"n_trials": 20}).parameters.model_dump(mode="json")
    assert plain["found"] == 2
    assert {(job["job"], job["seed"]) for job in plain["jobs"]} == {(job["job"], job["seed"]) for job in of_plain}
    assert {(job["study"], job["configuration"]) for job in plain["jobs"]} == {(study["study"], LABELS[0])}
    for job in plain["jobs"]:
        grammar = job["grammar"]
        assert grammar["seed_rules"] == ["(R - 1)*E"]
        assert grammar["operators"] == ["+", "-", "*", "/"]
        assert grammar["signals"] == {"dw": ["R", "E"]}
        assert grammar["constants"]
    # Where no job found it, it was scored on the library, as every known rule.
    fast = by_rate[20.0]
    assert (fast["found"], fast["jobs"], fast["fitness"], fast["validation_fitness"]) == (0, [], None, None)
    assert fast["library_fitness"]["n"] == plain["library_fitness"]["n"] == 60
    _, by_rate = found_under(here, record, "R*E")
    assert {tuple(job["grammar"]["operators"]) for job in by_rate[20.0]["jobs"]} == {("+", "*")}
    assert {job["configuration"] for job in by_rate[20.0]["jobs"]} == {LABELS[1]}


def reported(record):
    """Of every job what it reports."""
    with sqlite3.connect(record.removeprefix("sqlite:///")) as connection:
        rows = connection.execute("SELECT id, result FROM results JOIN jobs ON jobs.number = job").fetchall()
    connection.close()
    return {id: json.loads(result)["reported"] for id, result in rows if id}


def test_a_validation_stands_beside_the_test_of_the_job_that_reported_it(here, record):
    by_job = reported(record)
    assert by_job
    for job, rule in by_job.items():
        item = here("show", rule["id"], "--db", record, "--json").json
        jobs = {found["job"]: found for context in item["found_under"] for found in context["jobs"]}
        assert jobs[job]["test_fitness"] == rule["test_fitness"]
        for id, found in jobs.items():
            other = by_job[id]
            expected = other["test_fitness"] if other["behaviour"] == rule["behaviour"] else None
            assert found["test_fitness"] == expected
        said = here("show", rule["id"], "--db", record).out
        assert re.search(rf"test fitness +\S.*reported by job {job}", said)
    # Whatever is validated has a line about its test.
    for item in here("rules", "--db", record, "--top", "1000", "--json").json["rules"]:
        if item["validation_fitness"] is not None:
            said = here("show", item["id"], "--db", record).out
            validated = re.findall(r"^validation fitness +[^ –].*$", said, re.MULTILINE)
            assert 1 <= len(validated) <= len(re.findall(r"^test fitness +\S", said, re.MULTILINE))


@pytest.mark.parametrize("width", ["60", "80", "200"])
def test_tables_say_it_and_cut_no_id(here, studied, record, monkeypatch, width):
    study = studied[1]
    monkeypatch.setenv("COLUMNS", width)
    listed = here("jobs", "--db", record)
    assert max(map(len, listed.out.splitlines())) <= int(width)
    for job in study["jobs"]:
        assert re.search(rf"^ ?{job['job']}( |$)", listed.out, re.MULTILINE)
    assert listed.out.count(study["study"]) == len(study["jobs"])
    assert "fast" in listed.out
    rule = ruleforge.Rule.parse("(R - 1)*E", "reward")
    said = here("show", rule.id, "--db", record).out
    assert max(map(len, said.splitlines())) <= int(width)
    words = " ".join(said.split())
    for expected in ("operators: + - * /", "signals: dw: R E", "learning_rate=20.0", "seed 3", "seed 4", rule.id):
        assert expected in words
    for job in study["jobs"]:
        if job["configuration"] == LABELS[0]:
            assert job["job"] in words


def missing(here, record, *more):
    items = here("rules", "--db", record, "--json", *more).json["rules"]
    return [item for item in items if item["library_fitness"] is None]


def test_what_is_listed_is_scored_when_asked_for(command_line, here, tmp_path):
    record = f"sqlite:///{tmp_path}/ruleforge.db"
    assert command_line.run(tmp_path, "evolve", "reward", "--generations", "2", *command_line.small).code == 0
    before = {item["id"]: item for item in here("rules", "--db", record, "--top", "1000", "--json").json["rules"]}
    without = missing(here, record, "--top", "1000")
    assert without
    said = here("rules", "--db", record, "--top", "1000").out
    assert f"{len(without)} of these have no score on the library" in " ".join(said.split())
    done = here("rules", "--db", record, "--top", "1000", "--score", "--json")
    assert (done.code, [item for item in done.json["rules"] if item["library_fitness"] is None]) == (0, [])
    assert re.search(rf"^{len(without)} scored in [0-9.]+ s$", done.err, re.MULTILINE)
    # Nothing else about any rule has changed, and by these scores they are ranked.
    after = {item["id"]: item for item in done.json["rules"]}
    scores = [item["library_fitness"]["aggregate"] for item in after.values()]
    finite = [score for score in scores if score is not None]
    assert scores == sorted(finite, reverse=True) + [None] * (len(scores) - len(finite))
    assert {id: {**item, "library_fitness": None} for id, item in after.items()} == {
        id: {**item, "library_fitness": None} for id, item in before.items()
    }
    for id, item in before.items():
        assert item["library_fitness"] in (None, after[id]["library_fitness"])
    again = here("rules", "--db", record, "--top", "1000", "--score")
    assert (again.code, again.err) == (0, "")
    assert "no score on the library" not in again.out


def test_rules_of_a_context_that_cannot_be_run_here_are_said_and_left(command_line, here, tmp_path):
    record = f"sqlite:///{tmp_path}/ruleforge.db"
    assert command_line.run(tmp_path, "evolve", "reward", "--generations", "1", *command_line.small).code == 0
    for changes, sentence in (
        ("version = 7", "is of version 7 of reward, and here is version 1"),
        ("version = NULL, parameters = NULL", "nobody recorded its parameters"),
        ("task = 'elsewhere'", "elsewhere"),
    ):
        with sqlite3.connect(tmp_path / "ruleforge.db") as connection:
            connection.execute(f"UPDATE settings SET {changes}")
        connection.close()
        before = missing(here, record)
        done = here("rules", "--db", record, "--score", "--json")
        assert done.code == 0
        assert sentence in done.err
        assert [item for item in done.json["rules"] if item["library_fitness"] is None] == before


def test_a_rule_of_ones_own_stands_beside_the_others(here, record):
    own = "R*E + 0.5*E*E"
    listed = ("rules", "--db", record, "--parameters", "learning_rate=20.0", "--top", "1000", "--json")
    before = here(*listed).json["rules"]
    given = ("--set", "n_trials=20", "--set", "learning_rate=20.0")
    # Other instances than those of lists give no place in a list.
    for other in (("--split", "library", "--n", "5"), ("--split", "library", "--seed", "1"), ("--split", "validation")):
        assert here("evaluate", "reward", "--rule", own, *other, *given, "--db", record).code == 0
        assert here(*listed).json["rules"] == before
    scored = here("evaluate", "reward", "--rule", own, "--split", "library", *given, "--db", record, "--json").json
    (item,) = [item for item in here(*listed).json["rules"] if item not in before]
    assert (item["rule"], item["found"], item["jobs"]) == (own, 0, [])
    assert item["library_fitness"]["aggregate"] == scored["aggregate"]
    (context,) = here("show", item["id"], "--db", record, "--json").json["found_under"]
    assert (context["found"], context["jobs"], context["changed"]["learning_rate"]) == (0, [], 20.0)
    assert "found by 0 job(s)" in " ".join(here("show", item["id"], "--db", record).out.split())
