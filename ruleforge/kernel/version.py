"""Which kernels these are: a digest of all that they are made of; and the folder where they are kept.

Known without loading the compiler, which takes longer than most commands do.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import sys
import tempfile
from pathlib import Path

# The packages that turn kernels into machine code.
COMPILED_BY = ("numba", "llvmlite", "numpy")


def cache_root() -> Path:
    """The folder for compiled kernels: RULEFORGE_CACHE, else the user's cache folder."""
    given = os.environ.get("RULEFORGE_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "ruleforge"
    except RuntimeError:  # a user that the system does not know, as in a container that runs under any number
        return Path(tempfile.gettempdir()) / f"ruleforge-{os.geteuid()}"


def source_digest(*places: Path) -> str:
    """16 hexadecimal digits over the files, every Python file below the folders, and the compiler's version."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(repr((sys.version_info[:2], *map(importlib.metadata.version, COMPILED_BY))).encode())
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
