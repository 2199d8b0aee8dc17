"""Says that kernels are being compiled: that takes seconds the first time, and nobody should wonder what happens then.

Whoever has somebody to tell says how (`tell`), whoever scores or draws with a family says so (`using`), and the
compiler reports when it begins and ends. Nothing is said where every kernel was found in the cache.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# What the kernels of one family take on a common machine.
USUALLY = "5 to 30 s"


class Compilation:
    """What is being compiled in this process, and for which family. Safe between threads."""

    def __init__(self) -> None:
        self._say: Callable[[str], None] | None = None
        self._lock = threading.Lock()
        self._here = threading.local()
        self._in_flight = 0
        # Of what was announced and has not ended yet: the family, and when it began.
        self._announced: tuple[str, float] | None = None

    def tell(self, say: Callable[[str], None] | None) -> Callable[[str], None] | None:
        """Have `say` told from now on, None for nobody; who was told before."""
        with self._lock:
            before, self._say = self._say, say
        return before

    @contextmanager
    def using(self, family: str) -> Iterator[None]:
        """While active, what this thread compiles is kernels of this family; at the end it is said how long it took."""
        outer = getattr(self._here, "family", None)
        self._here.family, self._here.depth, self._here.compiled = family, 0, False
        try:
            yield
        finally:
            self._here.family = outer
            if self._here.compiled:
                self._conclude()

    def begin(self) -> None:
        """The compiler has begun with a function, perhaps on behalf of another one."""
        family = getattr(self._here, "family", None)
        if family is None:
            return
        self._here.depth += 1
        if self._here.depth > 1:
            return
        self._here.compiled = True
        with self._lock:
            self._in_flight += 1
            if self._announced is not None:
                return
            self._announced = family, time.monotonic()
        self._tell(f"Compiling the kernels of {family}, once: usually {USUALLY} …")

    def end(self) -> None:
        """The compiler has ended with it."""
        if getattr(self._here, "family", None) is None:
            return
        self._here.depth -= 1
        if self._here.depth == 0:
            with self._lock:
                self._in_flight -= 1

    def _conclude(self) -> None:
        with self._lock:
            if self._announced is None or self._in_flight:
                return
            (family, began), self._announced = self._announced, None
        self._tell(f"The kernels of {family} took {time.monotonic() - began:.1f} s and are kept for the next time")

    def _tell(self, sentence: str) -> None:
        say = self._say
        if say is None:
            return
        try:
            say(sentence)
        except Exception:  # noqa: BLE001 - whoever cannot be told decides nothing about what is scored
            self._say = None


compilation = Compilation()
