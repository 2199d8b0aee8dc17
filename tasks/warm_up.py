"""Compile and cache the kernels of every installed family: `python -m tasks.warm_up`."""

from __future__ import annotations

import sys
import time

from ruleforge.family import family_class, family_names


def main() -> None:
    """Score each family's known rules on one instance, which compiles all that a search needs."""
    for name in family_names():
        start = time.monotonic()
        family = family_class(name)()
        rules = [known.rule for known in type(family).known_rules().values()]
        family.evaluate(rules, family.build(family.keys("training", 1, 0)[0]))
        sys.stderr.write(f"kernels of {name} ready in {time.monotonic() - start:.1f} s\n")


if __name__ == "__main__":
    main()
