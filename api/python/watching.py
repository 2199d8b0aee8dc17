"""How a job is watched from Python: whether it is shown, where, and what Ctrl-C does meanwhile."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from ruleforge import checked
from ruleforge.kernel.compilation import compilation
from ruleforge.search import Generation
from ruleforge.spec import JobSpec
from ruleforge.store import JobRecord
from workers.evaluators.interface import never
from workers.evolve import Observer
from workers.interface import Result, how_to_go_on

PAUSING = "Pausing: the generation in flight is dropped, everything before it is recorded (again to end at once) …"


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook. IPython is asked only where it runs already."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def interactive() -> bool:
    """Whether somebody sits at a prompt."""
    return in_notebook() or hasattr(sys, "ps1") or bool(sys.flags.interactive)


@dataclass(frozen=True)
class Watch:
    """observer: that of the job; stop: whether Ctrl-C asked to pause; say: shows a sentence, if anything is shown."""

    observer: Observer | None
    stop: Callable[[], bool]
    say: Callable[[str], None] | None

    def told(self, result: Result) -> Result:
        """The result, of which it is said how a job that is paused goes on."""
        if self.say is not None and result.state == "paused":
            self.say(how_to_go_on(result.job))
        return result


@contextmanager
def watched(progress: bool | None, observer: Observer | None) -> Iterator[Watch]:
    """Show a job, with `observer` beside, and let Ctrl-C pause it; where nothing is shown, Ctrl-C is Python's own."""
    progress = checked.optional_truth("progress", progress)
    if not (interactive() if progress is None else progress):
        yield Watch(observer, never, None)
        return
    with ExitStack() as shown:
        display = shown.enter_context(_display())
        before = compilation.tell(display.say)
        shown.callback(compilation.tell, before)
        stop = shown.enter_context(_pausing(display.say))
        yield Watch(display if observer is None else Both(display, observer), stop, display.say)


def _display() -> Any:
    if in_notebook():
        from api.python.notebook import NotebookDisplay

        return NotebookDisplay()
    from api.command_line.app import progress as standard_error
    from api.command_line.display import JobDisplay

    return JobDisplay(standard_error())


@contextmanager
def _pausing(say: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """While active, the first SIGINT asks for a pause and the second raises KeyboardInterrupt.

    Only the main thread is sent signals: elsewhere nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield never
        return
    asked = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        say(PAUSING)

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGINT, before)


class Both:
    """Two observers as one."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def on_start(self, job: JobRecord, spec: JobSpec) -> None:
        """Pass it on."""
        for each in self._observers:
            each.on_start(job, spec)

    def on_warning(self, message: str) -> None:
        """Pass it on."""
        for each in self._observers:
            each.on_warning(message)

    def on_generation(self, generation: Generation, seconds: float) -> None:
        """Pass it on."""
        for each in self._observers:
            each.on_generation(generation, seconds)

    def on_validation(self, n_rules: int, n_instances: int) -> None:
        """Pass it on."""
        for each in self._observers:
            each.on_validation(n_rules, n_instances)
