"""A picture depends on nothing but what is drawn: not on settings, fonts, folders or languages of a machine or user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import matplotlib.font_manager
import numpy as np
import pytest

from ruleforge.charts import Axis, Chart, Series
from ruleforge.errors import InputError
from workers.own_matplotlib import own_matplotlib
from workers.pictures import draw_chart, rendered

DRAW = r"""
import hashlib
import numpy as np
from ruleforge.charts import Axis, Chart, Series
from workers.pictures import draw_chart, rendered

x = np.linspace(-1234.5, 1234.5, 60)
lines = tuple(Series(f"line {i}", x, 1e5 * np.sin(x / 300 + i), low=None, high=None) for i in range(3))
chart = Chart("Time", Axis("time", "ms"), Axis("weight", "1"), lines)

def draw(figure):
    draw_chart(chart, figure)
    figure.suptitle(r"$\frac{\left(R - 1\right) E^{2}}{\sqrt{x}}$, − µ τ, bold", weight="bold")

for format in ("png", "svg", "pdf"):
    print(hashlib.sha256(rendered(draw, (6.4, 4.2), format)).hexdigest())
"""


def drawn(folder: Path, **environment: str) -> list[str]:
    """Digests of a picture in each format, drawn in a folder and an environment; nothing is said meanwhile."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "LC_", "LANG"))}
    script = folder / "script.py"  # which is UTF-8 in every language, as an argument is not
    script.write_text(DRAW, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        cwd=folder,
        env=settings | environment,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return drawn(tmp_path_factory.mktemp("undisturbed"))


SETTINGS_FILES = {
    "tex": b"text.usetex: True\n",
    "large": b"font.size: 30\n",
    "fonts": b"font.family: monospace\nmathtext.fontset: stix\nsvg.fonttype: none\npdf.fonttype: 42\n",
    "look": b"axes.prop_cycle: cycler('color', ['k'])\naxes.grid: True\nsavefig.dpi: 30\nlines.linewidth: 9\n",
    "saving": b"savefig.bbox: tight\nsavefig.transparent: True\nfigure.constrained_layout.use: False\n",
    "locale": b"axes.formatter.use_locale: True\naxes.unicode_minus: False\naxes.formatter.useoffset: False\n",
    "paths": b"path.sketch: 10, 10, 10\npath.simplify: False\nagg.path.chunksize: 2\n",
    "back end": b"backend: nonsense\ntoolbar: None\n",
    "nonsense": b"what is this\nfont.size: many\nno.such.key: 1\n",
    "not text": b"\xff\xfe\x00font.size: 3\n",
    "style": b"_internal.classic_mode: True\n",
}


@pytest.mark.parametrize("settings", SETTINGS_FILES)
def test_settings_in_the_current_folder_do_not_count(tmp_path, undisturbed, settings):
    (tmp_path / "matplotlibrc").write_bytes(SETTINGS_FILES[settings])
    assert drawn(tmp_path) == undisturbed


def other_fonts(folder: Path) -> dict[str, str]:
    """A font of the name that matplotlib looks for, and of another face."""
    fonts = folder / ".local" / "share" / "fonts"
    fonts.mkdir(parents=True)
    ours = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    shutil.copy(ours / "STIXGeneral.ttf", fonts / "DejaVuSans.ttf")
    (fonts / "broken.ttf").write_bytes(b"no font")
    return {"HOME": str(folder), "MPLCONFIGDIR": str(folder / "matplotlib"), "XDG_DATA_HOME": str(fonts.parent)}


def damaged_list_of_fonts(folder: Path) -> dict[str, str]:
    version = matplotlib.font_manager.FontManager.__version__
    (folder / f"fontlist-v{version}.json").write_text('{"__class__": "FontManager", "_version": "' + version + '"}')
    return {"MPLCONFIGDIR": str(folder)}


def list_of_other_fonts(folder: Path) -> dict[str, str]:
    manager = matplotlib.font_manager
    theirs = manager.FontManager.__new__(manager.FontManager)
    theirs.__dict__.update(manager.fontManager.__dict__)
    stix = next(font for font in theirs.ttflist if font.name == "STIXGeneral")
    theirs.ttflist = [type(stix)(**{**vars(stix), "name": "DejaVu Sans", "fname": stix.fname})]
    manager.json_dump(theirs, folder / f"fontlist-v{manager.FontManager.__version__}.json")
    return {"MPLCONFIGDIR": str(folder)}


def file_for_a_folder(folder: Path) -> dict[str, str]:
    (folder / "file").write_text("")
    return {"MPLCONFIGDIR": str(folder / "file" / "matplotlib")}


SURROUNDINGS: dict[str, Callable[[Path], dict[str, str]]] = {
    "other fonts": other_fonts,
    "damaged list of fonts": damaged_list_of_fonts,
    "list of other fonts": list_of_other_fonts,
    "no folder for settings": file_for_a_folder,
    "no home": lambda folder: {"HOME": "/nonexistent"},
    "back end that is none": lambda folder: {"MPLBACKEND": "nonsense"},
    "back end with windows": lambda folder: {"MPLBACKEND": "TkAgg", "DISPLAY": ":77"},
    "settings named": lambda folder: {"MATPLOTLIBRC": str(folder / "nothing")},
    "language": lambda folder: {"LC_ALL": "de_DE.UTF-8", "LANG": "tr_TR", "LANGUAGE": "zh"},
    "no language": lambda folder: {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "language that is none": lambda folder: {"LC_ALL": "xx_XX.nonsense"},
    "time zone": lambda folder: {"TZ": "Pacific/Kiritimati"},
    "time of building": lambda folder: {"SOURCE_DATE_EPOCH": "1"},
    "hashes": lambda folder: {"PYTHONHASHSEED": "77"},
    "terminal": lambda folder: {"COLUMNS": "1", "TERM": "dumb", "NO_COLOR": "1"},
}


@pytest.mark.parametrize("name", SURROUNDINGS)
def test_surroundings_do_not_count(tmp_path, undisturbed, name):
    assert drawn(tmp_path, **SURROUNDINGS[name](tmp_path)) == undisturbed


def test_a_current_folder_that_is_gone_does_not_count(tmp_path, undisturbed):
    gone = tmp_path / "gone"
    gone.mkdir()
    # Once more in Python, which can begin in a folder and then take it away.
    script = f"import os; os.rmdir({str(gone)!r})\n"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script + DRAW], capture_output=True, text=True, cwd=gone, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == undisturbed


def picture() -> bytes:
    x = np.arange(5.0)
    chart = Chart("chart", Axis("x", "1"), Axis("y", "1"), (Series("line", x, x),))
    return rendered(lambda figure: draw_chart(chart, figure), (4, 3), "svg")


def draw_nothing() -> None:
    with own_matplotlib():
        assert matplotlib.rcParams["font.size"] == matplotlib.rcParamsDefault["font.size"]
        raise InputError("no picture")


def test_the_user_s_settings_of_this_process_neither_count_nor_change():
    before = picture()
    fonts = list(matplotlib.font_manager.fontManager.ttflist)
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "font.family": "serif"}):
        assert picture() == before
        assert matplotlib.rcParams["font.size"] == 30
        with pytest.raises(InputError, match="no picture"):
            draw_nothing()
        assert matplotlib.rcParams["font.family"] == ["serif"]
    assert matplotlib.font_manager.fontManager.ttflist == fonts
