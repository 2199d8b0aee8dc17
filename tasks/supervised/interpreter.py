"""Runs rules over blocks of the workspace: the frequent operators in explicit vectors, the others as everywhere."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel.compiler import kernel
from ruleforge.kernel.interpreter import (
    ADD,
    DIVIDE,
    EXPONENTIAL,
    LOGARITHM,
    MULTIPLY,
    NEGATE,
    SUBTRACT,
    interpret,
)
from ruleforge.kernel.lanes import (
    LANES,
    add,
    divide,
    exponential,
    load,
    logarithm,
    multiply,
    negate,
    store,
    subtract,
)


def _over_two(operation: Callable[..., object]) -> Callable[..., None]:
    @kernel(inline=True)
    def over(workspace: NDArray[np.float64], d: int, a: int, b: int, n_values: int) -> None:
        for i in range(0, n_values, LANES):
            store(workspace, d + i, operation(load(workspace, a + i), load(workspace, b + i)))

    compiled: Callable[..., None] = over
    return compiled


def _over_one(operation: Callable[..., object]) -> Callable[..., None]:
    @kernel(inline=True)
    def over(workspace: NDArray[np.float64], d: int, a: int, n_values: int) -> None:
        for i in range(0, n_values, LANES):
            store(workspace, d + i, operation(load(workspace, a + i)))

    compiled: Callable[..., None] = over
    return compiled


_sums, _differences, _products, _quotients = (_over_two(each) for each in (add, subtract, multiply, divide))
_negatives, _exponentials, _logarithms = (_over_one(each) for each in (negate, exponential, logarithm))


@kernel(inline=True)
def run(
    instructions: NDArray[np.int32],
    first: int,
    last: int,
    registers: NDArray[np.float64],
    workspace: NDArray[np.float64],
    n_values: int,
) -> None:
    """Run instructions first … last − 1 on the first n_values of the blocks that they name.

    instructions: (n_instructions, 4) int32; registers: (n_blocks, width) float64; workspace: the same memory as one
    dimension; n_values: a multiple of 16.
    """
    width = registers.shape[1]
    for index in range(first, last):
        opcode = instructions[index, 0]
        d, a, b = instructions[index, 1] * width, instructions[index, 2] * width, instructions[index, 3] * width
        if opcode == ADD:
            _sums(workspace, d, a, b, n_values)
        elif opcode == SUBTRACT:
            _differences(workspace, d, a, b, n_values)
        elif opcode == MULTIPLY:
            _products(workspace, d, a, b, n_values)
        elif opcode == DIVIDE:
            _quotients(workspace, d, a, b, n_values)
        elif opcode == NEGATE:
            _negatives(workspace, d, a, n_values)
        elif opcode == EXPONENTIAL:
            _exponentials(workspace, d, a, n_values)
        elif opcode == LOGARITHM:
            _logarithms(workspace, d, a, n_values)
        else:
            interpret(instructions[index : index + 1], 1, registers, n_values)
