"""Idempotency-Key: a request that is sent again, because its answer was lost, is carried out once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Header

from ruleforge.store import RequestKey

RequestKeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="yours: the same request under the same key is carried out once, for 24 hours; "
        "another request under it is refused",
    ),
]


def remembered(key: str | None, operation: str, given: Mapping[str, Any]) -> RequestKey | None:
    """Under what the record remembers a request, and a digest of what was asked."""
    if key is None:
        return None
    asked = json.dumps([operation, given], sort_keys=True)
    return RequestKey(key, hashlib.blake2b(asked.encode(), digest_size=16).hexdigest())
