"""What defines the distribution of supervised problems, and the time grid that follows from it."""

from __future__ import annotations

from collections.abc import Iterator

from ruleforge.parameters import SIGNED, TIME_CONSTANT, parameter
from tasks.neuron import JORDAN_2021, NeuronParameters

# The teacher's potential at every step has to fit into memory.
MAX_STEPS = 20_000_000
# Times and what they have to be shorter than: held samples begin within the first interval, a weight is read before it
# reaches the membrane, and an input that spikes at the start is heard before the end.
_SHORTER = (
    ("target_phase", "target_interval"),
    ("weight_reading_delay", "synaptic_delay"),
    ("synaptic_delay", "duration"),
)
_NOT_LONGER = (("comparison_start", "duration"), ("weight_reading_interval", "weight_reading_delay"))


class SupervisedParameters(NeuronParameters):
    """Parameters of the supervised family. The threshold does not act here: neither neuron spikes or is reset."""

    n_inputs: int = parameter(
        5, unit="1", meaning="inputs that teacher and student share", source=JORDAN_2021, ge=1, le=1000
    )
    duration: float = parameter(
        10_000.0, unit="ms", meaning="length of an experiment", source=JORDAN_2021, on_grid=True, gt=0, le=1e6
    )
    rate_minimum: float = parameter(
        150.0, unit="Hz", meaning="lowest rate of an input", source=JORDAN_2021, ge=0, le=1e5
    )
    rate_maximum: float = parameter(
        850.0, unit="Hz", meaning="highest rate of an input", source=JORDAN_2021, ge=0, le=1e5
    )
    teacher_weight_spread: float = parameter(
        20.0,
        unit="pA",
        meaning="the teacher's weights are uniform within ± this, plus the shift",
        source=JORDAN_2021,
        ge=0,
        le=1e9,
    )
    teacher_weight_shift: float = parameter(
        15.0,
        unit="pA",
        meaning="shift of all the teacher's weights, its sign drawn once per experiment",
        source=JORDAN_2021,
        **SIGNED,
    )
    initial_weight: float = parameter(
        5.0, unit="pA", meaning="the student's weights at the start", source=JORDAN_2021, **SIGNED
    )
    learning_rate: float = parameter(
        1.7, unit="pA/(ms·mV)", meaning="η: change of weight per ms and unit of I", source=JORDAN_2021, **SIGNED
    )
    plasticity_time_constant: float = parameter(
        100.0,
        unit="ms",
        meaning="τ_I of the low-pass filter between the rule's value and the weight",
        source=JORDAN_2021,
        **TIME_CONSTANT,
    )
    target_interval: float = parameter(
        5.0,
        unit="ms",
        meaning="the teacher's potential is sampled this often, and held, for the rule",
        source=JORDAN_2021,
        on_grid=True,
        gt=0,
        le=1e6,
    )
    target_phase: float = parameter(
        0.0,
        unit="ms",
        meaning="time of the first of those samples (published runs: 1)",
        source=JORDAN_2021,
        on_grid=True,
        ge=0,
        le=1e6,
    )
    weight_reading_delay: float = parameter(
        1.0,
        unit="ms",
        meaning="from an input's spike to the synapse, where the weight is read",
        source=JORDAN_2021,
        on_grid=True,
        gt=0,
        le=1e6,
    )
    weight_reading_interval: float = parameter(
        0.0,
        unit="ms",
        meaning="spikes carry the weight of the last multiple of this time; 0: of the moment (published runs: 1)",
        source=JORDAN_2021,
        on_grid=True,
        ge=0,
        le=1e6,
    )
    comparison_start: float = parameter(
        1000.0,
        unit="ms",
        meaning="first time at which student and teacher are compared",
        source=JORDAN_2021,
        on_grid=True,
        ge=0,
        le=1e6,
    )
    comparison_interval: float = parameter(
        1.0, unit="ms", meaning="time from one comparison to the next", source=JORDAN_2021, on_grid=True, gt=0, le=1e6
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """What the order of events or the memory for them forbids."""
        if self.n_steps > MAX_STEPS:
            yield (
                "duration",
                f"duration/resolution is expected to be at most {MAX_STEPS:,} steps, it is {self.n_steps:,}",
            )
        if self.rate_minimum > self.rate_maximum:
            yield (
                "rate_minimum",
                f"rate_minimum ({self.rate_minimum:g} Hz) is expected not to exceed "
                f"rate_maximum ({self.rate_maximum:g} Hz)",
            )
        for name, longer in _SHORTER:
            time, limit = getattr(self, name), getattr(self, longer)
            if self.steps(time) >= self.steps(limit):
                sentence = f"{name} ({time:g} ms) is expected to be less than {longer} ({limit:g} ms)"
                yield name, f"{sentence}, by at least one step of resolution ({self.resolution:g} ms)"
        for name, longest in _NOT_LONGER:
            time, limit = getattr(self, name), getattr(self, longest)
            if time > limit:
                yield name, f"{name} ({time:g} ms) is expected not to exceed {longest} ({limit:g} ms)"

    @property
    def n_steps(self) -> int:
        """Steps in one experiment."""
        return self.steps(self.duration)

    @property
    def n_comparisons(self) -> int:
        """How often student and teacher are compared in one experiment."""
        return (self.n_steps - self.steps(self.comparison_start)) // self.steps(self.comparison_interval) + 1
