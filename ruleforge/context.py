"""A context: under what scores can be compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any


def context_digest(task: str, version: int | None, parameters: Mapping[str, Any] | None) -> str:
    """16 hexadecimal digits over a family's name, version and parameters (JSON-able, all of them)."""
    payload = json.dumps([task, version, None if parameters is None else dict(parameters)], sort_keys=True)
    return blake2b(payload.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Context:
    """A task family, its version and its parameters: only scores of one context are compared.

    digest: its name, 16 hexadecimal digits; version, parameters: None where nobody recorded them.
    """

    digest: str
    task: str
    version: int | None = None
    parameters: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, task: str, version: int | None = None, parameters: Mapping[str, Any] | None = None) -> Context:
        """The context of these."""
        return cls(context_digest(task, version, parameters), task, version, parameters)
