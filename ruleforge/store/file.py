"""The file of a SQLite record: whether what is open is still what is found at its path."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ruleforge.errors import RecordAwayError, RecordReplacedError


class RecordFile:
    """A file that must stay where it is while it is open; else what is written goes where nobody looks for it.

    path: absolute; name: of the record, for the user.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path, self._name = path, name
        self._opened: tuple[int, int] | None = None  # device and inode
        self._size = 0
        self._noting = threading.Lock()

    def connect(self, _dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> sqlite3.Connection:
        """A connection to the file that is there; SQLite by itself would make an empty one for a missing one."""
        place = f"file:{quote(os.fsencode(self._path))}?mode=rw"
        connection: sqlite3.Connection = sqlite3.connect(place, uri=True, **options)
        with self._noting:
            # Only now, because some file systems give a file another inode when it is first opened for writing.
            if self._opened is None:
                found = os.stat(self._path)
                self._opened = found.st_dev, found.st_ino
        return connection

    def check(self) -> None:
        """Raise RecordReplacedError if the path leads to another file than the open one, or to a shortened one.

        Raises RecordAwayError if the path cannot be asked.
        """
        if self._opened is None:
            return
        try:
            found = os.stat(self._path)
            if (found.st_dev, found.st_ino) != self._opened:
                raise self._replaced("was replaced by another file while it was open")
            if found.st_size < self._size and self._is_cut_short(found.st_size):
                raise self._replaced("was cut short while it was open")
        except (FileNotFoundError, NotADirectoryError):
            raise self._replaced("was deleted or moved while it was open") from None
        except OSError as error:  # of a network drive that is away
            raise RecordAwayError(
                f"the record {self._name} cannot be reached ({error.strerror}): check its drive and the rights to its "
                "folder"
            ) from None
        self._size = found.st_size

    def _is_cut_short(self, size: int) -> bool:
        """Whether the file has fewer pages than its header says (bytes 16 and 28); a vacuum makes both smaller."""
        with self._path.open("rb") as file:
            header = file.read(32)
        page_size = int.from_bytes(header[16:18], "big")
        pages = int.from_bytes(header[28:32], "big")
        return len(header) < 32 or size < pages * (65536 if page_size == 1 else page_size)

    def _replaced(self, what: str) -> RecordReplacedError:
        return RecordReplacedError(
            f"the record {self._name} {what}, and nothing more can be kept in it: put the file back and resume the "
            "job, or begin anew in another record, with --db sqlite:///ANOTHER.db"
        )
