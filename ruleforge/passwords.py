"""What is shown of an address: everything but its password, whoever shows it."""

from __future__ import annotations

import re
from typing import Any

# Up to the last @, because people write passwords with / and @ in them as they are.
_OF_A_USER = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*):\S*@")
_IN_A_QUERY = re.compile(r"([?&](?:\w*password|passwd|pwd|token|secret)=)[^&#\s'\"]*", re.IGNORECASE)
HIDDEN = "***"


def hide_passwords(text: str) -> str:
    """The text with *** for each password in an address, as in http://user:***@host."""
    return _IN_A_QUERY.sub(rf"\1{HIDDEN}", _OF_A_USER.sub(rf"\1:{HIDDEN}@", text))


def hidden_in_log(_logger: Any, _method: str, event: Any) -> Any:
    """A step of structured logging that hides them in every text of a line."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = hide_passwords(value)
    return event
