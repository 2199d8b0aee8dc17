"""On what machine, with what versions, under what load a figure was measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import time
from typing import Any

from benchmarks.c_limits import NoLimit, compiler_version
from benchmarks.peers.process import ROOT
from ruleforge.errors import RuleforgeError
from workers.versions import cpu_model

PACKAGES = ("ruleforge", "numpy", "numba", "llvmlite", "deap", "sqlalchemy", "nest-simulator")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def load() -> list[float]:
    """Load averages over 1, 5 and 15 minutes."""
    return [round(value, 2) for value in os.getloadavg()]


def description() -> dict[str, Any]:
    """Processor, cores, system, versions, commit, load, date."""
    try:
        gcc: str | None = compiler_version()
    except NoLimit:
        gcc = None
    return {
        "processor": cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in PACKAGES},
        "gcc": gcc,
        "commit": _git("rev-parse", "--short", "HEAD") + (" with changes" if _git("status", "--porcelain") else ""),
        "date": time.strftime("%Y-%m-%d"),
        "load": load(),
    }


def use_one_core() -> None:
    """Stay on one core, child processes included, where the system knows of such a thing."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def use_cores(n: int) -> bool:
    """Stay on n cores; False if the machine does not have as many."""
    if (os.cpu_count() or 1) < n:
        return False
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(range(n)))
        if len(os.sched_getaffinity(0)) < n:
            raise RuleforgeError(f"expected {n} cores to be free to use, and the system gives fewer: ask for more")
    return True
