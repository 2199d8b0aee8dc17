"""Runs rules over blocks of the workspace: + − × ÷ in explicit vectors, everything else by the common interpreter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel.compiler import kernel
from ruleforge.kernel.interpreter import ADD, DIVIDE, MULTIPLY, SUBTRACT, interpret
from ruleforge.kernel.lanes import LANES, add, divide, load, multiply, store, subtract


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
            for i in range(0, n_values, LANES):
                store(workspace, d + i, add(load(workspace, a + i), load(workspace, b + i)))
        elif opcode == SUBTRACT:
            for i in range(0, n_values, LANES):
                store(workspace, d + i, subtract(load(workspace, a + i), load(workspace, b + i)))
        elif opcode == MULTIPLY:
            for i in range(0, n_values, LANES):
                store(workspace, d + i, multiply(load(workspace, a + i), load(workspace, b + i)))
        elif opcode == DIVIDE:
            for i in range(0, n_values, LANES):
                store(workspace, d + i, divide(load(workspace, a + i), load(workspace, b + i)))
        else:
            interpret(instructions[index : index + 1], 1, registers, n_values)
