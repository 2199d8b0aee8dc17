"""Ctrl-C as a request: the first one pauses the job cleanly, the second one ends the process at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from api.command_line.display import note


class Interrupts:
    """While active, SIGINT and SIGTERM set `requested` and say `notice`; a second signal raises KeyboardInterrupt.

    SIGHUP is ignored: a terminal that is closed only watched.
    """

    def __init__(self, notice: str) -> None:
        self._notice = notice
        self._event = threading.Event()

    def requested(self) -> bool:
        """A stop was asked for."""
        return self._event.is_set()

    def __enter__(self) -> Interrupts:
        self._before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        if hasattr(signal, "SIGHUP"):  # not on Windows
            self._before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._event.is_set():
            raise KeyboardInterrupt
        self._event.set()
        note(self._notice)
