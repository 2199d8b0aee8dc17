"""A batch of rules compiled for one instance, and what one simulation of learning leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel.interpreter import fill_constants
from ruleforge.kernel.program import compile_programs
from ruleforge.language.rule import Rule
from tasks.correlation import kernel
from tasks.correlation.instance import Instance

DEPRESS, FACILITATE = range(2)  # in the order of the family's slots


@dataclass(frozen=True, eq=False)
class Run:
    """What one simulation left.

    status: FINISHED, NON_FINITE or SATURATED of the kernel; weights: (n_inputs,) at the end; carried: (n_spikes,), the
    weight that each input spike took to the membrane; outputs: steps of the output spikes; record: (n_records,
    n_inputs), weights on the way.
    """

    status: int
    weights: NDArray[np.float64]
    carried: NDArray[np.float64]
    outputs: NDArray[np.int32]
    record: NDArray[np.float64]


class Learner:
    """Runs the rules of a batch on one instance, one by one; holds the working memory, so not for several threads."""

    def __init__(self, rules: Sequence[Rule], instance: Instance, settings: kernel.Settings) -> None:
        self.instance, self.settings = instance, settings
        slots = rules[0].slots
        self._programs = [
            compile_programs([rule.expressions[slot] for rule in rules], slots[slot].symbols)
            for slot in (DEPRESS, FACILITATE)
        ]
        self._reads = [
            np.array(
                [[symbol in rule.expressions[slot] for symbol in slots[slot].symbols] for rule in rules], dtype=np.bool_
            )
            for slot in (DEPRESS, FACILITATE)
        ]
        self._synapses = fill_constants(self._programs[FACILITATE], kernel.LANES)
        self._block = fill_constants(self._programs[DEPRESS], kernel.BLOCK)
        self._carried = np.zeros(instance.passes.size)
        self._outputs = np.zeros(settings.n_steps // (settings.refractory + 1) + 2, dtype=np.int32)

    def learn(
        self, row: int, *, check: tuple[int, int, int] = (0, 0, 0), record_at: NDArray[np.int32] | None = None
    ) -> Run:
        """Simulate rule `row`. `carried` and `outputs` of the result are overwritten by the next call.

        check: (first step, last step, output spikes), see `kernel.learn`; record_at: steps, ascending.
        """
        instance = self.instance
        at = np.zeros(0, dtype=np.int32) if record_at is None else record_at
        record = np.zeros((at.size, instance.n_inputs))
        weights = np.zeros(instance.n_inputs)
        n_chunks = -(-instance.n_inputs // kernel.LANES)
        status, n_outputs = kernel.learn(
            instance.passes,
            instance.inputs,
            instance.distinct_until,
            instance.initial_weights,
            instance.initial_potential,
            self._program(FACILITATE, row),
            np.repeat(self._synapses[row][None], n_chunks, axis=0),
            self._program(DEPRESS, row),
            self._block[row],
            self.settings,
            np.array(check, dtype=np.int64),
            weights,
            self._carried,
            self._outputs,
            at,
            record,
        )
        return Run(status, weights, self._carried, self._outputs[:n_outputs], record)

    def _program(self, slot: int, row: int) -> kernel.Program:
        programs = self._programs[slot]
        return kernel.Program(
            programs.instructions[row], int(programs.lengths[row]), int(programs.results[row]), self._reads[slot][row]
        )
