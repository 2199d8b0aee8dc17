"""Compile and cache the kernels of every installed family: `python -m tasks.warm_up`."""

from __future__ import annotations

import sys
import time

from ruleforge.family import family_class, family_names
from ruleforge.kernel.compilation import compilation


def warm_up(name: str) -> None:
    """Score a family's known rules on one instance, which compiles all that a search needs."""
    family = family_class(name)()
    rules = [known.rule for known in type(family).known_rules().values()]
    with compilation.using(name):
        family.evaluate(rules, family.build(family.keys("training", 1, 0)[0]))


def load_kernels() -> None:
    """Warm up every installed family."""
    for name in family_names():
        warm_up(name)


def main() -> None:
    """Warm up every installed family, and say how long each took."""
    for name in family_names():
        start = time.monotonic()
        warm_up(name)
        sys.stderr.write(f"kernels of {name} ready in {time.monotonic() - start:.1f} s\n")


if __name__ == "__main__":
    main()
