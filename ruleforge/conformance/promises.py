"""How a broken promise is said, and how two things are compared to the bit."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ruleforge.errors import RuleforgeError


class ConformanceError(RuleforgeError, AssertionError):
    """A task family breaks its contract; the sentence says what was promised and what came."""


def require(kept: bool, promise: str, came: str) -> None:
    """Raise ConformanceError unless the promise is kept; `came` says what was found instead."""
    if not kept:
        raise ConformanceError(f"{promise}, and {came}")


def called(promise: str, about: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Call what must not raise."""
    try:
        return function(*arguments, **named)
    except ConformanceError:
        raise
    except Exception as error:
        raise ConformanceError(f"{promise}, and {type(error).__name__} ({error}) came {about}") from error


def is_text(value: object) -> bool:
    """A text that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def is_count(value: object) -> bool:
    """An integer of 1 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def digest(value: object) -> str:
    """32 hexadecimal digits over a value and everything in it; arrays by their bits."""
    running = hashlib.blake2b(digest_size=16)
    update_digest(running, value)
    return running.hexdigest()


def update_digest(running: Any, value: object) -> None:
    """Add a value and its structure to a running digest. Raises ConformanceError for what holds no plain data."""
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        running.update(f"{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic, enum.Enum)):
        running.update(f"{type(value).__name__}:{value!r};".encode())
    elif isinstance(value, Mapping):
        update_digest(running, list(value.items()))
    elif isinstance(value, (list, tuple, np.ndarray)):
        running.update(f"{len(value)}[".encode())
        for item in value:
            update_digest(running, item)
    elif dataclasses.is_dataclass(value):
        update_digest(running, [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)])
    elif hasattr(value, "__dict__") and not callable(value):
        update_digest(running, vars(value))
    else:
        raise ConformanceError(f"an instance is an object of plain arrays, and it holds a {type(value).__name__}")
