"""The parameters of the `correlation` family; the defaults are the published protocol."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ruleforge.errors import SpecificationError
from ruleforge.parameters import RESOLUTION, SCALE, TIME_CONSTANT, FamilyParameters, parameter

JORDAN_2021 = "Jordan, Schmidt, Senn & Petrovici, eLife 10:e66273 (2021)"
PFISTER_2006 = "Pfister & Gerstner, J. Neurosci. 26:9673 (2006), Table 3: visual cortex, minimal model, all-to-all"

# Spikes per input below which the end of an experiment is thinned by more than a tenth, see `input_rate`.
FEWEST_SPIKES = 6.0


class CorrelationParameters(FamilyParameters):
    """Neuron, input, pattern, plasticity and readout of the correlation-detection task."""

    resolution: float = parameter(
        0.1, unit="ms", meaning="step of the simulation grid", source=JORDAN_2021, **RESOLUTION
    )
    duration: float = parameter(
        100_000.0, unit="ms", meaning="time of learning", source=JORDAN_2021, on_grid=True, gt=0, le=1e7
    )

    membrane_time_constant: float = parameter(
        18.0, unit="ms", meaning="decay of the membrane potential", source=JORDAN_2021, **TIME_CONSTANT
    )
    threshold: float = parameter(
        20.0, unit="mV", meaning="threshold above rest; rest and reset are 0", source=JORDAN_2021, **SCALE
    )
    refractory_period: float = parameter(
        2.0,
        unit="ms",
        meaning="the potential stays at reset, and input that arrives is lost",
        source=JORDAN_2021,
        on_grid=True,
        ge=0,
        le=1e6,
    )
    initial_potential_deviation: float = parameter(
        10.0, unit="mV", meaning="standard deviation of V(0), which has mean 0", source=JORDAN_2021, ge=0, le=1e9
    )
    axonal_delay: float = parameter(
        1.0,
        unit="ms",
        meaning="from an input's spike to its synapse, where the weight is read",
        source=JORDAN_2021,
        on_grid=True,
        gt=0,
        le=1e6,
    )
    dendritic_delay: float = parameter(
        1.0,
        unit="ms",
        meaning="from the synapse to the membrane, and of an output spike back to the synapse",
        source=JORDAN_2021,
        on_grid=True,
        gt=0,
        le=1e6,
    )
    maximal_weight: float = parameter(
        1.0,
        unit="mV",
        meaning="jump of the potential for w = 1; rules see weights in units of it",
        source=JORDAN_2021,
        **SCALE,
    )

    n_inputs: int = parameter(1000, unit="1", meaning="number of input neurons", source=JORDAN_2021, ge=1, le=100_000)
    input_rate: float = parameter(
        3.0,
        unit="Hz",
        meaning="rate at which the spikes of pattern and background are drawn, for an input at most "
        "1.25·input_rate·duration of them. Windows of the pattern are emptied of background, so that the mean rate of "
        "an input is lower by pattern_duration/pattern_interval: 2.4 Hz in the published protocol",
        source=JORDAN_2021,
        ge=1e-3,
        le=1000,
    )
    pattern_duration: float = parameter(
        100.0, unit="ms", meaning="length of the repeated pattern", source=JORDAN_2021, on_grid=True, gt=0, le=1e7
    )
    pattern_interval: float = parameter(
        500.0,
        unit="ms",
        meaning="from one start of the pattern to the next",
        source=JORDAN_2021,
        on_grid=True,
        gt=0,
        le=1e7,
    )
    pattern_start: float = parameter(
        400.0, unit="ms", meaning="first start of the pattern", source=JORDAN_2021, on_grid=True, ge=0, le=1e7
    )
    kept_fraction: float = parameter(
        1 - 2 / 2.4,
        unit="1",
        meaning="part of its background spikes that an input keeps if it takes part in the pattern",
        source=JORDAN_2021,
        ge=0,
        le=1,
    )

    initial_weight: float | None = parameter(
        None,
        unit="maximal_weight",
        meaning="initial weight of all synapses of an instance; none = V_th/(N·r − 2·sqrt(N·r))/τ_m and "
        "initial_weight_deviation (published training), a number = exactly that (published validation: 0.5)",
        source=JORDAN_2021,
        ge=0,
        le=1,
    )
    initial_weight_deviation: float = parameter(
        0.1,
        unit="maximal_weight",
        meaning="standard deviation of the initial weight over instances, if initial_weight is none",
        source=JORDAN_2021,
        ge=0,
        le=1e9,
    )
    learning_rate: float = parameter(
        0.01, unit="1", meaning="λ: a facilitation adds λ·f, a depression takes λ·f away", source=JORDAN_2021, **SCALE
    )
    trace_time_constant: float = parameter(
        20.0, unit="ms", meaning="decay of the traces x and y", source=JORDAN_2021, **TIME_CONSTANT
    )
    slow_trace_time_constant: float = parameter(
        114.0, unit="ms", meaning="decay of the optional traces x_slow and y_slow", source=PFISTER_2006, **TIME_CONSTANT
    )
    facilitate_lower_bound: float | None = parameter(
        None,
        unit="maximal_weight",
        meaning="lowest weight that a facilitation leaves; none = unbounded until an input spike clips at 0",
        source=f"{JORDAN_2021}; 0 for the homeostatic rule of Masquelier, Neuroscience 389:133 (2018)",
        ge=0,
        le=1,
    )

    readout: float = parameter(
        11_000.0,
        unit="ms",
        meaning="time over which the response to the pattern is measured, with frozen weights and no threshold "
        "(published validation: 31000)",
        source=JORDAN_2021,
        on_grid=True,
        gt=0,
        le=1e7,
    )
    first_window_in_baseline: bool = parameter(
        False,
        unit="1",
        meaning="whether mean and standard deviation of the readout are taken as in the published validation: over the "
        "first pattern window too, which then has no maximum, and over the last step of every other window; the very "
        "last step of the readout then counts nowhere",
        source=JORDAN_2021,
    )
    saturated_rate: float | None = parameter(
        None,
        unit="Hz",
        meaning="a heuristic against rules that only fire: where a search sets a hurdle, a rule whose output fires "
        "faster than this between 5 and 10 % of the duration, with weights that are below the hurdle then, is not "
        "simulated further, though a few such rules would have ended above it; none = never. A search takes 40 unless "
        "another value is given; what no refractory neuron reaches, such as 1000, turns it off there",
        source="ours: at 40 Hz, published rules stay below 15 Hz there, those that detect nothing exceed 60 Hz",
        **SCALE,
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """What leaves no pattern, no input or no weight to begin with."""
        if self.pattern_interval <= self.pattern_duration:
            yield (
                "pattern_interval",
                f"pattern_interval ({self.pattern_interval:g} ms) must be longer than pattern_duration "
                f"({self.pattern_duration:g} ms)",
            )
        if self.readout > self.duration:
            yield (
                "readout",
                f"readout ({self.readout:g} ms) must not be longer than duration ({self.duration:g} ms)",
            )
        # The first window has no maximum where it counts in the baseline.
        needed, which = (self.pattern_interval, "second") if self.first_window_in_baseline else (0.0, "first")
        if self.pattern_start + needed + self.pattern_duration > self.readout:
            yield (
                "readout",
                f"readout ({self.readout:g} ms) must hold the {which} pattern, which ends at "
                f"{self.pattern_start + needed + self.pattern_duration:g} ms",
            )
        if self.axonal_delay + self.dendritic_delay >= self.readout:
            yield (
                "dendritic_delay",
                f"axonal_delay ({self.axonal_delay:g} ms) and dendritic_delay ({self.dendritic_delay:g} ms) must add "
                f"up to less than readout ({self.readout:g} ms), or no input arrives within it",
            )
        if self.initial_weight is None and self.n_inputs * self.input_rate <= 4:
            yield (
                "initial_weight",
                "without initial_weight, n_inputs·input_rate must be above 4 Hz, because the published formula "
                f"divides by N·r − 2·sqrt(N·r); {self.n_inputs * self.input_rate:g} Hz came",
            )

    def check_drawing(self) -> None:
        """Raise SpecificationError where drawn inputs would end long before the experiment does; given ones may."""
        spikes = self.input_rate * self.duration * 1e-3
        if spikes < FEWEST_SPIKES:
            sentence = (
                f"duration ({self.duration:g} ms) is expected to hold {FEWEST_SPIKES:g} spikes per input or more at "
                f"input_rate ({self.input_rate:g} Hz), because only 1.25 times as many are drawn; {spikes:g} came"
            )
            raise SpecificationError([("/parameters/duration", sentence)])

    @property
    def mean_initial_weight(self) -> float:
        """Mean of the initial weight where `initial_weight` is none (Jordan et al. 2021), in units of `maximal_weight`.

        With it the mean potential would stand two standard deviations of the input's count per second below threshold.
        """
        rate = self.n_inputs * self.input_rate
        return (
            self.threshold / (rate - 2 * math.sqrt(rate)) / (self.membrane_time_constant * 1e-3) / self.maximal_weight
        )
