"""The other end of `Peer`: what a child process does. Needs nothing but the standard library."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO


def own_stdout() -> TextIO:
    """The pipe to the parent, for answers alone; whatever else is printed from now on goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def serve(answers: TextIO, extra: dict[str, Any], work: Callable[[], dict[str, Any]]) -> None:
    """Say that all is ready, then work once per line that comes."""
    print(json.dumps({"extra": extra}), file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps(work()), file=answers, flush=True)


def absent(answers: TextIO, reason: str) -> None:
    """Say why nothing can be measured."""
    print(json.dumps({"absent": reason}), file=answers, flush=True)
