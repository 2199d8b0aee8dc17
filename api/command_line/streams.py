"""Standard output and standard error as they are: in any encoding, full, closed, or with nobody who reads them."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress

from ruleforge.errors import RuleforgeError
from ruleforge.passwords import hide_passwords

INPUT, OUTPUT, ERROR = range(3)


class OutputLostError(RuleforgeError):
    """What a command prints does not arrive."""


class _Output(io.FileIO):
    """Standard output, whose faults no library takes for one of its own, or for none."""

    def write(self, content: object) -> int:
        """Of the buffer above."""
        try:
            return super().write(content)  # type: ignore[arg-type]
        except OSError as error:
            raise OutputLostError(f"standard output cannot be written: {error.strerror}") from None


def prepare_streams() -> None:
    """Replace characters that standard output cannot write, and fill the places of streams that are closed.

    A file that is opened later would otherwise take the place of a closed stream, and what others write there.
    """
    for place in (INPUT, OUTPUT, ERROR):
        try:
            os.fstat(place)
        except OSError:
            # Standard output can only be read, so that what is written there fails and is noticed.
            os.open(os.devnull, os.O_WRONLY if place == ERROR else os.O_RDONLY)
    if sys.stderr is None:
        sys.stderr = _text(io.FileIO(ERROR, "w", closefd=False), "utf-8")
    if sys.stdout is sys.__stdout__:  # and not what somebody has put into its place
        sys.stdout = _text(_Output(OUTPUT, "w", closefd=False), getattr(sys.stdout, "encoding", None) or "utf-8")


def _text(raw: io.FileIO, encoding: str) -> io.TextIOWrapper:
    buffer = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, encoding=encoding, errors="replace", line_buffering=raw.isatty())


def writable(text: str) -> bool:
    """Whether standard output has all these characters."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def finish_output() -> None:
    """Write what is left. Raises OutputLostError, after which nothing more is tried."""
    try:
        sys.stdout.flush()
    except OutputLostError:
        # The end of the interpreter writes once more what is left.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, OUTPUT)
        os.close(nowhere)
        sys.stdout.flush()
        raise


def say(sentence: str) -> None:
    """A line on standard error, as far as there is somebody to read it."""
    with suppress(OSError, ValueError):
        sys.stderr.write(f"ruleforge: {hide_passwords(sentence)}\n")
        sys.stderr.flush()
