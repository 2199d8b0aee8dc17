"""`ruleforge doctor` finds what is broken, names the remedy, and goes on to the next."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from ruleforge.kernel.cache import write_checked
from tests.ports import free_port

QUICK = ("doctor", "--no-kernels", "--json")


@pytest.fixture
def look(command_line, tmp_path):
    """Findings by area, of a folder and an environment; the exit code is what they say."""

    def call(*arguments: str, quick: bool = True, **environment: str) -> dict[str, list[dict[str, str]]]:
        settings = {name: value for name, value in os.environ.items() if name != "RULEFORGE_DB"}
        done = subprocess.run(
            [command_line.script, *(QUICK if quick else ("doctor", "--json")), "--port", str(free_port()), *arguments],
            cwd=tmp_path,
            env=settings | {"RULEFORGE_CACHE": str(tmp_path / "cache")} | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stderr == ""
        found = json.loads(done.stdout)
        actions = sum(finding["state"] == "action" for finding in found["findings"])
        assert found["actions"] == actions
        assert done.returncode == (1 if actions else 0)
        areas: dict[str, list[dict[str, str]]] = {}
        for finding in found["findings"]:
            areas.setdefault(finding["area"], []).append(finding)
        assert {"versions", "packages", "cache", "pictures", "record", "port", "disk", "clock"} <= areas.keys()
        return areas

    return call


def states(found: list[dict[str, str]]) -> set[str]:
    return {finding["state"] for finding in found}


def the(found: list[dict[str, str]], state: str) -> dict[str, str]:
    return next(finding for finding in found if finding["state"] == state)


@pytest.fixture
def record(command_line, tmp_path) -> Path:
    done = command_line.run(tmp_path, "evolve", "reward", "--generations", "1", *command_line.small)
    assert done.code == 0, done.err
    return tmp_path / "ruleforge.db"


def test_where_all_is_well_nothing_is_to_be_done(look, record):
    areas = look()
    assert all(states(found) <= {"ok", "note"} for found in areas.values())
    assert the(areas["record"], "ok")["text"].startswith("sqlite:///ruleforge.db is whole: 1 jobs, ")
    assert "numba" in the(areas["versions"], "ok")["text"]


def test_a_record_that_is_not_there_is_a_note(look, tmp_path):
    found = the(look()["record"], "note")
    assert found["remedy"] == "ruleforge evolve reward --db sqlite:///ruleforge.db"
    assert not (tmp_path / "ruleforge.db").exists()


def damage(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        for place in range(4096, size, 8192):
            file.seek(place)
            file.write(b"\xff" * 2000)


def other_file(path: Path) -> None:
    path.write_text("no database at all, " * 200)


def older_schema(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.commit()


def test_a_record_of_an_older_schema_is_to_be_upgraded(look, record):
    older_schema(record)
    assert the(look()["record"], "action")["remedy"] == "ruleforge db upgrade --db sqlite:///ruleforge.db"


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("fault", [damage, other_file, folder])
def test_a_record_that_cannot_be_used_needs_an_action(look, record, fault):
    for suffix in ("-wal", "-shm"):
        Path(f"{record}{suffix}").unlink(missing_ok=True)
    fault(record)
    assert the(look()["record"], "action")["text"]


def test_a_job_whose_process_died_and_rules_without_a_family(look, record):
    with closing(sqlite3.connect(record)) as connection:
        connection.execute("UPDATE rules SET task = 'oja' WHERE number = (SELECT min(number) FROM rules)")
        connection.execute("UPDATE jobs SET state = 'running'")
        connection.execute("DELETE FROM leases")
        connection.commit()
    found = look()["record"]
    assert "'oja'" in the(found, "note")["text"]
    with closing(sqlite3.connect(record)) as connection:
        connection.execute(
            "INSERT INTO leases (job, token, host, machine, process, started, heartbeat) "
            "SELECT number, 't', 'elsewhere', '', 1, '', '2026-01-01 00:00:00.000000' FROM jobs"
        )
        connection.execute("INSERT INTO queue (job, priority) SELECT number, 0 FROM jobs")
        connection.commit()
    action = the(look()["record"], "action")
    assert "have died" in action["text"]
    assert action["remedy"] == "ruleforge runner --until-idle --db sqlite:///ruleforge.db"


def test_a_damaged_cache_is_a_note_and_one_that_cannot_be_written_an_action(look, tmp_path):
    kernels = tmp_path / "cache" / "kernels-0"
    kernels.mkdir(parents=True)
    write_checked(kernels / "a.nbc", b"code")
    assert states(look()["cache"]) == {"ok"}
    (kernels / "a.nbc").write_bytes(b"code")
    note = the(look()["cache"], "note")
    assert "is damaged" in note["text"]
    assert note["remedy"] == f"rm -r {kernels}"
    (tmp_path / "file").write_text("")
    action = the(look(RULEFORGE_CACHE=str(tmp_path / "file" / "cache"))["cache"], "action")
    assert action["remedy"] == "export RULEFORGE_CACHE=FOLDER"
    assert "NUMBA" in the(look(NUMBA_DISABLE_JIT="1")["cache"], "action")["text"]


def test_files_and_distributions_that_are_in_the_way(look, tmp_path):
    (tmp_path / "tasks.py").write_text("")
    assert "tasks.py" in the(look()["packages"], "note")["text"]
    elsewhere = tmp_path / "elsewhere"
    metadata = elsewhere / "other-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1\n")
    (metadata / "top_level.txt").write_text("workers\n")
    action = the(look(PYTHONPATH=str(elsewhere))["packages"], "action")
    assert "'other'" in action["text"]
    assert action["remedy"] == "pip uninstall other"


def test_a_version_that_does_not_fit(look, tmp_path):
    for name, version in (("distributed", "2020.1"), ("numba", "0.1")):
        metadata = tmp_path / "old" / f"{name}-{version}.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    found = look(PYTHONPATH=str(tmp_path / "old"))["versions"]
    said = " ".join(finding["text"] for finding in found)
    assert states(found) == {"action"}
    assert "numba is 0.1, expected >=" in said
    assert "distributed 2020.1" in said


def test_a_port_that_is_taken(look):
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        found = the(look("--port", str(listener.getsockname()[1]))["port"], "note")
    assert found["remedy"] == "ruleforge serve --port 0"


def test_a_service_and_a_scheduler_that_do_not_answer(look):
    port = free_port()
    areas = look("--server", f"http://127.0.0.1:{port}", "--scheduler", "nonsense")
    assert "no service answers" in the(areas["server"], "action")["text"]
    assert "expected 'local'" in the(areas["scheduler"], "action")["text"]


def test_an_encoding_without_our_characters_and_a_proxy(look):
    areas = look(PYTHONIOENCODING="latin-1", HTTP_PROXY="http://proxy:1")
    assert the(areas["encoding"], "note")["remedy"] == "export PYTHONUTF8=1"
    assert "(http)" in the(areas["proxies"], "note")["text"]


def test_kernels_of_every_family_run_in_processes_of_their_own(look, tmp_path):
    metadata = tmp_path / "plugin" / "crashing-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: crashing\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[ruleforge.tasks]\ncrashing = crashing:Family\n")
    (tmp_path / "plugin" / "crashing.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    areas = look(
        quick=False, PYTHONPATH=str(tmp_path / "plugin"), RULEFORGE_CACHE=os.environ.get("RULEFORGE_CACHE", "")
    )
    assert "ended by SIGSEGV" in the(areas["kernels of crashing"], "action")["text"]
    for name in ("correlation", "reward", "supervised"):
        assert the(areas[f"kernels of {name}"], "ok")
