"""Files of users that bear the names of our packages: a sentence that says which, and no traceback of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ruleforge.packages import OURS, foreign_packages

SCRIPT = Path(sys.executable).parent / "ruleforge"


def file(folder: Path, name: str) -> Path:
    place = folder / f"{name}.py"
    place.write_text("answer = 42\n")
    return place


def package(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    place = folder / name / "__init__.py"
    place.write_text("")
    return place


def link(folder: Path, name: str) -> Path:
    (folder / "elsewhere").mkdir()
    (folder / "elsewhere" / "__init__.py").write_text("")
    (folder / name).symlink_to(folder / "elsewhere")
    return folder / name / "__init__.py"


def broken(folder: Path, name: str) -> Path:
    place = folder / f"{name}.py"
    place.write_text("this is no Python\n")
    return place


def run(*command: str | Path, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_all_packages_are_ours_here():
    assert foreign_packages() == {}


@pytest.mark.parametrize("kind", [file, package, link, broken])
@pytest.mark.parametrize("name", OURS)
def test_the_command_says_what_is_in_the_way(tmp_path, name, kind):
    place = kind(tmp_path, name)
    done = run(SCRIPT, "tasks", folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"ruleforge: {place} takes the place of ruleforge's own package {name!r}: rename it")
    assert run(SCRIPT, "--version", folder=tmp_path).returncode == 0  # the current folder alone does not matter


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize(
    "script",
    [
        "import ruleforge; ruleforge.evaluate('reward', 'R*E', n=1)",
        "from ruleforge import evolve",
        "from ruleforge import Client",
    ],
)
def test_a_script_ends_with_the_sentence(tmp_path, name, script):
    place = file(tmp_path, name)
    (tmp_path / "script.py").write_text(script)
    done = run(sys.executable, "script.py", folder=tmp_path)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"ruleforge.packages.ForeignPackageError: {place} takes the place of")


def test_a_script_that_is_called_tasks(tmp_path):
    (tmp_path / "tasks.py").write_text("from ruleforge.family import family_class\nfamily_class('reward')\n")
    done = run(sys.executable, "tasks.py", folder=tmp_path)
    assert f"{tmp_path}/tasks.py takes the place of" in done.stderr.splitlines()[-1]


def test_what_needs_none_of_them_works_beside_them(tmp_path):
    for name in OURS:
        file(tmp_path, name)
    script = "import ruleforge; print(ruleforge.InputError.__name__, ruleforge.__version__)"
    assert run(sys.executable, "-c", script, folder=tmp_path).stdout.startswith("InputError")


def test_a_family_that_cannot_be_loaded_is_a_sentence(tmp_path):
    metadata = tmp_path / "broken-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[ruleforge.tasks]\nbroken = no_such_module:Family\n")
    done = run(SCRIPT, "tasks", "broken", folder=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.startswith("ruleforge: the task family 'broken' cannot be loaded from no_such_module:Family,")
    assert len(done.stderr.splitlines()) == 1
