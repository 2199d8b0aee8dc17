"""What cannot be used: exit code 2, one sentence on standard error, nothing on standard output, nothing left behind."""

from __future__ import annotations

import functools
import importlib
import os
import re
import shutil
import sqlite3
import subprocess

import pytest

from ruleforge.store import open_store

DEEP = "(" * 40 + "R" + ")" * 40
LONG = "+".join(["E"] * 150)
HUGE = "R" + " " * 5000

RULES = {
    "R*Q": r"unknown name 'Q': expected one of R, E",
    "reward*E": r"unknown name 'reward': expected one of R, E",
    "dw: R*E; dv: R": r"unknown slot 'dv': expected one of dw\. Did you mean 'dw'\?",
    "__import__('os').system('id')": r"unexpected character|unknown name '__import__'",
    "__import__(R)": r"unknown name '__import__'",
    "R.__class__": r"unexpected character '\.'",
    "(R - 1": r"expected '\)' to close the parenthesis, and the end came",
    "R E": r"expected an operator or the end, and 'E' came",
    "": r"the rule is empty",
    "9**9**9 +": r"expected a number, a signal",
    "9" + "**9" * 40: r"nested too deeply",
    DEEP: r"nested too deeply: at most 32 levels",
    LONG: r"nodes: at most 200 are allowed",
    HUGE: r"5001 bytes long: at most 4096",
    "1e999*E": r"too large for a float64",
}

EVOLVE = {
    ("rewards",): r"unknown task 'rewards': expected one of .*\. Did you mean 'reward'\?",
    ("reward", "--set", "nothing=1"): r"unknown key 'nothing'",
    ("reward", "--set", "n_trails=1"): r"unknown key 'n_trails'.* Did you mean 'n_trials'\?",
    ("reward", "--set", "search.poplation=1"): r"unknown key 'search\.poplation'.* Did you mean 'search\.population'\?",
    ("reward", "--set", "n_trials"): r"expected KEY=VALUE after --set, and 'n_trials' came",
    ("reward", "--set", "n_trials=0"): r"parameters\.n_trials: .*greater than or equal to 1, and 0 came",
    ("reward", "--set", "n_trials=many"): r"parameters\.n_trials: .*, and 'many' came",
    ("reward", "--set", "resolution=nan"): r"parameters\.resolution: .*, and nan came",
    ("reward", "--set", "search.population=0"): r"search\.population: .*greater than or equal to 1, and 0 came",
    ("reward", "--set", "search.tournament=900"): r"search\.tournament \(900\) is larger than search\.population",
    ("reward", "--set", "grammar.operators=['%']"): r"grammar\.operators: unknown operator '%'",
    ("reward", "--set", "grammar.signals=['R','Ee']"): r"unknown signal 'Ee'.* Did you mean 'E'\?",
    ("reward", "--set", "grammar.signals.dv=['R']"): r"unknown slot 'dv'",
    ("reward", "--set", "grammar.seed_rules=['R*Q']"): r"grammar\.seed_rules\.0: unknown name 'Q'",
    ("reward", "--set", "instances.source=mine"): r"instances\.source: .*'sampled' or 'published', and 'mine' came",
    ("reward", "--set", "instances.training=0"): r"instances\.training: .*, and 0 came",
    ("reward", "--generations", "-3"): r"budget\.generations: .*, and -3 came",
    ("reward", "--generations", "some"): r"Invalid value for '--generations'",
    ("reward", "--budget", "0"): r"budget\.evaluations: .*, and 0 came",
    ("reward", "--time", "0"): r"budget\.seconds: .*, and 0\.0 came",
    ("reward", "--target", "nan"): r"budget\.target: .*finite number, and nan came",
    ("reward", "--seed", "-1"): r"seed: .*, and -1 came",
    ("reward", "--workers", "0"): r"workers: expected 1 to 1024 threads, and 0 came",
    ("reward", "--config", "missing.toml"): r"missing\.toml cannot be read: No such file",
    ("reward", "--config", "."): r"cannot be read: Is a directory",
    ("reward", "--bogus"): r"No such option: --bogus",
    ("reward", "--db", "ruleforge.db"): r"write sqlite:///ruleforge\.db",
    ("reward", "--db", "sqlite:////proc/nothing.db"): r"(cannot be created in|is no folder|cannot be opened).*/proc",
    ("reward", "--db", "sqlite:///no/such/folder.db"): r"there is no folder",
    ("reward", "--db", "mysql://server/x"): r"no record can be kept in 'mysql'",
}

OTHERS = {
    ("evaluate", "nothing", "--rule", "R*E"): r"unknown task 'nothing'",
    ("evaluate", "reward"): r"Missing option '--rule'",
    ("evaluate", "reward", "--rule", "R", "--split", "train"): r"unknown split 'train': expected one of training",
    ("evaluate", "reward", "--rule", "R", "--n", "0"): r"n: expected 1 to 100000 instances, and 0 came",
    ("evaluate", "reward", "--rule", "R", "--seed", "-1"): r"seed: expected 0 to 9223372036854775807, and -1 came",
    ("evaluate", "reward", "--rule", "R", "--set", "seed=1"): r"expected parameters of reward, and seed came",
    ("evaluate", "reward", "--rule", "R", "--set", "delay=1"): r"unknown key 'delay'",
    ("evaluate", "reward", "--rule", "R", "--workers", "0"): r"workers: expected 1 to 1024 threads, and 0 came",
    ("evaluate", "correlation", "--rule", "w"): r"each expression needs its slot's name: expected 'depress: …; facil",
    ("evaluate", "correlation", "--rule", "depress: w"): r"slot 'facilitate' is missing",
    ("tasks", "rewrad"): r"unknown task 'rewrad'.* Did you mean 'reward'\?",
    ("jobs",): r"there is no record at sqlite:///ruleforge\.db",
    ("rules",): r"there is no record at",
    ("rules", "--task", "x"): r"unknown task 'x'",
    ("rules", "--top", "0"): r"--top: expected 1 or more, and 0 came",
    ("show", "abc"): r"there is no record at",
    ("resume", "abc"): r"there is no record at",
    ("evolv", "reward"): r"No such command 'evolv'",
}


def refused(done, sentence: str) -> None:
    assert done.code == 2, done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    assert re.search(sentence, done.err, re.DOTALL), done.err


def files(folder) -> dict:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("text", RULES)
def test_rules(here, tmp_path, text):
    done = here("evaluate", "reward", "--rule", text, "--json")
    refused(done, RULES[text])
    assert len(done.err) < 1000, "a long rule does not flood the terminal"
    if text:
        assert done.err.rstrip("\n").endswith("^"), "the caret shows the place"
    assert files(tmp_path) == {}


@pytest.mark.parametrize("arguments", EVOLVE)
def test_jobs(here, tmp_path, command_line, arguments):
    # Small in all that is not refused, so that a job that is accepted by mistake fails the test soon.
    limit = () if "--budget" in arguments else ("--budget", "1")
    refused(here("evolve", *command_line.small, *limit, *arguments, "--json"), EVOLVE[arguments])
    assert files(tmp_path) == {}


@pytest.mark.parametrize("arguments", OTHERS)
def test_other_commands(here, tmp_path, arguments):
    refused(here(*arguments), OTHERS[arguments])
    assert files(tmp_path) == {}


def test_the_caret_stands_under_what_was_refused(here):
    lines = here("evaluate", "reward", "--rule", "(R - 1)*Q*E").err.splitlines()
    assert lines[-2][lines[-1].index("^")] == "Q"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = [", r"job\.toml is not valid TOML: .*at (line 1, column 6|end of document)"),
        ("seed = 1\nname = oops\n", r"job\.toml is not valid TOML: .*\(at line 2, column 8\)"),
        ("sead = 1\n", r"unknown key 'sead'.* Did you mean 'seed'\?"),
        ("[budget]\ngenerations = -1\n", r"budget\.generations: .*, and -1 came"),
        ("budget = 0\n", r"budget\.evaluations: .*, and 0 came"),
        ('budget = "3"\n', r"budget: expected a number of evaluations,? or a table of .*, and '3' came"),
        ("name = 2024\n", r"name: expected a string in quotes, and 2024 came"),
        ('task = "supervised"\n', r"is a specification for 'supervised', and 'reward' was asked for"),
        ('seed = "one"\n', r"seed: .*, and 'one' came"),
        ("\x00", r"is not valid TOML"),
    ],
)
def test_specification_files(here, tmp_path, text, sentence):
    (tmp_path / "job.toml").write_text(text, encoding="utf-8")
    refused(here("evolve", "reward", "--config", "job.toml"), sentence)
    assert list(files(tmp_path)) == ["job.toml"]


def test_a_file_that_is_not_text(here, tmp_path):
    (tmp_path / "job.toml").write_bytes(b"name = '\xff'\n")
    refused(here("evolve", "reward", "--config", "job.toml"), r"job\.toml is not UTF-8 text: .* at byte 8")


# The record

ON_A_RECORD = (
    ("evolve", "reward", "--generations", "1"),
    ("resume", "abc"),
    ("jobs",),
    ("rules",),
    ("show", "champion"),
)


def refused_everywhere(here, folder, sentence):
    before = files(folder)
    for arguments in ON_A_RECORD:
        refused(here(*arguments, "--db", "sqlite:///record.db"), sentence)
        assert files(folder) == before


def test_a_record_that_is_not_a_database(here, tmp_path):
    (tmp_path / "record.db").write_bytes(b"not a database, and longer than a header of one hundred bytes " * 50)
    refused_everywhere(here, tmp_path, r"sqlite:///record\.db is not a SQLite database: name another file")


def test_a_record_of_a_newer_version(here, tmp_path):
    open_store("sqlite:///record.db").close()
    with sqlite3.connect("record.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    refused_everywhere(here, tmp_path, r"has schema 9999, which is newer than this version of ruleforge")


def test_a_database_of_another_program(here, tmp_path):
    connection = sqlite3.connect("record.db")
    connection.execute("CREATE TABLE recipes (id INTEGER)")
    connection.close()
    refused_everywhere(here, tmp_path, r"is another program's database \(it has the table 'recipes'")


def test_a_locked_record(here, tmp_path, monkeypatch):
    open_store("sqlite:///record.db").close()
    for module in ("evolve", "places"):  # without waiting for the usual five seconds
        place = importlib.import_module(f"api.command_line.{module}")
        monkeypatch.setattr(place, "open_store", functools.partial(open_store, busy_timeout=0.05))
    connection = sqlite3.connect("record.db", isolation_level=None)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    try:
        refused_everywhere(here, tmp_path, r"sqlite:///record\.db is locked by another process: wait for it or stop it")
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_a_read_only_record(here, tmp_path):
    open_store("sqlite:///record.db").close()
    path = tmp_path / "record.db"
    path.chmod(0o444)
    # Root may write anywhere but to a file that is immutable.
    marked = os.geteuid() == 0 and shutil.which("chattr") is not None
    marked = marked and subprocess.run(["chattr", "+i", path], check=False, capture_output=True).returncode == 0
    try:
        if os.access(path, os.W_OK):
            pytest.skip("nothing stops this user (root, on a file system without the immutable attribute) from writing")
        refused_everywhere(here, tmp_path, r"the record sqlite:///record\.db is read-only: make the file")
    finally:
        if marked:
            subprocess.run(["chattr", "-i", path], check=True)


def test_jobs_and_rules_that_a_record_does_not_hold(here, tmp_path):
    open_store("sqlite:///record.db").close()
    before = files(tmp_path)
    refused(
        here("resume", "no-such-job", "--db", "sqlite:///record.db"), r"no job 'no-such-job' in sqlite:///record\.db"
    )
    refused(here("show", "ffff", "--db", "sqlite:///record.db"), r"no rule 'ffff' in sqlite:///record\.db")
    refused(here("show", "champion", "--db", "sqlite:///record.db"), r"no job of the record has a champion.* yet")
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("figure", "sentence"),
    [
        ("out.gif", r"--figure: expected a file name ending in png, svg, pdf, and 'out\.gif' came"),
        ("out", r"--figure: expected a file name ending in png, svg, pdf, and 'out' came"),
        ("no/folder/out.png", r"--figure: the folder no/folder does not exist: create it first"),
    ],
)
def test_figures(here, tmp_path, command_line, figure, sentence):
    assert here("evolve", "reward", "--budget", "2", *command_line.small).code == 0
    before = files(tmp_path)
    refused(here("show", "champion", "--figure", figure), sentence)
    assert files(tmp_path) == before


def test_the_installed_script_refuses_alike(command_line, tmp_path):
    """The same through a process of its own: a rule that is code, and a record that is none."""
    refused(
        command_line.run(tmp_path, "evaluate", "reward", "--rule", "__import__('os').system('touch here')"),
        r"unexpected character|unknown name '__import__'",
    )
    assert files(tmp_path) == {}
    (tmp_path / "junk.db").write_bytes(os.urandom(5000))
    before = files(tmp_path)
    done = command_line.run(tmp_path, "evolve", "reward", "--db", "sqlite:///junk.db", "--json")
    refused(done, r"sqlite:///junk\.db is not a SQLite database")
    assert files(tmp_path) == before
