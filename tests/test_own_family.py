"""The page "your own family": its code is the example's, and the example works once it is installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs/your-own-family.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples/oja"
MAX_LINES_OF_CODE = 80


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The environment of a process: beside ruleforge, the text of the page, installed by its entry point."""
    folder = tmp_path_factory.mktemp("own_family")
    source, installed = folder / "source", folder / "installed"
    source.mkdir()
    (source / "oja.py").write_text(code_blocks("python")[0], encoding="utf-8")
    (source / "pyproject.toml").write_text(code_blocks("toml")[0], encoding="utf-8")
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(installed), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"building without network needs setuptools ≥ 77 in this environment:\n{done.stderr}"
    path = os.pathsep.join([str(installed), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "RULEFORGE_CACHE": str(folder / "cache"), "COLUMNS": "200"}


def run(environment, *arguments: str) -> str:
    command = [sys.executable, "-m", *arguments]
    if arguments[0] == "ruleforge":
        command = [str(Path(sys.executable).with_name("ruleforge")), *arguments[1:]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout


def test_the_page_holds_the_example_and_the_example_is_short():
    (module,) = code_blocks("python")
    assert module == (EXAMPLE / "oja.py").read_text(encoding="utf-8")
    assert code_blocks("toml") == [(EXAMPLE / "pyproject.toml").read_text(encoding="utf-8")]
    assert len(module.splitlines()) <= MAX_LINES_OF_CODE


def test_the_commands_of_the_page_exist():
    (commands,) = code_blocks("sh")
    for command in commands.splitlines():
        program, *rest = command.split()
        if program == "ruleforge":
            run(dict(os.environ), "ruleforge", rest[0], "--help")
        else:
            assert command in ("pip install ./examples/oja", "python -m ruleforge.conformance oja")


def test_the_installed_family_keeps_the_contract(environment):
    said = run(environment, "ruleforge.conformance", "oja", "--set", "n_samples=100")
    assert said == "oja keeps the contract of task families\n"


def test_the_installed_family_is_listed(environment):
    (described,) = json.loads(run(environment, "ruleforge", "tasks", "oja", "--json"))["tasks"]
    assert [signal["symbol"] for signal in described["slots"][0]["signals"]] == ["x", "y", "w"]
    assert {rule["name"] for rule in described["known_rules"]} == {"Oja's rule", "Hebb's rule"}


def test_known_rules_do_what_the_page_says(environment):
    """Hebb's rule finds the direction and explodes; Oja's keeps the length."""
    rules = ["y*(x - y*w)", "y*x", "0*w"]
    options = [part for rule in rules for part in ("--rule", rule)]
    said = json.loads(
        run(environment, "ruleforge", "evaluate", "oja", *options, "--split", "validation", "--n", "20", "--json")
    )
    oja, hebb, none = said["evaluations"]
    assert (oja["known_as"], hebb["known_as"], none["known_as"]) == ("Oja's rule", "Hebb's rule", None)
    assert oja["mean"] > 0.98
    assert 0.4 < hebb["mean"] < 0.7
    assert none["mean"] < hebb["mean"]


def test_rules_evolve_on_the_installed_family(environment, tmp_path):
    database = f"sqlite:///{tmp_path}/record.db"
    options = ["--seed", "3", "--generations", "6", "--workers", "1", "--db", database, "--json"]
    result = json.loads(run(environment, "ruleforge", "evolve", "oja", *options))
    assert result["state"] == "succeeded"
    assert result["generations"] == 6
    assert result["champion"]["fitness"] > 0.5, "Hebb's rule has three nodes and is tried early"
    assert all(item["rule"] for item in result["front"])
    (job,) = json.loads(run(environment, "ruleforge", "jobs", "--db", database, "--json"))["jobs"]
    assert job["task"] == "oja"


def test_what_is_not_installed_is_not_known():
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-m", "ruleforge.conformance", "oja"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "unknown task 'oja'" in done.stderr
