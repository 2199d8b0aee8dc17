"""The command line: `ruleforge …`."""

from api.command_line.app import main

__all__ = ["main"]
