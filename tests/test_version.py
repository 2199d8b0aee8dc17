"""The version stands in one place, and is told without loading what a search needs."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import ruleforge

ROOT = Path(__file__).parent.parent
HEAVY = ("numba", "numpy", "sqlalchemy", "sympy", "distributed", "fastapi", "matplotlib", "pydantic", "deap")
LOADED = "; ".join(["import sys", "loaded = set(sys.modules)", f"assert not loaded & set({HEAVY!r}), loaded"])


def version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def test_python_and_command_line_tell_the_version_of_the_project():
    assert ruleforge.__version__ == version()
    assert "__version__" in dir(ruleforge)
    said = subprocess.run(
        [sys.executable, "-m", "api.command_line", "--version"], capture_output=True, text=True, check=False
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, f"ruleforge {version()}\n", "")


@pytest.mark.parametrize(
    "asked",
    [
        "import ruleforge; ruleforge.__version__",
        "import sys; from api.command_line import main; sys.argv[1:] = ['--version']\ntry: main()\n"
        "except SystemExit as end: assert end.code == 0",
    ],
)
def test_nothing_heavy_is_loaded_for_it(asked):
    done = subprocess.run([sys.executable, "-c", f"{asked}\n{LOADED}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
