"""Whatever happens to the streams, the terminal, the signals and the file of a command: a result, or a sentence."""

from __future__ import annotations

import json
import os
import pty
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from ruleforge.store import open_store
from tests.api.conftest import MIDDLING, MIDDLING_SEED, SMALL
from tests.api.test_interruption import at_generation, essence, stand

RECORD = "sqlite:///record.db"
EVOLVE = ("evolve", "reward", "--generations", "3", *SMALL, "--workers", "1", "--db", RECORD)
SERVE = ("serve", "--port", "0", "--db", RECORD)
LONG = ("evolve", "reward", *MIDDLING_SEED, *MIDDLING, "--workers", "1", "--db", RECORD)


def shell(command_line, folder, arguments, redirections, **environment):
    """A command with redirections, through a shell; its exit code and standard output."""
    line = f'exec "$0" "$@" {redirections}'
    done = subprocess.run(
        ["bash", "-c", line, command_line.script, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    ("redirections", "environment"),
    [
        ("2>/dev/full", {}),
        ("2>&-", {}),
        ("<&- 2>&-", {}),
        ("2> >(:)", {"TERM": "nonsense", "COLUMNS": "abc", "LINES": "-1"}),
        ("", {"TERM": "", "COLUMNS": "1", "FORCE_COLOR": "1"}),
        ("2>/dev/full", {"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1", "COLUMNS": "0", "LINES": "0"}),
    ],
)
def test_progress_that_cannot_be_shown_ends_no_job(command_line, tmp_path, redirections, environment):
    code, out = shell(command_line, tmp_path, (*EVOLVE, "--json"), redirections, **environment)
    assert code == 0
    assert json.loads(out)["state"] == "succeeded"
    assert stand(tmp_path)[1:] == ("succeeded", 3)


@pytest.mark.parametrize("redirections", [">&-", "> >(:) 2>&-", "> /dev/full", ">&- 2>&- <&-"])
def test_a_result_that_cannot_be_printed_is_recorded(command_line, tmp_path, redirections):
    shell(command_line, tmp_path, EVOLVE, redirections)
    _, state, generation = stand(tmp_path)
    assert (state, generation) == ("succeeded", 3)


def test_a_terminal_that_goes_away_ends_no_job(command_line, tmp_path, undisturbed):
    """The window is closed: SIGHUP, and every write to it fails from then on."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        os.execv(command_line.script, [command_line.script, *LONG])
    while (now := stand(tmp_path)) is None or now[2] < 2:
        os.read(terminal, 10_000)  # a terminal that nobody reads holds up who writes
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) in (0, 1), "1: the result could not be printed"
    with open_store(f"sqlite:///{tmp_path}/record.db") as store:
        (job,) = store.jobs()
        assert job.state == "succeeded"
        assert essence(store.job(job.id).result) == essence(undisturbed)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="only Linux shows what a process has loaded")
@pytest.mark.parametrize(
    ("command", "library"),
    [
        *((LONG, library) for library in ("_multiarray_umath", "_pydantic_core", "_sqlite3", "llvmlite")),
        *((SERVE, library) for library in ("_multiarray_umath", "_pydantic_core", "_sqlite3")),
    ],
)
def test_ctrl_c_while_it_is_loaded(command_line, tmp_path, command, library):
    """The libraries are loaded one after the other, from the beginning of the process until its work begins."""
    with command_line.start(tmp_path, *command) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        while process.poll() is None and library not in maps.read_text():
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert process.returncode == 130 or (process.returncode == 0 and command[0] == "serve")
    assert "interrupted" in err or "Pausing" in err or command[0] == "serve"


@pytest.mark.parametrize("change", ["delete", "move the folder", "cut"])
def test_a_record_that_goes_away_under_a_job(command_line, tmp_path, change):
    folder = tmp_path / "records"
    folder.mkdir()
    arguments = [*LONG[:-1], "sqlite:///records/record.db"]
    with command_line.start(tmp_path, *arguments) as process:
        at_generation(process, folder, 2)
        if change == "delete":
            for file in folder.iterdir():
                file.unlink()
        elif change == "cut":
            os.truncate(folder / "record.db", 0)
        else:
            folder.rename(tmp_path / "renamed")
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "Traceback" not in err
    assert "while it was open, and nothing more can be kept in it" in err
    assert "--db sqlite:///ANOTHER.db" in err


def test_a_runner_whose_record_goes_away_ends(command_line, tmp_path):
    command_line.run(tmp_path, *LONG, "--detach")
    with command_line.start(tmp_path, "runner", "--workers", "1", "--db", RECORD) as process:
        at_generation(process, tmp_path, 1)
        (tmp_path / "record.db").unlink()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in err
    assert "was deleted or moved while it was open" in err


def test_a_record_that_is_held_for_longer_than_the_database_waits(command_line, tmp_path, undisturbed):
    """A backup, or a long upgrade: said once, and the job goes on by itself."""
    with command_line.start(tmp_path, *LONG, "--json") as process:
        at_generation(process, tmp_path, 1)
        holder = sqlite3.connect(tmp_path / "record.db", isolation_level=None, timeout=10)
        holder.execute("BEGIN IMMEDIATE")
        assert process.stderr is not None
        while "Trying again" not in process.stderr.readline():
            assert process.poll() is None
        holder.execute("ROLLBACK")
        holder.close()
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert essence(json.loads(out)) == essence(undisturbed)


def test_a_job_that_was_stopped_before_its_first_generation(here):
    done = here("evolve", "reward", *SMALL, "--time", "1e-9")
    assert done.code == 0
    assert "No rule was tried: the time was too short." in done.out
    assert "stayed finite" not in done.out


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_job_that_ended_without_a_result_has_none_to_be_shown(here, state):
    job = here("evolve", "reward", *SMALL, "--detach").out.strip()
    with open_store("sqlite:///ruleforge.db") as store:
        store.set_state(job, state, "for this test")
    done = here("resume", job)
    assert done.code == 2
    assert "stored result" not in done.err
    assert "without a result: submit its specification as a new job" in done.err
