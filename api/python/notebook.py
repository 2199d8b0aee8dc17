"""A running job in a notebook: one display that changes."""

from __future__ import annotations

import html
import io
import threading
from typing import Any

from rich.console import Console

from api.command_line.display import JobDisplay

# How often the display changes while nothing happens, in seconds.
EVERY_SECONDS = 1.0
COLUMNS = 110
LINES_SHOWN = 8
STYLE = "white-space: pre; overflow-x: auto; margin: 0"


class NotebookDisplay(JobDisplay):
    """Observer of a running job: what was said, the newest generation with its front, and what is waited for."""

    def __init__(self) -> None:
        super().__init__(
            Console(file=io.StringIO(), width=COLUMNS, highlight=False, force_jupyter=False), silence=EVERY_SECONDS
        )
        self._changing = True
        self._lines: list[str] = []
        self._shown: Any = None
        self._drawing = threading.Lock()

    def __exit__(self, *given: object) -> None:
        super().__exit__(*given)
        self._waiting_for = ""
        self._show()

    def say(self, line: str, style: str = "") -> None:
        """Another line; the oldest give way."""
        self._lines = [*self._lines, line][-LINES_SHOWN:]
        self._show()

    def _tick(self, silence: float) -> None:
        while not self._over.wait(silence):
            try:
                self._show()
            except Exception:  # noqa: BLE001 - what cannot be shown decides nothing about the job
                return

    def _show(self) -> None:
        from IPython.display import display

        with self._drawing:
            with self._console.capture() as captured:
                self._console.print(self._renderable())
            text = "\n".join([*self._lines, captured.get()]).strip()
            if not text:
                return
            forms = {"text/plain": text, "text/html": f'<pre style="{STYLE}">{html.escape(text)}</pre>'}
            if self._shown is None:
                self._shown = display(forms, raw=True, display_id=True)
            else:
                self._shown.update(forms, raw=True)
