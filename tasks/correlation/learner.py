"""A batch of rules compiled for one instance, and what one simulation of learning leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ruleforge.kernel.interpreter import fill_constants
from ruleforge.kernel.lanes import LANES, aligned_zeros
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


def _on_cache_lines(array: NDArray[np.float64]) -> NDArray[np.float64]:
    placed = aligned_zeros(*array.shape)
    placed[:] = array
    return placed


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
        self._registers = [
            _on_cache_lines(fill_constants(self._programs[slot], width))
            for slot, width in ((DEPRESS, kernel.BLOCK), (FACILITATE, kernel.CHUNK))
        ]
        self._synapses = aligned_zeros(3, kernel.whole_lanes(instance.n_inputs))
        self._carried = np.zeros(instance.passes.size + LANES)
        self._outputs = np.zeros(settings.n_steps // (settings.refractory + 1) + 2, dtype=np.int32)

    def learn(
        self, row: int, *, check: tuple[int, int, int] = (0, 0, 0), record_at: NDArray[np.int32] | None = None
    ) -> Run:
        """Simulate rule `row`. `carried` and `outputs` of the result are overwritten by the next call.

        check: (first step, last step, output spikes), see `kernel.learn`; record_at: steps, ascending.
        """
        instance = self.instance
        status, n_passed, n_outputs = kernel.learn(
            instance.passes,
            instance.inputs,
            instance.distinct_until,
            instance.initial_weights,
            instance.initial_potential,
            self._program(FACILITATE, row),
            self._program(DEPRESS, row),
            self.settings,
            np.array(check, dtype=np.int64),
            self._synapses[0],
            self._synapses[1],
            self._synapses[2],
            self._carried,
            self._outputs,
        )
        weights = self._weights_after(n_passed)
        if status == kernel.FINISHED and not np.isfinite(weights).all():
            status = kernel.NON_FINITE
        at = np.zeros(0, dtype=np.int32) if record_at is None else record_at
        record = np.zeros((at.size, instance.n_inputs))
        for number, n_recorded in enumerate(np.searchsorted(instance.passes, at, side="right")):
            record[number] = self._weights_after(min(n_recorded, n_passed))
        return Run(status, weights, self._carried[: instance.passes.size], self._outputs[:n_outputs], record)

    def _weights_after(self, n_passed: int) -> NDArray[np.float64]:
        instance = self.instance
        weights: NDArray[np.float64] = kernel.weights_after(
            n_passed, instance.inputs, self._carried, instance.initial_weights
        )
        return weights

    def _program(self, slot: int, row: int) -> kernel.Program:
        programs, registers = self._programs[slot], self._registers[slot][row]
        return kernel.Program(
            programs.instructions[row],
            int(programs.lengths[row]),
            int(programs.results[row]),
            self._reads[slot][row],
            registers,
            registers.reshape(-1),
        )
