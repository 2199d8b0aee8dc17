"""ruleforge discovers synaptic plasticity rules.

>>> import ruleforge
>>> result = ruleforge.evolve("reward", seed=1)                                  # doctest: +SKIP
>>> result = ruleforge.resume(result, budget=5000)                               # doctest: +SKIP
>>> ruleforge.evaluate("reward", "(R - 1)*E", split="validation").mean           # doctest: +SKIP
>>> rule = ruleforge.Rule.parse("dw: (R - 1)*E", task="reward")
>>> rule.complexity
5
>>> with ruleforge.Client("http://127.0.0.1:8000") as client:                    # doctest: +SKIP
...     client.submit(task="reward").wait()
"""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

from ruleforge.packages import refuse_foreign_packages

if TYPE_CHECKING:
    from api.client import Client
    from api.python import evolve, resume
    from ruleforge.errors import InputError, RuleforgeError
    from ruleforge.language.rule import Rule
    from workers.interface import Evaluation, Result, evaluate

    __version__: str

__all__ = [
    "Client",
    "Evaluation",
    "InputError",
    "Result",
    "Rule",
    "RuleforgeError",
    "__version__",
    "evaluate",
    "evolve",
    "resume",
]

# The package's front door: where each name lives. Loaded when first used, so that nothing heavy is imported early.
_HOMES = {
    "Client": "api.client",
    "Rule": "ruleforge.language.rule",
    "InputError": "ruleforge.errors",
    "RuleforgeError": "ruleforge.errors",
    "evolve": "api.python",
    "resume": "api.python",
    "evaluate": "workers.interface",
    "Result": "workers.interface",
    "Evaluation": "workers.interface",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return importlib.metadata.version("ruleforge")  # as installed: pyproject.toml is the one place where it stands
    if name not in _HOMES:
        raise AttributeError(f"module 'ruleforge' has no attribute {name!r}")
    if not _HOMES[name].startswith("ruleforge."):
        refuse_foreign_packages()
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
