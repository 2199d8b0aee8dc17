"""A peer as a child process that speaks one JSON object per line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.timing import Timing
from ruleforge.errors import RuleforgeError

ROOT = Path(__file__).resolve().parents[2]
# One core per figure: no library of a peer may start threads of its own.
SINGLE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


class NoPeer(RuleforgeError):  # noqa: N818 (a reason, not a fault)
    """A peer cannot be measured here; the text says why."""


class Peer:
    """A contender in a process of its own.

    The process first prints `{"extra": …}` or `{"absent": reason}`; for every line `measure` it then does its work once
    and prints `{"cpu": …, "wall": …, "units": …}`, seconds and units of work.
    """

    def __init__(
        self, name: str, note: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.note = name, note
        self._process = subprocess.Popen(
            list(command),
            cwd=ROOT,
            env={**os.environ, **SINGLE_THREAD, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            first = self._read()
        except NoPeer:
            self.close()
            raise
        if "absent" in first:
            self.close()
            raise NoPeer(first["absent"])
        self.extra: dict[str, Any] = first["extra"]

    def measure(self) -> Timing:
        """Let it work once."""
        answer = self.ask()
        return Timing(answer["cpu"] / answer["units"], answer["wall"] / answer["units"])

    def ask(self, message: str = "measure") -> dict[str, Any]:
        """Let it work once, on a message of one line, and return all that it says."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(message + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise NoPeer(f"{self.name} ended before it was measured") from None
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise NoPeer(f"{self.name} ended without an answer (exit code {self._process.wait()})")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
