"""The Python client of a ruleforge service: `ruleforge.Client`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from api.client.client import Client
    from api.client.events import Event
    from api.client.job import Job
    from api.client.rules import RecordedRule

__all__ = ["Client", "Event", "Job", "RecordedRule"]

# Loaded when first used, because the HTTP library takes a while to import.
_HOMES = {
    "Client": "api.client.client",
    "Event": "api.client.events",
    "Job": "api.client.job",
    "RecordedRule": "api.client.rules",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'api.client' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
