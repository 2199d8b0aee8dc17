"""The check for an installed family: `python -m ruleforge.conformance NAME`."""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from ruleforge.conformance import ConformanceError, check_family
from ruleforge.conformance.promises import require, update_digest
from ruleforge.conformance.scoring import checked_scores, score_of, trial_rules
from ruleforge.errors import InputError
from ruleforge.family import SPLITS, TaskFamily, family, family_class
from ruleforge.spec import apply_setting


def fingerprint(bound: TaskFamily) -> str:
    """32 hexadecimal digits over instances of every split and the scores of the trial rules on them."""
    running = hashlib.blake2b(digest_size=16)
    rules = trial_rules(type(bound))
    for split in SPLITS:
        instance = bound.build(bound.keys(split, 1, 1)[0])
        update_digest(running, instance)
        scores = checked_scores(bound, rules, instance)
        update_digest(running, [score_of(scores, row) for row in range(len(rules))])
    return running.hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Check an installed family by its name. Exit codes: 0 it conforms, 1 it does not, 2 bad input."""
    parser = argparse.ArgumentParser(prog="python -m ruleforge.conformance", description=main.__doc__)
    parser.add_argument("name", help="name of the family: that of its entry point")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a parameter; repeatable")
    parser.add_argument("--fingerprint", action="store_true", help="print a digest of instances and scores instead")
    given = parser.parse_args(arguments)
    try:
        checked = family_class(given.name)
        specification: dict[str, Any] = {}
        for setting in given.set:
            apply_setting(specification, setting, checked)
        bound = family(given.name, specification.get("parameters"))
        if given.fingerprint:
            sys.stdout.write(fingerprint(bound) + "\n")
            return 0
        same = checked.name == given.name
        require(same, "a family's name is that of its entry point", f"{checked.name!r} is installed as {given.name!r}")
        check_family(checked, specification.get("parameters"))
        _check_another_process(bound, [given.name, *(f"--set={setting}" for setting in given.set)])
    except InputError as error:
        sys.stderr.write(f"{given.name}: {error}\n")
        return 2
    except ConformanceError as error:
        sys.stderr.write(f"{given.name} breaks the contract of task families: {error}\n")
        return 1
    sys.stdout.write(f"{given.name} keeps the contract of task families\n")
    return 0


def _check_another_process(bound: TaskFamily, arguments: Sequence[str]) -> None:
    # Another seed of Python's own hash, on which the order of sets and hash() of texts depend.
    environment = {**os.environ, "PYTHONHASHSEED": "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"}
    command = [sys.executable, "-m", "ruleforge.conformance", *arguments, "--fingerprint"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    same = done.returncode == 0 and done.stdout.strip() == fingerprint(bound)
    promise = "instances and scores are the same to the bit in every process"
    require(same, promise, f"another process says {(done.stdout or done.stderr).strip()!r:.300}")


if __name__ == "__main__":
    sys.exit(main())
