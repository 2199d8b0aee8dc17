"""Writes measured sections into docs/performance.md, between `<!-- measured: NAME -->` and `<!-- end -->`."""

from __future__ import annotations

import re

from benchmarks.peers.process import ROOT
from ruleforge.errors import InputError

PAGE = ROOT / "docs" / "performance.md"


def filled(page: str, name: str, text: str) -> str:
    """The page with its section `name` replaced by a text. Raises InputError if there is no such section."""
    begin = f"<!-- measured: {name} -->"
    pattern = re.compile(rf"{re.escape(begin)}\n.*?<!-- end -->", re.DOTALL)
    if not pattern.search(page):
        raise InputError(f"the page has no section {begin}: put it where the {name} figures are to stand")
    return pattern.sub(lambda _: f"{begin}\n\n{text.strip()}\n\n<!-- end -->", page)


def write(name: str, text: str) -> None:
    """Replace one section of docs/performance.md."""
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), name, text), encoding="utf-8")
