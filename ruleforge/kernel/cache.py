"""Compiled kernels on disk, which are never trusted: what is not as it was written is compiled anew.

Numba's own cache keeps an index beside its code. It raises where one of the two was cut short, runs whatever code it
finds, and mixes up the code of two processes that compile at the same time. Here every compiled function is one file,
put in place as a whole, which begins with a digest of the rest; a cache that cannot be read or written costs time and
a line of warning, and ends nothing.
"""

from __future__ import annotations

import hashlib
import inspect
import logging
import os
import re
import stat
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps, loads

SUFFIX = ".nbc"
DIGEST_SIZE = 32
ROOT = 0
_log = logging.getLogger("ruleforge.kernel")


class UntrustedError(Exception):
    """A file of the cache that is not as it was written, or not written by this user; its text says why."""


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_SIZE).digest()


def read_checked(path: Path) -> bytes:
    """What `write_checked` wrote. Raises FileNotFoundError, UntrustedError, and OSError where it cannot be read."""
    # Without waiting, as for the other end of a pipe that stands in the file's place.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise UntrustedError("is no file")
        if found.st_uid not in (os.geteuid(), ROOT):
            # Code is run as it is read, with our rights.
            raise UntrustedError("belongs to another user")
        content = file.read()
    if _digest(content[DIGEST_SIZE:]) != content[:DIGEST_SIZE]:
        raise UntrustedError("is damaged")
    return content[DIGEST_SIZE:]


def write_checked(path: Path, content: bytes) -> None:
    """Put the content in place as a whole, whoever else writes at the same time. Raises OSError."""
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        partial.write_bytes(_digest(content) + content)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


class KernelCache(FunctionCache):  # type: ignore[misc]
    """The compiled forms of one function, a file for each types of its arguments and each processor, in a folder."""

    # One damaged kernel is seldom alone, and one line is enough.
    _told = False

    def __init__(self, function: Callable[..., Any], folder: Path) -> None:
        self._py_func = function
        self._folder = folder
        code = function.__code__
        self._place = f"{inspect.getfile(function)}:{code.co_firstlineno}"
        self._file_name = re.sub(r"\W", "", f"{code.co_name}")[:80]
        self.enable()

    def __repr__(self) -> str:
        return f"<KernelCache of {self._place} in {self._folder}>"

    @property
    def cache_path(self) -> str:
        """The folder."""
        return str(self._folder)

    def path(self, signature: Any, code_generator: Any) -> Path:
        """The file of the function compiled for these types of arguments, on this processor."""
        key = repr((self._place, self._index_key(signature, code_generator)))
        return self._folder / f"{self._file_name}-{_digest(key.encode(errors='surrogateescape')).hex()[:32]}{SUFFIX}"

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The compiled function, None where it has to be compiled."""
        target_context.refresh()
        if not self._enabled:
            return None
        path = self.path(signature, target_context.codegen())
        try:
            # numba's form of compiled code could do anything when it is read, as could the code itself.
            return CompileResult._rebuild(target_context, *loads(read_checked(path)))
        except FileNotFoundError:
            return None
        except UntrustedError as why:
            self._tell(path, str(why))
        except OSError as error:
            self._tell(path, f"cannot be read ({error.strerror})")
        except Exception as error:  # noqa: BLE001 - whole and still not loaded: a numba that is no longer the same
            self._tell(path, f"cannot be loaded ({type(error).__name__})")
        return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep what was just compiled, where that is possible."""
        if not self._enabled or compiled.library.has_dynamic_globals or compiled.lifted:
            return
        path = self.path(signature, compiled.codegen)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_checked(path, dumps(compiled._reduce()))
        except OSError as error:
            self._tell(path, f"cannot be written ({error.strerror})")

    def flush(self) -> None:
        """Forget nothing: files are named by all that they depend on."""

    def _tell(self, path: Path, what: str) -> None:
        if not KernelCache._told:
            KernelCache._told = True
            _log.warning(
                "ruleforge: the compiled kernel %s %s: compiled anew (`ruleforge doctor` looks at the whole cache)",
                path,
                what,
            )
