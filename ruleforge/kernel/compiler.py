"""How kernels are compiled, cached and versioned.

Numba's own cache looks at the file of the compiled function only and misses edits in functions that it calls. So the
cache folder carries a digest of all the sources that a kernel can be made of, with the versions of Python, numba and
numpy: any edit means a new folder. Numba itself keys by CPU model inside it.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy as np
from numba import njit

# What the simulation around a rule may do with floating-point arithmetic. Never nnan or ninf: NaN and ∞ are outcomes.
SIMULATION_FLAGS = frozenset({"contract", "reassoc", "arcp", "nsz", "afn"})


def cache_root() -> Path:
    """The folder for compiled kernels: RULEFORGE_CACHE, else the user's cache folder."""
    given = os.environ.get("RULEFORGE_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "ruleforge"


def source_digest(*places: Path) -> str:
    """16 hexadecimal digits over the files, every Python file below the folders, and the compiler's version."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(repr((sys.version_info[:2], numba.__version__, llvmlite.__version__, np.__version__)).encode())
    for place in places:
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.relative_to(place.parent).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


@functools.cache
def kernel_version(module: str) -> str:
    """Version of the kernels that `module` defines, part of the key of every score.

    A digest of ruleforge's language, kernels and families, and of the top-level package that `module` belongs to (of
    the file alone, if it is a module that stands by itself).
    """
    package = Path(__file__).parents[1]
    # The families that come with ruleforge stand beside it, and others may call what they define.
    ours = [package / "kernel", package / "language", package.parent / "tasks"]
    file = Path(str(sys.modules[module].__file__)).resolve()
    levels = module.count(".") + (file.name == "__init__.py")
    theirs = file.parents[levels - 1] if levels else file
    return source_digest(*ours) if theirs in (package, ours[2]) else source_digest(*ours, theirs)


def kernel(*, simulation: bool = False, inline: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile a function with numba: GIL released, IEEE division, cached on disk.

    simulation: allow the relaxed arithmetic of SIMULATION_FLAGS; never for a rule's own arithmetic.
    inline: always inlined into its callers.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        folder = cache_root() / f"kernels-{kernel_version(function.__module__)}"
        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(folder)  # read once, while the function is decorated
        try:
            return njit(
                nogil=True,
                cache=not inline,
                error_model="numpy",
                fastmath=set(SIMULATION_FLAGS) if simulation else False,
                **({"forceinline": True} if inline else {}),
            )(function)
        finally:
            numba.config.CACHE_DIR = before

    return decorate
