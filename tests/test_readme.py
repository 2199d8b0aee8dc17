"""README keeps its word: its Python runs, its commands and targets exist, its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs_as_it_stands(tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert len([line for line in example.splitlines() if line]) == 6
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "ruleforge.db").exists()
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.parametrize("command", sorted(set(re.findall(r"`ruleforge ([a-z]+)", TEXT))))
def test_commands_exist(command):
    script = Path(sys.executable).with_name("ruleforge")
    done = subprocess.run([script, command, "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_targets_and_links_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"`make ([a-z-]+)`", TEXT)) | set(re.findall(r"^make ([a-z-]+)", TEXT, re.MULTILINE)):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / link).exists(), link
    for script in re.findall(r"`python ([\w/]+\.py)", TEXT):
        assert (ROOT / script).exists(), script
