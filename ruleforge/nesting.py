"""How deep what comes from outside may be nested: asked once at each door.

Behind a door values are walked by functions that call themselves (validation, canonical JSON, digests, the text of an
error), which Python ends at some hundred levels. A specification has five.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ruleforge.errors import SpecificationError

MAX_NESTING = 32
_NESTED = (Mapping, list, tuple)


def refuse_deep(given: Any, root: str = "") -> None:
    """Raise SpecificationError, with a pointer below `root`, if tables and lists lie more than MAX_NESTING deep.

    Level by level, each value once a level, so that a value that holds itself comes to an end too.
    """
    level: list[tuple[Any, tuple[Any, ...]]] = [(given, ())]
    for _ in range(MAX_NESTING):
        parts = ((part, (*path, key)) for value, path in level for key, part in _parts(value))
        level = list({id(part): (part, path) for part, path in parts}.values())
        if not level:
            return
    pointer = root + "".join("/" + pointer_part(key) for key in level[0][1])
    raise SpecificationError([(pointer, f"expected tables and lists at most {MAX_NESTING} deep, and deeper ones came")])


def pointer_part(key: object) -> str:
    """A key as it stands in a JSON pointer (RFC 6901)."""
    return str(key).replace("~", "~0").replace("/", "~1")


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    """The tables and lists inside a value, each with its key."""
    if not isinstance(value, _NESTED):
        return iter(())
    if isinstance(value, Mapping):
        return ((key, part) for key, part in value.items() if isinstance(part, _NESTED))
    return ((key, part) for key, part in enumerate(value) if isinstance(part, _NESTED))
