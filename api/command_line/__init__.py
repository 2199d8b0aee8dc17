"""The command line: `ruleforge …`. Nothing heavy is imported here, so that Ctrl-C is heeded from the first moment."""

from __future__ import annotations

import atexit
import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` is no light import
    from types import FrameType
    from typing import Any, NoReturn

__all__ = ["main"]

# As `api.command_line.app` has it, which takes a while to import.
_INTERRUPTED = 130
_SAID = b"ruleforge: interrupted\n"


def main() -> NoReturn:
    """Run the command line as a process of its own: `app.main`, with Ctrl-C heeded at any moment."""
    heeded = signal.getsignal(signal.SIGINT) is not signal.SIG_IGN  # a shell starts `ruleforge … &` with it ignored
    if heeded:
        signal.signal(signal.SIGINT, _end)
        sys.unraisablehook = _unraisable
        # When the interpreter puts itself away all is done and said. What is registered first is called last.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    from api.command_line import app

    try:
        app.main(lambda: heeded and signal.signal(signal.SIGINT, _interrupt))
    finally:
        if heeded:
            signal.signal(signal.SIGINT, _end)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    """Ctrl-C before there is anything to put in order, or after, or again: the record is whole at any moment."""
    try:
        os.write(2, _SAID)
    finally:  # also where nobody listens
        os._exit(_INTERRUPTED)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """The first Ctrl-C of a command that has no other way to stop."""
    signal.signal(signal.SIGINT, _end)
    raise KeyboardInterrupt


def _unraisable(unraisable: Any) -> None:
    """Where Python cannot raise, such as in the end of an object, Ctrl-C ends the process too."""
    if isinstance(unraisable.exc_value, KeyboardInterrupt):
        _end(signal.SIGINT, None)
    sys.__unraisablehook__(unraisable)
