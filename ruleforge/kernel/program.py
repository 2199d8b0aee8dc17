"""Tokens → register programs, the form in which compiled kernels run rules.

An instruction is (opcode, destination, first operand, second operand). Registers hold, in this order, the signals of
the slot, the constants, and temporaries; so reading a signal or a constant costs nothing, and a subexpression that
occurs twice is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ruleforge.language.primitives import PRIMITIVES, Primitive
from ruleforge.language.tokens import Token, Tokens, fold


@dataclass(frozen=True)
class Programs:
    """Register programs of a batch of rules, all with one layout of registers.

    instructions: (n_rules, n_longest, 4) int32; lengths: (n_rules,) int32, number of instructions;
    results: (n_rules,) int32, the register that holds the value at the end;
    constants: (n_rules, n_constants) float64, to be put into the registers n_signals … n_signals + n_constants − 1;
    n_registers: how many registers any of the rules needs.
    """

    instructions: NDArray[np.int32]
    lengths: NDArray[np.int32]
    results: NDArray[np.int32]
    constants: NDArray[np.float64]
    n_signals: int
    n_registers: int


@dataclass(frozen=True)
class _Graph:
    """The distinct operations of one expression, operands before users; the last one is the result."""

    operations: list[tuple[int, tuple[int, ...]]]  # (opcode, operand nodes)
    constants: list[float]
    result: int  # nodes: signals, then constants as −1 − index, then n_signals + index of the operation


def _graph(tokens: Tokens, symbols: Sequence[str]) -> _Graph:
    operations: list[tuple[int, tuple[int, ...]]] = []
    numbered: dict[tuple[int, tuple[int, ...]], int] = {}
    constants: list[float] = []
    bits: dict[bytes, int] = {}

    def leaf(token: Token) -> int:
        if isinstance(token, str):
            return list(symbols).index(token)
        key = np.float64(token).tobytes()  # by bits, so that 0 and −0 stay apart
        if key not in bits:
            bits[key] = len(constants)
            constants.append(token)
        return -1 - bits[key]

    def node(primitive: Primitive, operands: list[int]) -> int:
        operation = (primitive.opcode, tuple(operands))
        if operation not in numbered:
            numbered[operation] = len(symbols) + len(operations)
            operations.append(operation)
        return numbered[operation]

    return _Graph(operations, constants, fold(tokens, leaf, node))


def compile_programs(expressions: Sequence[Tokens], symbols: Sequence[str]) -> Programs:
    """Compile the expressions of one slot, one per rule; `symbols` are the slot's signals in register order."""
    graphs = [_graph(tokens, symbols) for tokens in expressions]
    n_signals = len(symbols)
    n_constants = max((len(graph.constants) for graph in graphs), default=0)
    first_temporary = n_signals + n_constants
    n_longest = max((len(graph.operations) for graph in graphs), default=0)
    n_rules = len(graphs)
    instructions = np.zeros((n_rules, max(1, n_longest), 4), dtype=np.int32)
    constants = np.zeros((n_rules, n_constants))
    results = np.zeros(n_rules, dtype=np.int32)
    n_registers = first_temporary
    for row, graph in enumerate(graphs):
        constants[row, : len(graph.constants)] = graph.constants
        last_use = {operand: index for index, (_, operands) in enumerate(graph.operations) for operand in operands}
        last_use[graph.result] = len(graph.operations)
        place: dict[int, int] = {}
        free: list[int] = []
        n_used = first_temporary

        def register(node: int, place: dict[int, int] = place) -> int:
            if node < 0:
                return n_signals - 1 - node
            return node if node < n_signals else place[node]

        for index, (opcode, operands) in enumerate(graph.operations):
            # The destination is never one of the operands: a loop that reads and writes one array is not vectorised.
            if free:
                destination = free.pop()
            else:
                destination = n_used
                n_used += 1
            sources = [register(operand) for operand in operands]
            place[n_signals + index] = destination
            instructions[row, index] = (opcode, destination, sources[0], sources[-1])
            for operand in set(operands):
                if operand >= n_signals and last_use[operand] == index:
                    free.append(place[operand])
        results[row] = register(graph.result)
        n_registers = max(n_registers, n_used)
    lengths = np.array([len(graph.operations) for graph in graphs], dtype=np.int32)
    return Programs(instructions, lengths, results, constants, n_signals, n_registers)


OPCODES = {name: primitive.opcode for name, primitive in PRIMITIVES.items()}
