"""Standard output in any encoding, full, closed, or without a reader: replaced characters or a sentence, everywhere."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer.main

from api.command_line.app import _register_commands, app


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command of the command line, as its words."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


_register_commands()
EVERY = [(), *commands(typer.main.get_command(app))]
# Beside the help of every command, what those print that have something to say without a service.
WITH_RECORD = (
    ("jobs",),
    ("jobs", "--json"),
    ("rules",),
    ("rules", "--json"),
    ("show", "best"),
    ("show", "best", "--json"),
    ("export", "best"),
    ("export", "best", "--format", "latex"),
    ("db", "upgrade"),
    ("evolve", "reward", "--detach"),
)
WITHOUT = (
    ("tasks",),
    ("tasks", "supervised", "--json"),
    ("--version",),
    ("evaluate", "reward", "--rule", "R*E", "--n", "1", "--set", "n_trials=2"),
    ("evaluate", "reward", "--rule", "R*E", "--n", "1", "--set", "n_trials=2", "--json"),
    *((*words, "--help") for words in EVERY),
)


@pytest.fixture(scope="module")
def record(tmp_path_factory, command_line) -> Path:
    folder = tmp_path_factory.mktemp("record")
    done = command_line.run(folder, "evolve", "reward", "--generations", "1", *command_line.small)
    assert done.code == 0, done.err
    return folder


def run(command_line, folder: Path, arguments: tuple[str, ...], stdout, **environment: str):
    settings = {name: value for name, value in os.environ.items() if name != "RULEFORGE_DB"}
    return subprocess.run(
        [command_line.script, *arguments],
        cwd=folder,
        env=settings | environment,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=False,
    )


def close_output() -> None:
    os.close(1)


def broken_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def lines_of(done) -> list[str]:
    return [line for line in done.stderr.decode().splitlines() if line.startswith("ruleforge:") or "Traceback" in line]


@pytest.mark.parametrize("arguments", WITH_RECORD + WITHOUT, ids=" ".join)
def test_output_that_cannot_be_written_is_said(command_line, record, arguments):
    with open("/dev/full", "wb") as full:
        done = run(command_line, record, arguments, full)
    assert done.returncode == 1
    assert lines_of(done) == ["ruleforge: standard output cannot be written: No space left on device"]


@pytest.mark.parametrize("arguments", [("jobs", "--json"), ("tasks",), ("evolve", "--help")], ids=" ".join)
def test_output_that_is_closed_or_not_read_is_said(command_line, record, arguments):
    writing = broken_pipe()
    try:
        done = run(command_line, record, arguments, writing)
    finally:
        os.close(writing)
    assert done.returncode == 1
    assert lines_of(done) == ["ruleforge: standard output cannot be written: Broken pipe"]
    done = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", command_line.script, *arguments], cwd=record, stderr=subprocess.PIPE, check=False
    )
    assert done.returncode == 1
    assert lines_of(done) == ["ruleforge: standard output cannot be written: Bad file descriptor"]


def test_a_fault_of_the_input_is_said_as_ever(command_line, tmp_path):
    with open("/dev/full", "wb") as full:
        done = run(command_line, tmp_path, ("jobs",), full)
    assert done.returncode == 2
    assert "there is no record" in done.stderr.decode()


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp437", "utf-16", "ascii:strict"])
def test_output_in_any_encoding(command_line, record, encoding):
    codec = encoding.partition(":")[0]
    for arguments in (("tasks", "reward"), ("show", "best"), ("export", "best", "--format", "latex")):
        done = run(command_line, record, arguments, subprocess.PIPE, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.decode(codec)
    for arguments in (("tasks", "--json"), ("show", "best", "--json")):
        done = run(command_line, record, arguments, subprocess.PIPE, PYTHONIOENCODING=encoding)
        assert (done.returncode, done.stderr) == (0, b"")
        same = run(command_line, record, arguments, subprocess.PIPE, PYTHONIOENCODING="utf-8")
        assert json.loads(done.stdout.decode(codec)) == json.loads(same.stdout)


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_help_in_a_language_without_our_characters(command_line, tmp_path, words):
    language = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run(command_line, tmp_path, (*words, "--help"), subprocess.PIPE, **language)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"Usage: ruleforge" in done.stdout


def test_names_that_are_not_text_are_printed_somehow(command_line, record):
    picture = os.fsdecode(b"caf\xe9.svg")
    done = run(command_line, record, ("show", "best", "--figure", picture, "--json"), subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["figure"] == picture
    assert b"caf\xe9.svg" in os.listdir(os.fsencode(record))
    done = run(command_line, record, ("show", "best", "--figure", picture), subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
