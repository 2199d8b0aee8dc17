"""Lists with ids: tables where there is room, else one line for each value, so that no id is ever cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from api.command_line.display import plain_table

# Narrower than this a table of several columns breaks every word.
NARROW = 60


@dataclass(frozen=True)
class Column:
    """right: numbers; whole: is never broken, as ids, which are copied from here."""

    title: str
    right: bool = False
    whole: bool = False


Row = Sequence[str | Text]


def listing(console: Console, title: str, columns: Sequence[Column], rows: Sequence[Row]) -> RenderableType:
    """The rows under their titles, as the width allows."""
    return _table(title, columns, rows) if console.width >= NARROW else _one_by_one(title, columns, rows)


def _table(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> Table:
    table = plain_table(title)
    for place, column in enumerate(columns):
        lines = (line for row in rows for line in str(row[place]).splitlines())
        longest = max(map(len, lines), default=0) if column.whole else None
        table.add_column(
            column.title,
            justify="right" if column.right else "left",
            no_wrap=column.whole,
            min_width=longest,
            overflow="fold",
        )
    for row in rows:
        table.add_row(*row)
    return table


def _one_by_one(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> Group:
    lines: list[RenderableType] = [Text(title, style="bold")]
    for row in rows:
        lines.append(Text())
        for column, cell in zip(columns, row, strict=True):
            if column.whole:
                lines.append(Text(str(cell), overflow="fold"))  # alone in its line
            else:
                lines.append(Text.assemble((f"{column.title}: ", "dim"), cell, overflow="fold"))
    return Group(*lines)
