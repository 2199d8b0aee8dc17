"""Whether the packages beside this one are ours: `tasks`, `workers` and `api` are names that others use too.

A file `tasks.py` beside a user's script, in the current folder or on PYTHONPATH, is found before ours.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from ruleforge.errors import RuleforgeError

OURS = ("tasks", "workers", "api")


class ForeignPackageError(RuleforgeError, ImportError):
    """Python finds another package where one of ours should be; its text says which, and what to do."""


def foreign_packages() -> dict[str, str]:
    """By name, where Python finds something else than our packages; empty where all is well."""
    home = Path(__file__).resolve().parents[1]
    found = {}
    for name in OURS:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):  # a module that is being imported, or was put there by hand
            continue
        if spec is None:
            continue
        # A folder without __init__.py has no origin.
        place = spec.origin or next(iter(spec.submodule_search_locations or ()), "")
        folder = os.path.dirname(place) if spec.origin else place
        if Path(folder).resolve() != home / name:
            found[name] = place
    return found


def refuse_foreign_packages() -> None:
    """Raise ForeignPackageError, a sentence with the remedy, unless all packages are ours."""
    for name, place in foreign_packages().items():
        raise ForeignPackageError(
            f"{place} takes the place of ruleforge's own package {name!r}: rename it, or run from another folder "
            "(Python looks into the script's folder, the current one and PYTHONPATH first)"
        )
