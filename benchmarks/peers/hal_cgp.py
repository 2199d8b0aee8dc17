"""hal-cgp 0.3 in a child process, from the folder into which it was installed."""

from __future__ import annotations

import sys
import warnings
from typing import Any, TextIO

import numpy as np

from benchmarks.peers.serve import absent


def imported(answers: TextIO, folder: str) -> Any:
    """The module, silent; None, and the parent has been told why, if it cannot be imported."""
    sys.path.append(folder)
    setattr(np, "float", float)  # noqa: B010 (hal-cgp 0.3 names it, and numpy has dropped it)
    try:
        import cgp  # type: ignore[import-not-found]
    except ImportError as error:
        absent(answers, f"hal-cgp cannot be imported: {error}")
        return None
    warnings.simplefilter("ignore")
    return cgp
