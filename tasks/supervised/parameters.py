"""What defines the distribution of supervised problems, and the time grid that follows from it."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from ruleforge.family import parameter
from tasks.neuron import JORDAN_2021, NeuronParameters

# Times that differ by less than this fraction of a step count as equal: 0.29/0.01 is 28.999999999999996.
GRID_TOLERANCE = 1e-6
# The teacher's potential at every step has to fit into memory.
MAX_STEPS = 20_000_000


class SupervisedParameters(NeuronParameters):
    """Parameters of the supervised family. The threshold does not act here: neither neuron spikes or is reset."""

    n_inputs: int = parameter(
        5, unit="1", meaning="inputs that teacher and student share", source=JORDAN_2021, ge=1, le=1000
    )
    duration: float = parameter(
        10_000.0, unit="ms", meaning="length of an experiment", source=JORDAN_2021, gt=0, le=1e6
    )
    rate_minimum: float = parameter(150.0, unit="Hz", meaning="lowest rate of an input", source=JORDAN_2021, ge=0)
    rate_maximum: float = parameter(
        850.0, unit="Hz", meaning="highest rate of an input", source=JORDAN_2021, ge=0, le=1e5
    )
    teacher_weight_spread: float = parameter(
        20.0,
        unit="pA",
        meaning="the teacher's weights are uniform within ± this, plus the shift",
        source=JORDAN_2021,
        ge=0,
    )
    teacher_weight_shift: float = parameter(
        15.0,
        unit="pA",
        meaning="shift of all the teacher's weights, its sign drawn once per experiment",
        source=JORDAN_2021,
    )
    initial_weight: float = parameter(5.0, unit="pA", meaning="the student's weights at the start", source=JORDAN_2021)
    learning_rate: float = parameter(
        1.7, unit="pA/(ms·mV)", meaning="η: change of weight per ms and unit of I", source=JORDAN_2021
    )
    plasticity_time_constant: float = parameter(
        100.0,
        unit="ms",
        meaning="τ_I of the low-pass filter between the rule's value and the weight",
        source=JORDAN_2021,
        gt=0,
    )
    target_interval: float = parameter(
        5.0,
        unit="ms",
        meaning="the teacher's potential is sampled this often, and held, for the rule",
        source=JORDAN_2021,
        gt=0,
    )
    target_phase: float = parameter(
        0.0, unit="ms", meaning="time of the first of those samples (published runs: 1)", source=JORDAN_2021, ge=0
    )
    weight_reading_delay: float = parameter(
        1.0,
        unit="ms",
        meaning="from an input's spike to the synapse, where the weight is read",
        source=JORDAN_2021,
        gt=0,
    )
    weight_reading_interval: float = parameter(
        0.0,
        unit="ms",
        meaning="spikes carry the weight of the last multiple of this time; 0: of the moment (published runs: 1)",
        source=JORDAN_2021,
        ge=0,
    )
    comparison_start: float = parameter(
        1000.0, unit="ms", meaning="first time at which student and teacher are compared", source=JORDAN_2021, ge=0
    )
    comparison_interval: float = parameter(
        1.0, unit="ms", meaning="time from one comparison to the next", source=JORDAN_2021, gt=0
    )

    @model_validator(mode="after")
    def _fits_the_grid(self) -> Self:
        for name in (
            "synaptic_delay",
            "duration",
            "target_interval",
            "target_phase",
            "weight_reading_delay",
            "weight_reading_interval",
            "comparison_start",
            "comparison_interval",
        ):
            time = getattr(self, name)
            if abs(time - self.steps(time) * self.resolution) > GRID_TOLERANCE * self.resolution:
                raise ValueError(
                    f"{name} is expected to be a multiple of resolution ({self.resolution:g} ms), it is {time:g} ms"
                )
        if self.n_steps > MAX_STEPS:
            raise ValueError(
                f"duration/resolution is expected to be at most {MAX_STEPS:,} steps, it is {self.n_steps:,}"
            )
        if self.rate_minimum > self.rate_maximum:
            raise ValueError(
                f"rate_minimum ({self.rate_minimum:g} Hz) is expected not to exceed "
                f"rate_maximum ({self.rate_maximum:g} Hz)"
            )
        if self.target_phase >= self.target_interval:
            raise ValueError(
                f"target_phase ({self.target_phase:g} ms) is expected to be less than "
                f"target_interval ({self.target_interval:g} ms)"
            )
        if self.comparison_start > self.duration:
            raise ValueError(
                f"comparison_start ({self.comparison_start:g} ms) is expected not to exceed "
                f"duration ({self.duration:g} ms)"
            )
        if self.steps(self.weight_reading_delay) >= self.steps(self.synaptic_delay):
            raise ValueError(
                f"weight_reading_delay ({self.weight_reading_delay:g} ms) is expected to be at least one step shorter "
                f"than synaptic_delay ({self.synaptic_delay:g} ms)"
            )
        if self.weight_reading_interval > self.weight_reading_delay:
            raise ValueError(
                f"weight_reading_interval ({self.weight_reading_interval:g} ms) is expected not to exceed "
                f"weight_reading_delay ({self.weight_reading_delay:g} ms)"
            )
        return self

    def steps(self, time: float) -> int:
        """The nearest number of steps of `resolution` to a time in ms."""
        return round(time / self.resolution)

    @property
    def n_steps(self) -> int:
        """Steps in one experiment."""
        return self.steps(self.duration)

    @property
    def n_comparisons(self) -> int:
        """How often student and teacher are compared in one experiment."""
        return (self.n_steps - self.steps(self.comparison_start)) // self.steps(self.comparison_interval) + 1
