"""The limits in C: compile them, hand them the same problem as the kernels, read back times and results."""

from __future__ import annotations

import functools
import json
import math
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.problems import Problem
from ruleforge.errors import RuleforgeError
from ruleforge.kernel.interpreter import fill_constants
from ruleforge.kernel.lanes import LANES
from ruleforge.kernel.program import OPCODES, compile_programs
from tasks.correlation import Correlation
from tasks.neuron import propagators
from tasks.reward import Reward
from tasks.supervised import Supervised
from tasks.supervised.program import assemble

SOURCES = Path(__file__).parent / "limits"
FLAGS = ("-O3", "-march=native", "-ffast-math", "-Wno-psabi")
NAMES = {
    "+": "ADD",
    "-": "SUBTRACT",
    "*": "MULTIPLY",
    "/": "DIVIDE",
    "**": "POWER",
    "neg": "NEGATE",
    "exp": "EXPONENTIAL",
    "log": "LOGARITHM",
}


class NoLimit(RuleforgeError):  # noqa: N818 (a reason, not a fault)
    """The C limit cannot be had here; the text says why."""


@dataclass(frozen=True)
class LimitRun:
    """What one run of a limit printed: seconds per repeat, and its results, flat arrays of float64 by name."""

    cpu_seconds: float
    wall_seconds: float
    results: dict[str, NDArray[np.float64]]


def compiler() -> str:
    """Path of gcc. Raises NoLimit where there is none."""
    found = shutil.which("gcc")
    if found is None:
        raise NoLimit("gcc is not installed")
    return found


@functools.cache
def compiler_version() -> str:
    """First line of `gcc --version`."""
    return subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def build(name: str, folder: Path) -> Path:
    """Compile limits/NAME.c into a folder and return the program. Raises NoLimit with the compiler's words."""
    program = folder / name
    operators = [f"-D{constant}={OPCODES[operator]}" for operator, constant in NAMES.items()]
    command = [compiler(), *FLAGS, *operators, str(SOURCES / f"{name}.c"), "-o", str(program), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoLimit(f"limits/{name}.c does not compile here: {done.stderr.strip()}")
    return program


class Limit:
    """One limit on one problem, ready to be run any number of times."""

    def __init__(self, problem: Problem, *, block: int | None = None) -> None:
        """block: for `supervised`, steps that are computed together; 1 is step by step, None as the kernel does."""
        self._folder = tempfile.TemporaryDirectory(prefix="ruleforge-limit-")
        try:
            self._prepare(problem, Path(self._folder.name), block)
        except BaseException:
            self.close()
            raise

    def _prepare(self, problem: Problem, folder: Path, block: int | None) -> None:
        self._program = build(problem.name, folder)
        self._input = folder / "input"
        arrays = {"reward": _reward, "correlation": _correlation}
        given = _supervised(problem, block) if problem.name == "supervised" else arrays[problem.name](problem)
        with self._input.open("wb") as file:
            for size, array in given:
                contiguous = np.ascontiguousarray(array)
                file.write(np.int64(contiguous.nbytes // size).tobytes())
                file.write(contiguous.tobytes())

    def run(self, repeats: int = 1) -> LimitRun:
        """Run it. The mean over `repeats` within one process; reading the input is not counted."""
        command = [str(self._program), str(self._input), str(repeats)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoLimit(f"limits/{self._program.name}.c failed: {done.stderr.strip()}")
        printed = json.loads(done.stdout)
        results = {name: np.array(values) for name, values in printed.items() if isinstance(values, list)}
        return LimitRun(printed["cpu_seconds"], printed["wall_seconds"], results)

    def close(self) -> None:
        """Remove the program and its input."""
        self._folder.cleanup()


# Arrays with the size of what C counts as one element: an instruction is four int32, a window two.
_Arrays = list[tuple[int, NDArray[np.generic]]]


def _numbers(*values: float) -> tuple[int, NDArray[np.generic]]:
    return 8, np.array(values, dtype=np.float64)


def _programs(problem: Problem, slot: int, n_values: int) -> _Arrays:
    symbols = problem.family.slots[slot].symbols
    programs = compile_programs([rule.expressions[slot] for rule in problem.rules], symbols)
    registers = fill_constants(programs, n_values)
    return [(16, programs.instructions), (4, programs.lengths), (4, programs.results), (8, registers)]


def _reward(problem: Problem) -> _Arrays:
    bound, (instance,) = problem.family, problem.instances
    assert isinstance(bound, Reward)
    assert len(problem.rules) <= LANES
    p, step = bound.parameters, propagators(bound.parameters)
    h = p.resolution
    if not math.isclose(p.eligibility_scale / p.escape_scale, 25.0):
        raise NoLimit("limits/reward.c has eligibility_scale/escape_scale = 25 built in")
    return [
        _numbers(
            step.membrane,
            step.current,
            step.coupling,
            step.amplitude,
            p.threshold - p.resting_potential,
            1.0 / p.eligibility_scale,
            p.escape_rate * h * 1e-3,
            p.eligibility_gain * p.eligibility_rate * h,
            p.eligibility_gain,
            round(p.refractory_period / h),
            p.learning_rate,
            round(p.trial_duration / h),
            h / p.eligibility_time_constant,
        ),
        (4, instance.order),
        (8, instance.labels),
        (8, instance.offsets),
        (4, instance.arrival_steps),
        (4, instance.arrival_inputs),
        (8, instance.initial_weights),
        (8, instance.noise_seeds),
        *_programs(problem, 0, len(instance.initial_weights)),
    ]


def _lanes(arrays: Sequence[NDArray[np.float64]]) -> tuple[int, NDArray[np.generic]]:
    """(n, LANES): array after array as columns; unused lanes repeat the first."""
    columns = [*arrays, *[arrays[0]] * (LANES - len(arrays))]
    return 8, np.stack(columns, axis=1)


def _supervised(problem: Problem, block: int | None) -> _Arrays:
    bound, instances = problem.family, problem.instances
    assert isinstance(bound, Supervised)
    assert len(problem.rules) == 1
    assert len(instances) <= LANES
    p, step = bound.parameters, propagators(bound.parameters)
    delay, reading = p.steps(p.synaptic_delay), p.steps(p.weight_reading_delay)
    if p.weight_reading_interval:
        raise NoLimit("limits/supervised.c has no weight_reading_interval")
    block = bound._constants.block if block is None else block
    code, registers = assemble([problem.rules[0].expressions[0]], bound.slots[0].symbols, p.n_inputs, block * LANES)
    n_spikes = [len(instance.spike_steps) for instance in instances]
    return [
        _numbers(
            step.membrane,
            step.current,
            step.coupling,
            p.resting_potential,
            math.exp(-p.resolution / p.plasticity_time_constant),
            p.learning_rate * p.resolution,
            p.n_inputs,
            p.n_steps,
            block,
            delay,
            reading,
            p.steps(p.target_phase),
            p.steps(p.target_interval),
            p.steps(p.comparison_start),
            p.steps(p.comparison_interval),
        ),
        (8, np.concatenate([instance.spike_steps for instance in instances])),
        (8, np.concatenate([instance.spike_inputs for instance in instances])),
        (8, np.repeat(np.arange(len(instances), dtype=np.int64), n_spikes)),
        _lanes([instance.held_targets for instance in instances]),
        _lanes([instance.compared_targets for instance in instances]),
        _lanes([instance.initial_weights for instance in instances]),
        (16, code.instructions),
        (8, code.bounds),
        (8, code.results),
        (8, registers),
    ]


def _correlation(problem: Problem) -> _Arrays:
    bound, (instance,) = problem.family, problem.instances
    assert isinstance(bound, Correlation)
    p, settings = bound.parameters, bound.settings
    return [
        _numbers(
            settings.n_steps,
            settings.delay,
            settings.refractory,
            settings.threshold,
            settings.maximal_weight,
            settings.learning_rate,
            max(settings.lower_bound, -1e300),
            settings.readout,
            p.resolution / p.membrane_time_constant,
            p.resolution / p.trace_time_constant,
            instance.initial_potential,
            instance.readout_potential,
        ),
        (4, instance.passes),
        (4, instance.inputs),
        (8, instance.windows),
        (8, instance.initial_weights),
        *_programs(problem, 0, 1),
        *_programs(problem, 1, 1),
    ]
