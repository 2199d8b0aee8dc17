"""Findings, and how they are gathered: whatever ends one look leaves the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ruleforge.errors import RuleforgeError

# All is well; worth to know; something to be done.
OK, NOTE, ACTION = "ok", "note", "action"


@dataclass(frozen=True)
class Finding:
    """area: what was looked at; state: OK, NOTE or ACTION; text: a sentence; remedy: a command, or ""."""

    area: str
    state: str
    text: str
    remedy: str = ""


# A look at one area: what it finds, as (state, text, remedy).
Look = Callable[[], Iterable[tuple[str, str, str]]]


def findings(looks: Mapping[str, Look]) -> Iterator[Finding]:
    """Look at each area in turn."""
    for area, look in looks.items():
        try:
            for state, text, remedy in look():
                yield Finding(area, state, text, remedy)
        except RuleforgeError as error:
            yield Finding(area, ACTION, str(error))
        except Exception as error:  # noqa: BLE001 - what is damaged here is what is being looked for, in any way
            yield Finding(area, ACTION, f"cannot be looked at: {type(error).__name__}: {error}")
