"""Jobs that are interrupted or killed go on to the same end as an undisturbed one."""

from __future__ import annotations

import signal
import sqlite3
import time
from pathlib import Path

import pytest

from ruleforge.store import open_store
from tests.api.conftest import MIDDLING, MIDDLING_SEED

JOB = ("evolve", "reward", *MIDDLING_SEED, *MIDDLING, "--workers", "2")
RECORD = "sqlite:///record.db"


def essence(result: dict) -> dict:
    return {name: value for name, value in result.items() if name not in ("job", "seconds")}


def stand(folder) -> tuple[str, str, int] | None:
    """Id, state and generation of the only job of a record that another process writes."""
    if not (folder / "record.db").exists():
        return None
    connection = sqlite3.connect(f"file:{folder}/record.db?mode=ro", uri=True, timeout=5)
    try:
        return connection.execute("SELECT id, state, generation FROM jobs").fetchone()
    except sqlite3.OperationalError:  # not made yet
        return None
    finally:
        connection.close()


def at_generation(process, folder, generation: int) -> str:
    """Wait until the job of a process has committed so many generations; its id."""
    while process.poll() is None:
        now = stand(folder)
        if now is not None and now[2] >= generation:
            assert now[1] == "running"
            return now[0]
        time.sleep(0.01)
    pytest.fail(f"the job ended before it could be disturbed: {process.communicate()}")


def wait_until_it_listens(process) -> None:
    """Until a process has a handler for SIGTERM, which is set together with that for Ctrl-C."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        caught = next(line for line in status.read_text().splitlines() if line.startswith("SigCgt:"))
        if int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.01)
    pytest.fail(f"the command ended before it could be disturbed: {process.communicate()}")


def test_ctrl_c_and_kill_change_neither_history_nor_result(command_line, tmp_path, undisturbed):
    # Ctrl-C: paused, with exit code 130 and what to do next.
    with command_line.start(tmp_path, *JOB, "--db", RECORD, "--json") as process:
        job = at_generation(process, tmp_path, 1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert f"Go on with: ruleforge resume {job} --db {RECORD}" in err
    with open_store(f"sqlite:///{tmp_path}/record.db") as store:
        paused = store.job(job)
        assert (paused.state, paused.result) == ("paused", None)
        assert 1 <= paused.generation < 20
        assert len(store.generations(job)) == paused.generation
    assert f'"job": "{job}"' in out
    assert '"state": "paused"' in out

    # kill -9 of the process that goes on: everything up to the last generation is there.
    with command_line.start(tmp_path, "resume", job, "--db", RECORD, "--json") as process:
        at_generation(process, tmp_path, paused.generation + 1)
        process.kill()
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    _, state, generation = stand(tmp_path)
    assert state == "running"
    assert paused.generation + 1 <= generation < 20

    # To its end, with another number of workers.
    done = command_line.run(tmp_path, "resume", job, "--db", RECORD, "--workers", "1", "--json")
    assert done.code == 0, done.err
    assert "resumed" in done.err
    assert essence(done.json) == essence(undisturbed)


def test_a_request_to_end_pauses_too(command_line, tmp_path):
    """SIGTERM, as from a scheduler or a shutdown."""
    with command_line.start(tmp_path, *JOB, "--db", RECORD) as process:
        job = at_generation(process, tmp_path, 1)
        process.terminate()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "Pausing" in err
    assert "Traceback" not in err
    assert stand(tmp_path)[:2] == (job, "paused")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="only Linux shows which signals a process handles")
@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_while_rules_are_evaluated(command_line, tmp_path, workers):
    arguments = ("evaluate", "reward", "--rule", "R*E", "--n", "100000", "--set", "n_trials=20", "--workers", workers)
    with command_line.start(tmp_path, *arguments) as process:
        wait_until_it_listens(process)
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out) == (130, "")
    assert "Stopping" in err
    assert "Traceback" not in err
