"""Where the installed command begins: in the one package whose name nobody else has."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

from ruleforge.packages import ForeignPackageError, refuse_foreign_packages

INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line, unless other packages take the place of ours: exit code 1 and a sentence."""
    try:
        refuse_foreign_packages()
        # By name, as in this package's front door: the direction of imports is the other one.
        command_line = importlib.import_module("api.command_line")
    except ForeignPackageError as error:
        sys.exit(f"ruleforge: {error}")
    except KeyboardInterrupt:
        sys.stderr.write("ruleforge: interrupted\n")
        sys.exit(INTERRUPTED)
    command_line.main()
    raise AssertionError("the command line ends the process")
