"""Whether two processes would give the same scores: what they have in common, said as sentences where they differ."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from collections.abc import Mapping

from ruleforge.errors import InputError
from ruleforge.kernel.version import kernel_version
from workers.versions import cpu_model

# Under this name the scheduler keeps the facts of the cluster, for workers that want to join.
METADATA = "ruleforge"
# A difference in one of these is refused: the kernels differ, or the processes may not understand one another.
REFUSED = ("ruleforge", "kernel", "numba", "numpy", "python", "distributed")
# A difference in one of these may change the last bits of a score, and is warned about.
WARNED = ("cpu", "cpu features")


@functools.cache
def facts() -> Mapping[str, str]:
    """What the scores of this process depend on beside its input, by name."""
    # Not imported on top: the command line reads this module for its help, and llvmlite takes its time.
    from llvmlite import binding

    packages = {name: importlib.metadata.version(name) for name in ("ruleforge", "numba", "numpy", "distributed")}
    return {
        **packages,
        "kernel": kernel_version("ruleforge.kernel.version"),
        "python": ".".join(platform.python_version_tuple()[:2]),
        "cpu": cpu_model(),
        "cpu features": binding.get_host_cpu_features().flatten(),
    }


def reported_facts() -> dict[str, str]:
    """The facts of a worker, asked for by name from another process."""
    return dict(facts())


def refusals(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """Differences that forbid working together, each naming both versions: "numpy is 2.1 here and 2.2 there"."""
    return [
        f"{name} is {ours[name]} here and {theirs.get(name, 'missing')} there"
        for name in REFUSED
        if ours[name] != theirs.get(name)
    ]


def cautions(ours: Mapping[str, str], theirs: Mapping[str, str]) -> list[str]:
    """Differences that are allowed and may change the last bits of a score."""
    found = []
    if ours["cpu"] != theirs.get("cpu"):
        found.append(f"the processor is {ours['cpu']!r} here and {theirs.get('cpu')!r} there")
    here, there = (set(side.get("cpu features", "").split(",")) for side in (ours, theirs))
    # llvmlite writes every feature with + or −, so each difference appears on both sides.
    differing = sorted({feature.lstrip("+-") for feature in here ^ there if feature})
    if differing:
        found.append(f"the processors differ in {', '.join(differing)}")
    return found


def refuse_to_join(address: str, theirs: Mapping[str, str]) -> None:
    """Raise InputError unless a process of these facts may join the cluster at `address`, whose facts are `theirs`."""
    if found := refusals(facts(), theirs):
        raise InputError(
            f"this worker does not fit the cluster at {address}: {'; '.join(found)}. "
            "Install the same versions on both sides, then start the scheduler and its workers anew"
        )
