"""Compiled kernels are cached on disk, and an edit of anything that they are made of is noticed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ruleforge.kernel.compiler import SIMULATION_FLAGS
from ruleforge.kernel.interpreter import interpret
from ruleforge.kernel.version import cache_root, kernel_version, source_digest

FACTOR = """
from ruleforge.kernel.compiler import kernel

@kernel(inline=True)
def factor(x):
    return 2.0 * x
"""
USES_FACTOR = """
from ruleforge.kernel.compiler import kernel
from plasticity.parts.factor import factor

@kernel()
def doubled(x):
    return factor(x) + 1.0
"""
SAY = """
from plasticity.kernels import doubled
print(doubled(10.0), sum(doubled.stats.cache_hits.values()))
"""


@pytest.fixture
def package(tmp_path):
    """A package of two files: a kernel, and a compiled function that it calls from a folder below."""
    folder = tmp_path / "plasticity"
    (folder / "parts").mkdir(parents=True)
    for place in (folder, folder / "parts"):
        (place / "__init__.py").write_text("")
    (folder / "parts" / "factor.py").write_text(FACTOR)
    (folder / "kernels.py").write_text(USES_FACTOR)
    return folder


def say(package: Path, script: str = SAY) -> list[str]:
    environment = os.environ | {"PYTHONPATH": str(package.parent), "RULEFORGE_CACHE": str(package.parent / "cache")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    return done.stdout.split()


def rewrite(file: Path, before: str, after: str) -> None:
    """Edit a file without changing its size or time, which is what caches look at."""
    was = file.stat()
    text = file.read_text()
    assert before in text
    assert len(before) == len(after)
    file.write_text(text.replace(before, after))
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


def test_kernels_come_from_the_cache_until_something_is_edited(package):
    assert say(package) == ["21.0", "0"]
    assert say(package) == ["21.0", "1"]
    for bytecode in (package / "parts").rglob("*.pyc"):
        bytecode.unlink()
    rewrite(package / "parts" / "factor.py", "2.0", "3.0")
    assert say(package) == ["31.0", "0"]
    (package / "parts" / "unused.py").write_text("")
    assert say(package) == ["31.0", "0"]
    assert len(list((package.parent / "cache").iterdir())) == 3


def test_version_covers_the_whole_package(package):
    script = """
import plasticity.kernels, plasticity.parts.factor, ruleforge.kernel.interpreter
from ruleforge.kernel.version import kernel_version
modules = ("plasticity", "plasticity.kernels", "plasticity.parts", "plasticity.parts.factor")
print(len({kernel_version(module) for module in modules}))
print(kernel_version("plasticity"), kernel_version("ruleforge.kernel.interpreter"))
"""
    n_versions, theirs, ours = say(package, script)
    assert n_versions == "1"
    assert theirs != ours
    assert ours == kernel_version("ruleforge.kernel.interpreter")


def test_a_module_by_itself_is_its_own_package(tmp_path):
    (tmp_path / "plasticity").mkdir()
    (tmp_path / "alone.py").write_text("import math\n")
    script = "import alone; from ruleforge.kernel.version import kernel_version; print(kernel_version('alone'))"
    before = say(tmp_path / "plasticity", script)
    (tmp_path / "beside.py").write_text("import math\n")
    assert say(tmp_path / "plasticity", script) == before
    (tmp_path / "alone.py").write_text("import cmath\n")
    assert say(tmp_path / "plasticity", script) != before


def test_digest_sees_contents_names_and_places(tmp_path):
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "a.py").write_text("1")
    digests = [source_digest(folder)]
    (folder / "a.py").write_text("2")
    digests.append(source_digest(folder))
    (folder / "a.py").rename(folder / "b.py")
    digests.append(source_digest(folder))
    (folder / "below").mkdir()
    (folder / "b.py").rename(folder / "below" / "b.py")
    digests.append(source_digest(folder))
    (folder / "below" / "c.py").write_text("")
    digests.append(source_digest(folder))
    assert len(set(digests)) == len(digests)
    (folder / "notes.txt").write_text("no source")
    assert source_digest(folder) == digests[-1]
    moved = tmp_path / "elsewhere" / "package"
    moved.parent.mkdir()
    folder.rename(moved)
    assert source_digest(moved) == digests[-1]


def test_the_cache_goes_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("RULEFORGE_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv("RULEFORGE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_root() == tmp_path / "cache" / "ruleforge"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_root() == Path.home() / ".cache" / "ruleforge"


def test_rules_run_in_plain_arithmetic_without_the_global_lock():
    options = interpret.targetoptions
    assert options["nogil"] is True
    assert options["fastmath"] is False
    assert options["error_model"] == "numpy"


def test_simulations_may_never_assume_away_what_is_not_finite():
    assert not {"nnan", "ninf", "fast"} & SIMULATION_FLAGS
