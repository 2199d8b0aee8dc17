"""Runs a register program over many values at once, inside compiled kernels.

Plain IEEE arithmetic in the order that the rule's text says: no flag relaxes it, so a rule gives the same bits whatever
stands beside it in a batch, and poles, NaN and infinities come out as they do in numpy.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel.compiler import kernel
from ruleforge.kernel.functions import exponential, logarithm
from ruleforge.kernel.program import OPCODES, Programs

ADD, SUBTRACT, MULTIPLY, DIVIDE = OPCODES["+"], OPCODES["-"], OPCODES["*"], OPCODES["/"]
POWER, NEGATE, ROOT, EXPONENTIAL = OPCODES["**"], OPCODES["neg"], OPCODES["sqrt"], OPCODES["exp"]
LOGARITHM, TANH, ABSOLUTE = OPCODES["log"], OPCODES["tanh"], OPCODES["abs"]
SMALLER, LARGER, SIGN = OPCODES["min"], OPCODES["max"], OPCODES["sign"]


@kernel(inline=True)
def power(base: float, exponent: float) -> float:
    """IEEE pow, and of a negative base to a non-integer exponent the real part |b|^e·cos(πe)."""
    if base < 0.0 and math.floor(exponent) != exponent:
        oblique: float = (-base) ** exponent * math.cos(math.pi * exponent)
        return oblique
    straight: float = base**exponent
    return straight


@kernel()
def interpret(instructions: NDArray[np.int32], length: int, registers: NDArray[np.float64], n_values: int) -> None:
    """Run one program. instructions: (n_longest, 4) int32; registers: (n_registers, ≥ n_values) float64, signals and
    constants filled in; the temporaries are overwritten.
    """
    for index in range(length):
        opcode = instructions[index, 0]
        d = instructions[index, 1]
        a = instructions[index, 2]
        b = instructions[index, 3]
        if opcode == ADD:
            for i in range(n_values):
                registers[d, i] = registers[a, i] + registers[b, i]
        elif opcode == SUBTRACT:
            for i in range(n_values):
                registers[d, i] = registers[a, i] - registers[b, i]
        elif opcode == MULTIPLY:
            for i in range(n_values):
                registers[d, i] = registers[a, i] * registers[b, i]
        elif opcode == DIVIDE:
            for i in range(n_values):
                registers[d, i] = registers[a, i] / registers[b, i]
        elif opcode == POWER:
            for i in range(n_values):
                registers[d, i] = power(registers[a, i], registers[b, i])
        elif opcode == NEGATE:
            for i in range(n_values):
                registers[d, i] = -registers[a, i]
        elif opcode == ROOT:
            for i in range(n_values):
                registers[d, i] = math.sqrt(registers[a, i]) if registers[a, i] >= 0.0 else np.nan
        elif opcode == EXPONENTIAL:
            for i in range(n_values):
                registers[d, i] = exponential(registers[a, i])
        elif opcode == LOGARITHM:
            for i in range(n_values):
                registers[d, i] = logarithm(registers[a, i])
        elif opcode == TANH:
            for i in range(n_values):
                registers[d, i] = math.tanh(registers[a, i])
        elif opcode == ABSOLUTE:
            for i in range(n_values):
                registers[d, i] = abs(registers[a, i])
        elif opcode == SMALLER:
            for i in range(n_values):
                x, y = registers[a, i], registers[b, i]
                registers[d, i] = y if y < x or math.isnan(y) else x
        elif opcode == LARGER:
            for i in range(n_values):
                x, y = registers[a, i], registers[b, i]
                registers[d, i] = y if y > x or math.isnan(y) else x
        elif opcode == SIGN:
            for i in range(n_values):
                x = registers[a, i]
                registers[d, i] = 1.0 if x > 0.0 else (-1.0 if x < 0.0 else abs(x))  # of −0 it is 0, as in numpy


def fill_constants(programs: Programs, n_values: int) -> NDArray[np.float64]:
    """Fresh registers for each rule: (n_rules, n_registers, n_values) float64, with the constants in place."""
    registers = np.zeros((programs.constants.shape[0], programs.n_registers, n_values))
    last = programs.n_signals + programs.constants.shape[1]
    registers[:, programs.n_signals : last, :] = programs.constants[:, :, None]
    return registers


def run_program(programs: Programs, row: int, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Value of one rule of a batch on given signals, (n_signals, n_values) float64 → (n_values,)."""
    registers = fill_constants(programs, inputs.shape[1])[row]
    registers[: programs.n_signals] = inputs
    interpret(programs.instructions[row], programs.lengths[row], registers, inputs.shape[1])
    result: NDArray[np.float64] = registers[programs.results[row]].copy()
    return result
