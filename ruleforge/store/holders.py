"""Which process holds a job: how it is named, and how another process on the same machine sees that it is gone."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

# The state that Linux shows for a process that has ended and that nobody has asked about yet.
_ENDED = ("Z", "X")


@dataclass(frozen=True)
class Holder:
    """A process.

    host: the machine's name for people; machine: what tells this boot and process namespace from every other, "" if
    unknown; process: its id; started: when, in the system's own count, so that a recycled id is not mistaken; "" if
    unknown.
    """

    host: str
    machine: str
    process: int
    started: str

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


def this_process() -> Holder:
    """The process that asks."""
    process = os.getpid()
    return Holder(platform.node() or "localhost", _machine(), process, _status(process)[1])


def is_gone(holder: Holder) -> bool:
    """Whether the process has certainly ended: False also where that cannot be known from here."""
    if not holder.machine or holder.machine != _machine():
        return False
    state, started = _status(holder.process)
    return not state or state in _ENDED or started != holder.started


def _machine() -> str:
    """Boot and process namespace: two containers may share a name and have other processes under the same ids."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""  # not Linux: a process is gone when its heartbeat ends


def _status(process: int) -> tuple[str, str]:
    """State and start time of a process in ticks since boot, from the Linux process table; ("", "") if there is none.

    Fields 3 and 22 of /proc/PID/stat (proc(5)); the second, a name in brackets, may hold anything.
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return "", ""
    return fields[0], fields[19]
