"""Shared by these tests: reproducible Hypothesis, and two task families small enough to hold in the head."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Tests are collected without packages, so what several files share is found by its folder.
sys.path.insert(0, str(Path(__file__).parent / "helpers"))

settings.register_profile("reproducible", derandomize=True, deadline=None, database=None, max_examples=100)
settings.load_profile("reproducible")


@pytest.fixture
def toy_tasks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The toy families under their names, beside the installed ones, as if an entry point had brought them."""
    from ruleforge import family

    installed = dict(family._entry_points())
    toys = {
        name: importlib.metadata.EntryPoint(name, f"toy_families:{value}", family.ENTRY_POINTS)
        for name, value in (("toy", "Toy"), ("twin", "Twin"))
    }
    monkeypatch.setattr(family, "_entry_points", lambda: installed | toys)
    family.family_class.cache_clear()
    yield
    family.family_class.cache_clear()
