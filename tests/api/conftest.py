"""The command line as a process of its own, and called inside the test's process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ruleforge
from api.command_line.app import main

# A job that ends within a second.
SMALL = (
    *(
        "--set",
        "n_trials=20",
        "--set",
        "instances.training=2",
        "--set",
        "instances.validation=3",
        "--set",
        "instances.test=3",
    ),
    *("--set", "search.population=8", "--set", "search.offspring=8"),
)
# Long enough to be caught in the middle, short enough to be run twice.
MIDDLING = (
    *(
        "--set",
        "n_trials=100",
        "--set",
        "instances.training=4",
        "--set",
        "instances.validation=3",
        "--set",
        "instances.test=3",
    ),
    *("--set", "search.population=16", "--set", "search.offspring=16"),
)
MIDDLING_SEED = ("--seed", "8", "--generations", "20")


@dataclass(frozen=True)
class Done:
    """What a command left behind: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on standard output."""
        return json.loads(self.out)


class CommandLine:
    """The installed `ruleforge` script, as processes of their own."""

    small = SMALL
    script = Path(sys.executable).parent / "ruleforge"

    def start(self, folder: Path, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command in a folder."""
        environment = {name: value for name, value in os.environ.items() if name != "RULEFORGE_DB"}
        return subprocess.Popen(
            [self.script, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, folder: Path, *arguments: str) -> Done:
        """A command from its beginning to its end."""
        with self.start(folder, *arguments) as process:
            out, err = process.communicate(timeout=120)
        return Done(process.returncode, out, err)


@pytest.fixture(scope="session")
def command_line() -> CommandLine:
    """Commands as processes."""
    return CommandLine()


@pytest.fixture(scope="session")
def undisturbed() -> dict[str, Any]:
    """The result of the middling job, through the Python interface and in one go."""
    return ruleforge.evolve(
        "reward",
        db="sqlite://",
        seed=8,
        budget={"generations": 20},
        parameters={"n_trials": 100},
        instances={"training": 4, "validation": 3, "test": 3},
        search={"population": 16, "offspring": 16},
    ).raw


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """Commands in this process, which saves a second each; the current folder is a fresh one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RULEFORGE_DB", raising=False)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> Done:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["ruleforge", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    return call
