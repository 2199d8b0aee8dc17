"""How kernels are compiled and cached.

Numba's own cache looks at the file of the compiled function only and misses edits in functions that it calls. So the
cache folder carries a digest of all the sources that a kernel can be made of, with the versions of Python, numba and
numpy: any edit means a new folder. Its files are named by CPU model too, and checked (`ruleforge.kernel.cache`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core import event

from ruleforge.kernel.cache import KernelCache
from ruleforge.kernel.compilation import compilation
from ruleforge.kernel.version import cache_root, kernel_version

# What the simulation around a rule may do with floating-point arithmetic. Never nnan or ninf: NaN and ∞ are outcomes.
SIMULATION_FLAGS = frozenset({"contract", "reassoc", "arcp", "nsz", "afn"})


class _Reporting(event.Listener):  # type: ignore[misc] # numba has no types
    """Reports what is compiled; what is found in the cache is no such event."""

    def on_start(self, event: Any) -> None:
        """A function is not in the cache."""
        compilation.begin()

    def on_end(self, event: Any) -> None:
        """It is compiled."""
        compilation.end()


event.register("numba:compile", _Reporting())


def kernel(*, simulation: bool = False, inline: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function with numba: GIL released, IEEE division, cached on disk.

    simulation: allow the relaxed arithmetic of SIMULATION_FLAGS; never for a rule's own arithmetic.
    inline: always inlined into its callers.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(
            nogil=True,
            error_model="numpy",
            fastmath=set(SIMULATION_FLAGS) if simulation else False,
            **({"forceinline": True} if inline else {}),
        )(function)
        if not inline:
            folder = cache_root() / f"kernels-{kernel_version(function.__module__)}"
            dispatcher._cache = KernelCache(function, folder)
        return dispatcher

    return decorate
