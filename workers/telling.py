"""Telling a user what happens: it may fail in any way, and nothing that is told about may."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any


def say(message: str) -> None:
    """A line on standard error, where there is one that can be written."""
    # ValueError: the file object was closed; AttributeError: the process was started without standard error.
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"{message}\n")
        sys.stderr.flush()


def harmless(told: Callable[..., None], what: str, complain: Callable[[str], None] = say) -> Callable[..., None]:
    """The same, dropping whatever it raises; the first of it is said, as of `what`.

    Ctrl-C and a request to exit, which may come while it runs, go through.
    """
    complained = False

    def call(*arguments: Any, **named: Any) -> None:
        nonlocal complained
        try:
            told(*arguments, **named)
        except Exception as error:  # noqa: BLE001 - a terminal that has gone, a notebook's widget, a mistake of a user
            if not complained:
                complained = True
                with suppress(Exception):
                    complain(f"{what} could not be shown, and the job goes on: {type(error).__name__}: {error}")

    return call
