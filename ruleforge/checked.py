"""Values from outside as the types that they have to be: the converters of every door, and models that use them.

A number is a number: numpy's are taken, a text that looks like one is not, and neither is a truth value, which Python
counts among the integers.
"""

from __future__ import annotations

import json
import math
import numbers
import types
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationInfo, field_validator

from ruleforge.errors import InputError

LONGEST_SHOWN = 100


def whole_number(
    name: str, value: object, least: int, most: int | None = None, *, of: str = "", pointer: str = ""
) -> int:
    """An integer of Python, numpy or a float that is one, from `least` to `most`. Raises InputError for all else."""
    found = _integer(value)
    if found is None or found < least or (most is not None and found > most):
        expected = f"{least} or more" if most is None else f"{least} to {most}"
        raise InputError(f"{name}: expected {expected}{of and ' ' + of}, and {shown(value)} came", pointer=pointer)
    return found


def _integer(value: object) -> int | None:
    if isinstance(value, (bool, np.bool_)):
        return None
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, (float, np.floating)) and math.isfinite(value) and value == math.floor(value):
        return int(value)
    return None


def number(name: str, value: object, least: float, most: float, *, of: str = "", pointer: str = "") -> float:
    """A number of Python or numpy from `least` to `most`. Raises InputError for all else."""
    given: Any = value
    real = isinstance(given, numbers.Real) and not isinstance(given, (bool, np.bool_))
    if real and least <= given <= most:
        return float(given)
    expected = f"{least:g} to {most:g}{of and ' ' + of}"
    raise InputError(f"{name}: expected {expected}, and {shown(value)} came", pointer=pointer)


def text(name: str, value: object, *, pointer: str = "") -> str:
    """A text. Raises InputError for all else."""
    if not isinstance(value, str):
        raise InputError(f"{name}: expected a text, and {shown(value)} came", pointer=pointer)
    return value


def optional_text(name: str, value: object) -> str | None:
    """A text or None. Raises InputError for all else."""
    return None if value is None else text(name, value)


def optional_truth(name: str, value: object) -> bool | None:
    """True, False or None. Raises InputError for all else."""
    if value is None or isinstance(value, (bool, np.bool_)):
        return None if value is None else bool(value)
    raise InputError(f"{name}: expected true or false, and {shown(value)} came")


def table(name: str, value: object) -> dict[str, Any]:
    """A mapping with texts as keys. Raises InputError for all else."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InputError(f"{name}: expected a table with names as keys, and {shown(value)} came")
    return dict(value)


def optional_number(name: str, value: object, least: float, most: float, *, of: str = "") -> float | None:
    """A number from `least` to `most`, or None. Raises InputError for all else."""
    return None if value is None else number(name, value, least, most, of=of)


def optional_whole_number(name: str, value: object, least: int, most: int | None = None) -> int | None:
    """An integer from `least` to `most`, or None. Raises InputError for all else."""
    return None if value is None else whole_number(name, value, least, most)


def as_json(name: str, value: object) -> Any:
    """A value as JSON carries it; numbers and arrays of numpy too. Raises InputError for what JSON cannot carry."""
    try:
        return json.loads(json.dumps(value, default=_from_numpy, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"{name}: expected what JSON can carry, and {shown(value)} came ({error})") from None


def _from_numpy(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not one of its types")


def shown(value: object) -> str:
    """What came, short enough for a sentence."""
    try:
        said = repr(value)
    except Exception:  # noqa: BLE001 - whatever a foreign object does when it is asked for itself, it is not what was expected
        said = f"an object of {type(value).__name__}"
    return said if len(said) <= LONGEST_SHOWN else f"{said[:LONGEST_SHOWN]}…"


class CheckedModel(BaseModel):
    """A model whose numbers and truth values have to be what they are declared as: no text, no 1 for true."""

    @field_validator("*", mode="before")
    @classmethod
    def _of_its_type(cls, value: Any, info: ValidationInfo) -> Any:
        assert info.field_name is not None
        return _plain(value, cls.model_fields[info.field_name].annotation)


def _plain(value: Any, annotation: Any) -> Any:
    """A value for a field: scalars of numpy as those of Python. Raises ValueError for a number that is none."""
    if isinstance(value, np.generic):
        value = value.item()
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    options = typing.get_args(annotation) if union else (annotation,)
    if value is None or str in options:
        return value
    for option in options:
        origin, inner = typing.get_origin(option), typing.get_args(option)
        if origin is tuple and isinstance(value, (list, tuple)):
            return tuple(_plain(item, inner[0]) for item in value)
        if origin is dict and isinstance(value, Mapping):
            return {key: _plain(item, inner[1]) for key, item in value.items()}
    if bool in options and not isinstance(value, bool):
        raise ValueError("expected true or false")
    if (int in options or float in options) and isinstance(value, (bool, str, bytes, bytearray)):
        raise ValueError("expected a number")
    return value
