"""The page about the client keeps its word."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from api.client import Client, Job
from workers.export import FORMATS

PAGE = (Path(__file__).parents[3] / "docs" / "client.md").read_text(encoding="utf-8")


def test_the_example_runs(server, tmp_path):
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    code = example.replace("http://127.0.0.1:8000", server.url).replace("200}", "32}")
    assert code.count(server.url) == 1
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "generation" in done.stderr
    assert "def dw(" in done.stdout


def test_the_methods_are_those_of_the_tables():
    for named in set(re.findall(r"`(\w+)\([^`]*\)`", PAGE)) - {"Client", "Event"}:
        assert hasattr(Client, named) or hasattr(Job, named), named
    for owner in (Client, Job):
        public = [name for name in vars(owner) if not name.startswith("_")]
        assert [name for name in public if not re.search(rf"\b{name}\b", PAGE)] == []


def test_every_format_is_told():
    for name in FORMATS:
        assert f"| `{name}` |" in PAGE
