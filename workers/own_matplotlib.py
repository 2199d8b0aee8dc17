"""matplotlib as it comes, whatever this machine and this user have set: equal pictures are equal files everywhere.

matplotlib reads a file of settings from the current folder, from the user's and from the environment, looks for fonts
on the whole system, and keeps a list of them that it believes. While a picture of ours is drawn none of this counts.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Settings and fonts belong to the whole process.
_drawing = threading.Lock()
# Ids in a drawing are random otherwise.
SETTINGS: Mapping[str, Any] = {"svg.hashsalt": "ruleforge"}


@contextmanager
def own_matplotlib() -> Iterator[None]:
    """matplotlib's own settings and the fonts that it brings; afterwards the user's are there again."""
    with _drawing:
        _load()
        import matplotlib

        with matplotlib.rc_context(), _own_fonts():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(SETTINGS)
            yield


def _load() -> None:
    """Import matplotlib, which reads settings then, and ends with an exception where it cannot make sense of them."""
    if "matplotlib.font_manager" in sys.modules:
        return
    found = importlib.util.find_spec("matplotlib")
    assert found is not None
    assert found.origin is not None
    logger = logging.getLogger("matplotlib")
    level = logger.level
    logger.setLevel(logging.CRITICAL)  # what it has to say of those settings and folders does not matter here
    back_end = os.environ.pop("MPLBACKEND", None)
    try:
        # The first file that it looks for is `matplotlibrc` in the current folder.
        with _current_folder(Path(found.origin).parent / "mpl-data"):
            import matplotlib.font_manager  # noqa: F401
    finally:
        logger.setLevel(level)
        if back_end is not None:
            os.environ["MPLBACKEND"] = back_end


@contextmanager
def _current_folder(folder: Path) -> Iterator[None]:
    # By its handle, because the path of a folder may have been taken away.
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        try:
            yield
        finally:
            os.fchdir(before)
    finally:
        os.close(before)


@contextmanager
def _own_fonts() -> Iterator[None]:
    """Find no fonts but those that come with matplotlib."""
    from matplotlib import font_manager

    manager: Any = font_manager.fontManager
    before = manager.__dict__
    manager.__dict__ = _fonts()
    # It remembers its answers, which were of the other fonts.
    type(manager)._findfont_cached.cache_clear()
    try:
        yield
    finally:
        manager.__dict__ = before
        type(manager)._findfont_cached.cache_clear()


_own: dict[str, Any] = {}


def _fonts() -> dict[str, Any]:
    """The state of a font manager that has looked into matplotlib's own folders only."""
    if not _own:
        import matplotlib.font_manager

        module: Any = matplotlib.font_manager
        everywhere = module.findSystemFonts

        def in_folders(fontpaths: Any = None, fontext: str = "ttf") -> list[str]:
            return sorted(everywhere(fontpaths, fontext)) if fontpaths else []

        module.findSystemFonts = in_folders
        try:
            _own.update(module.FontManager().__dict__)
        finally:
            module.findSystemFonts = everywhere
    return _own
