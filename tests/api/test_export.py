"""`ruleforge export`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ruleforge.language import Rule
from workers.export import FORMATS


@pytest.fixture
def found(here, command_line):
    """The champion of a job in the current folder's record."""
    return here("evolve", "reward", "--generations", "2", *command_line.small, "--json").json["champion"]


def test_every_format(here, found):
    for name, format in FORMATS.items():
        plain, as_json = (here("export", found["id"][:8], "--format", name, *more) for more in ((), ("--json",)))
        assert plain.code == as_json.code == 0
        assert as_json.json["text"] == plain.out
        assert (as_json.json["media_type"], as_json.json["suffix"]) == (format.media_type, format.suffix)
    assert here("export", found["id"]).out == f"{found['rule']}\n"


def test_the_python_file_runs_and_has_the_parameters_of_the_job(here, found, tmp_path):
    text = here("export", "champion", "--format", "python").out
    assert "n_trials = 20: " in text
    assert "training fitness: " in text
    (tmp_path / "rule.py").write_text(text, encoding="utf-8")
    code = "import sys; sys.path.insert(0, '.'); from rule import dw; print(repr(float(dw(R=-1.0, E=0.3))))"
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(done.stdout) == float(Rule.parse(found["rule"], "reward").to_numpy()(R=-1.0, E=0.3))


def test_refusals(here, found):
    for arguments, sentence in (
        (("champion", "--format", "pdf"), "unknown format 'pdf': expected one of text, "),
        (("ffffffff",), "no rule 'ffffffff' in sqlite:///ruleforge.db"),
    ):
        done = here("export", *arguments)
        assert (done.code, done.out) == (2, "")
        assert sentence in done.err
