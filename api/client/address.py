"""Where a service is expected unless told otherwise."""

from __future__ import annotations

# As `ruleforge serve` listens by default.
DEFAULT_URL = "http://127.0.0.1:8000"
