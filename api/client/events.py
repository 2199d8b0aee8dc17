"""Server-sent events (WHATWG HTML, section 9.2): bytes → events, whole ones only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# A carriage return at the end of what has come may be half of a line's end.
_END_OF_LINE = re.compile(rb"\r\n|\n|\r(?=[^\n])")


@dataclass(frozen=True)
class Event:
    """Something that happened to a job. kind: `state`, `generation` or `front`; data: as the service describes it."""

    id: int
    kind: str
    data: Mapping[str, Any]


def parsed(chunks: Iterable[bytes]) -> Iterator[Event]:
    """The events of a stream as soon as each is complete; an event that was cut off is none, nor is one without id."""
    rest, id, kind, data = b"", "", "", list[str]()
    for chunk in chunks:
        *lines, rest = _END_OF_LINE.split(rest + chunk)
        for line in lines:
            if not line:
                if data and id.isdigit():
                    yield Event(int(id), kind or "message", json.loads("\n".join(data)))
                id, kind, data = "", "", []
                continue
            field, _, value = line.decode("utf-8").partition(":")
            value = value.removeprefix(" ")
            if field == "id":
                id = value
            elif field == "event":
                kind = value
            elif field == "data":
                data.append(value)
