"""What the numbers of a job depend on beside its specification; recorded with each job."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from ruleforge.family import TaskFamily
from ruleforge.kernel.version import kernel_version

# Of the packages that are loaded, so that it cannot change while this process lives.
_version = functools.cache(importlib.metadata.version)


@functools.cache
def cpu_model() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux: the platform's own words will do
    return platform.processor() or platform.machine()


def versions(family: TaskFamily) -> dict[str, Any]:
    """Package, kernel, family, Python and processor behind a score."""
    return {
        "ruleforge": _version("ruleforge"),
        "kernel": kernel_version(type(family).__module__),
        "family": family.version,
        "python": platform.python_version(),
        "numpy": _version("numpy"),
        "cpu": cpu_model(),
    }


def differences(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What changed between two machines or times that may change the last bits of a score, as sentences."""
    return [
        f"{name} was {then[name]!r} when the job began and is {now[name]!r} now"
        for name in ("kernel", "family", "cpu")
        if name in then and then[name] != now.get(name)
    ]


def context(family: TaskFamily) -> str:
    """Under which a score holds beside rule and instance: family, version, parameters and kernels."""
    return f"{family.parameters_digest}{kernel_version(type(family).__module__)}"
