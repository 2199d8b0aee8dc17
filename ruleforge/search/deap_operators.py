"""DEAP's own tree operators, run on a generator that is passed in.

DEAP draws from Python's global generator. Its functions are rebuilt here over a namespace of their own, in which
`random` is the generator of the moment: same code, no global state, and DEAP itself stays untouched for others.
"""

from __future__ import annotations

import random
from types import FunctionType
from typing import Any

from deap import gp


class TreeOperators:
    """The generation, crossover and mutation of `deap.gp`, all drawing from `generator`."""

    def __init__(self, generator: random.Random) -> None:
        namespace: dict[str, Any] = dict(vars(gp))
        namespace["random"] = generator
        for name, function in vars(gp).items():
            if isinstance(function, FunctionType) and function.__module__ == gp.__name__:
                namespace[name] = FunctionType(
                    function.__code__, namespace, name, function.__defaults__, function.__closure__
                )
        self.generator = generator
        self.generate_full = namespace["genFull"]
        self.generate_grow = namespace["genGrow"]
        self.exchange_subtrees = namespace["cxOnePoint"]
        self.mutate_uniform = namespace["mutUniform"]
        self.replace_node = namespace["mutNodeReplacement"]
        self.insert = namespace["mutInsert"]
        self.shrink = namespace["mutShrink"]
