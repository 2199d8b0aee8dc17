"""Cursors: where a page of a list ended, as text that a client hands back.

A cursor holds the place in the order (a keyset), not a count: rows that come meanwhile shift no page.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Sequence

from ruleforge.errors import InputError

Place = tuple[int | float, ...]
# The greatest of the whole numbers that a column takes.
GREATEST = 2**31 - 1


def cursor(listing: str, place: Sequence[int | float]) -> str:
    """The cursor after the row at `place` of a listing; `listing` says which: its name, filters and order."""
    content = json.dumps([_digest(listing), *place], allow_nan=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def place(listing: str, text: str | None, kinds: Sequence[type[int] | type[float]]) -> Place | None:
    """The place that a cursor stands for, None for the beginning. Raises InputError unless `cursor` made it for this.

    kinds: the type of each number of a place in this listing.
    """
    if text is None:
        return None
    try:
        content = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise refusal(text) from None
    if not isinstance(content, list) or len(content) != 1 + len(kinds) or content[0] != _digest(listing):
        raise refusal(text)
    for number, kind in zip(content[1:], kinds, strict=True):
        if type(number) is not kind or not (abs(number) <= GREATEST if kind is int else math.isfinite(number)):
            raise refusal(text)
    return tuple(content[1:])


def _digest(listing: str) -> str:
    return hashlib.blake2b(listing.encode("utf-8", "backslashreplace"), digest_size=6).hexdigest()


def refusal(text: str) -> InputError:
    """What is said to a cursor of something else."""
    shown = text if len(text) <= 40 else text[:40] + "…"
    return InputError(
        f"expected the `next` of a page of this same list, and {shown!r} came: ask for the first page without a cursor",
        pointer="/cursor",
    )


def checked_limit(limit: int) -> int:
    """The number of items asked for. Raises InputError unless there is at least one."""
    if limit < 1:
        raise InputError(f"expected a limit of 1 or more, and {limit} came", pointer="/limit")
    return min(limit, GREATEST - 1)
