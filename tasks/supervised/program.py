"""Rules as instructions over blocks of one workspace, with the work that all inputs share done once.

The rule is evaluated for blocks of `width` values (steps × experiments), input by input. v and u are the same for every
input and only s differs; so the operations that do not read s come first, once, and the others follow for each input.
The operations and their operands are those of the text: no bit of the result changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel.lanes import aligned_zeros
from ruleforge.kernel.program import compile_programs
from ruleforge.language.tokens import Tokens

# Signals in the order of the slot; blocks of the workspace: v, u, then s of every input, constants, temporaries.
TARGET, POTENTIAL, RESPONSE = range(3)


class Code(NamedTuple):
    """Instructions of a batch of rules.

    instructions: (n_instructions, 4) int32, opcode and the blocks of result, first and second operand;
    bounds: (n_rules, n_inputs + 2) int64, where in `instructions` the shared part begins, where that of each input
    begins, and the end; results: (n_rules, n_inputs) int64, the block of the rule's value for each input.
    """

    instructions: NDArray[np.int32]
    bounds: NDArray[np.int64]
    results: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Operation:
    opcode: int
    operands: tuple[_Value, ...]
    per_input: bool


# A signal by number, a constant, or what an operation made.
_Value = int | float | _Operation


def _operations(expressions: Sequence[Tokens], symbols: Sequence[str]) -> list[tuple[list[_Operation], _Value]]:
    """The operations of each rule, and its value, freed from the registers that they were compiled to."""
    programs = compile_programs(expressions, symbols)
    rules = []
    for row in range(len(expressions)):
        values: dict[int, _Value] = {signal: signal for signal in range(programs.n_signals)}
        values |= {programs.n_signals + i: float(constant) for i, constant in enumerate(programs.constants[row])}
        operations = []
        for opcode, destination, *sources in programs.instructions[row, : programs.lengths[row]].tolist():
            operands = tuple(values[source] for source in sources)
            operation = _Operation(opcode, operands, any(_is_per_input(operand) for operand in operands))
            values[destination] = operation
            operations.append(operation)
        rules.append((operations, values[int(programs.results[row])]))
    return rules


def _is_per_input(value: _Value) -> bool:
    return value.per_input if isinstance(value, _Operation) else isinstance(value, int) and value == RESPONSE


def assemble(
    expressions: Sequence[Tokens], symbols: Sequence[str], n_inputs: int, width: int
) -> tuple[Code, NDArray[np.float64]]:
    """Instructions of a batch of rules, and the workspace that they need, constants filled in.

    width: values per block. The workspace is (n_blocks, width) float64; blocks 0 (v), 1 (u) and 2 … n_inputs + 1 (s of
    each input) are for the caller to fill.
    """
    rules = _operations(expressions, symbols)
    constants: dict[bytes, float] = {}
    for operations, result in rules:
        for value in [operand for operation in operations for operand in operation.operands] + [result]:
            if isinstance(value, float):
                constants.setdefault(np.float64(value).tobytes(), value)  # by bits, so that 0 and −0 stay apart
    first_constant = RESPONSE + n_inputs
    constant_blocks = {bits: first_constant + index for index, bits in enumerate(constants)}
    first_temporary = first_constant + len(constants)

    instructions: list[tuple[int, int, int, int]] = []
    bounds: list[list[int]] = []
    results: list[list[int]] = []
    n_blocks = first_temporary
    for operations, result in rules:
        layout = _Layout(operations, constant_blocks, first_temporary)
        rule_bounds = [len(instructions)]
        instructions += [layout.instruction(operation, 0) for operation in operations if not operation.per_input]
        for index in range(n_inputs):
            rule_bounds.append(len(instructions))
            instructions += [layout.instruction(operation, index) for operation in operations if operation.per_input]
        rule_bounds.append(len(instructions))
        bounds.append(rule_bounds)
        results.append([layout.block(result, index) for index in range(n_inputs)])
        n_blocks = max(n_blocks, layout.n_blocks)
    workspace = aligned_zeros(n_blocks, width)
    workspace[first_constant:first_temporary] = np.array(list(constants.values())).reshape(-1, 1)
    code = Code(
        np.array(instructions, dtype=np.int32).reshape(-1, 4),
        np.array(bounds, dtype=np.int64).reshape(len(rules), n_inputs + 2),
        np.array(results, dtype=np.int64).reshape(len(rules), n_inputs),
    )
    return code, workspace


class _Layout:
    """Which block of the workspace holds what, for one rule."""

    def __init__(
        self, operations: Sequence[_Operation], constant_blocks: dict[bytes, int], first_temporary: int
    ) -> None:
        self.constant_blocks = constant_blocks
        self.temporaries: dict[int, int] = {}  # by identity of the operation
        self.n_blocks = first_temporary
        # What is shared keeps its block; a block of the others is free again after its last reader.
        for operation in operations:
            if not operation.per_input:
                self.temporaries[id(operation)] = self._new_block()
        n_shared = self.n_blocks
        per_input = [operation for operation in operations if operation.per_input]
        last_reader = {
            id(operand): index for index, operation in enumerate(per_input) for operand in operation.operands
        }
        free: list[int] = []
        for index, operation in enumerate(per_input):
            # Taken before those of the operands are given back: a loop that reads and writes one block is slow.
            self.temporaries[id(operation)] = free.pop() if free else self._new_block()
            for operand in {id(operand): operand for operand in operation.operands}.values():
                if isinstance(operand, _Operation) and operand.per_input and last_reader[id(operand)] == index:
                    free.append(self.temporaries[id(operand)])
        # Every other input has blocks of its own, so that two of them can be under way.
        self.n_shared = n_shared
        self.n_per_input = self.n_blocks - n_shared
        self.n_blocks += self.n_per_input

    def _new_block(self) -> int:
        self.n_blocks += 1
        return self.n_blocks - 1

    def block(self, value: _Value, index: int) -> int:
        """The block of a value while the rule is evaluated for input `index`."""
        if isinstance(value, _Operation):
            return self.temporaries[id(value)] + (self.n_per_input if value.per_input and index % 2 else 0)
        if isinstance(value, float):
            return self.constant_blocks[np.float64(value).tobytes()]
        return value + index if value == RESPONSE else value

    def instruction(self, operation: _Operation, index: int) -> tuple[int, int, int, int]:
        """One instruction: opcode, blocks of result, first and second operand."""
        first, second = operation.operands[0], operation.operands[-1]
        return operation.opcode, self.block(operation, index), self.block(first, index), self.block(second, index)
