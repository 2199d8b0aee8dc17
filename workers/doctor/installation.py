"""Looks at what is installed: versions, packages, kernels and their cache, pictures."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

from ruleforge.family import family_class, family_names
from ruleforge.kernel.cache import SUFFIX, UntrustedError, read_checked
from ruleforge.kernel.version import cache_root, kernel_version
from ruleforge.packages import OURS, foreign_packages
from workers.doctor.findings import ACTION, NOTE, OK

Found = Iterator[tuple[str, str, str]]
SHOWN = ("ruleforge", "numpy", "numba", "dask", "distributed", "sqlalchemy")
# To compile the kernels of one family takes up to a minute on a slow machine.
KERNEL_SECONDS = 600
MEGABYTE = 1e6


def versions() -> Found:
    """Every package that ruleforge needs, in a version that it takes; the two halves of Dask alike."""
    installed, well = {}, True
    for text in importlib.metadata.requires("ruleforge") or ():
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = installed[requirement.name] = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            well = False
            yield ACTION, f"{requirement.name} is not installed", f"pip install '{requirement}'"
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            well = False
            yield ACTION, f"{requirement.name} is {version}, expected {requirement.specifier}", f"pip install '{text}'"
    dask, distributed = installed.get("dask"), installed.get("distributed")
    if dask != distributed and dask and distributed:
        well = False
        yield ACTION, f"dask is {dask} and distributed {distributed}", f"pip install 'distributed=={dask}'"
    if well:
        installed["ruleforge"] = importlib.metadata.version("ruleforge")
        shown = ", ".join(f"{name} {installed[name]}" for name in SHOWN)
        yield OK, f"Python {platform.python_version()}, {shown}", ""


def packages() -> Found:
    """Nothing takes the place of our packages, here or for a script that is started in the current folder."""
    well = True
    for name, place in foreign_packages().items():
        well = False
        yield ACTION, f"{place} takes the place of ruleforge's own package {name!r}", f"mv {place} another_name"
    owners = importlib.metadata.packages_distributions()
    for name in OURS:
        for other in sorted({*owners.get(name, ())} - {"ruleforge"}):
            well = False
            yield ACTION, f"the distribution {other!r} has a package {name!r} too", f"pip uninstall {other}"
        for beside in (Path(f"{name}.py"), Path(name, "__init__.py")):
            if beside.exists() and not beside.resolve().is_relative_to(Path(__file__).resolve().parents[2]):
                well = False
                yield (
                    NOTE,
                    f"a script that is started in this folder finds {beside} instead of ruleforge's {name!r}",
                    "",
                )
    if well:
        yield OK, "nothing takes the place of ruleforge's own", ""


def kernels(family: str) -> Callable[[], Found]:
    """A family's kernels compile, or load, and score its known rules: in a process of its own, which may crash."""

    def look() -> Found:
        script = f"import sys, tasks.warm_up; tasks.warm_up.warm_up({family!r})"
        done = subprocess.run(
            [sys.executable, "-c", script],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=KERNEL_SECONDS,
            check=False,
        )
        said = [line for line in done.stderr.splitlines() if line.strip()]
        if done.returncode == 0:
            yield OK, f"{family} {kernel_version(family_class(family).__module__)} scores its known rules", ""
            for line in said:
                yield NOTE, line.removeprefix("ruleforge: "), ""
            return
        how = f"ended by {signal.Signals(-done.returncode).name}" if done.returncode < 0 else (said or [""])[-1]
        yield ACTION, f"{family} does not work: {how}", f"rm -r {cache_root()}"

    return look


def cache() -> Found:
    """Compiled kernels can be kept, and those that are there are whole."""
    root, well = cache_root(), True
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        yield ACTION, "NUMBA_DISABLE_JIT is set: kernels cannot run uncompiled", "unset NUMBA_DISABLE_JIT"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root) as trial:
            trial.write(b"trial")
    except OSError as error:
        well = False
        yield (
            ACTION,
            f"{root} cannot be written ({error.strerror}): every process compiles anew",
            "export RULEFORGE_CACHE=FOLDER",
        )
    size, bad = 0, {}
    paths = list(root.glob(f"*/*{SUFFIX}"))
    for path in paths:
        try:
            size += path.lstat().st_size
            read_checked(path)
        except UntrustedError as why:
            bad[path] = str(why)
        except OSError as error:
            bad[path] = f"cannot be read ({error.strerror})"
    if bad:
        well = False
        first = next(iter(bad))
        text = (
            f"{len(bad)} of {len(paths)} compiled kernels in {root} are compiled anew when needed: {first} {bad[first]}"
        )
        yield NOTE, text, f"rm -r {' '.join(sorted({str(path.parent) for path in bad}))}"
    if well:
        yield OK, f"{root} holds {len(paths)} compiled kernels, {size / MEGABYTE:.1f} MB", ""


def pictures() -> Found:
    """A picture can be drawn."""
    from workers.pictures import rendered

    rendered(lambda figure: None, (1, 1), "svg")
    yield OK, "can be drawn", ""


def looks_at_kernels() -> dict[str, Callable[[], Found]]:
    """A look at each installed family."""
    return {f"kernels of {name}": kernels(name) for name in family_names()}
