"""Which behaviours and texts a search has met: eight bytes for each of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Identities wait in a set until there are so many that sorting them in is cheap by comparison.
MOST_WAITING = 4096


class Seen:
    """A growing set of identities (hexadecimal texts of at least 16 digits), of which only 64 bits are kept.

    8 bytes for each, 16 for an instant while new ones are sorted in. Two identities are taken for one with a
    probability of n²/2⁶⁵: 3·10⁻⁸ for a million of them.
    """

    def __init__(self) -> None:
        self._sorted: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._waiting: set[int] = set()

    def __len__(self) -> int:
        return len(self._sorted) + len(self._waiting)

    def __contains__(self, identity: str) -> bool:
        number = int(identity[:16], 16)
        if number in self._waiting:
            return True
        if not len(self._sorted):  # as in every search of ordinary length
            return False
        place = int(np.searchsorted(self._sorted, np.uint64(number)))
        return place < len(self._sorted) and int(self._sorted[place]) == number

    def add(self, identity: str) -> None:
        """Put an identity in, unless it is there."""
        if identity in self:
            return
        self._waiting.add(int(identity[:16], 16))
        if len(self._waiting) >= MOST_WAITING:
            waiting = np.fromiter(self._waiting, np.uint64, len(self._waiting))
            self._sorted = np.concatenate([self._sorted, waiting])
            self._sorted.sort(kind="stable")
            self._waiting = set()
