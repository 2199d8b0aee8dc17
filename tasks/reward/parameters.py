"""Parameters of the reward family, with the published values as defaults."""

from __future__ import annotations

from collections.abc import Iterator

from ruleforge.parameters import SCALE, SIGNED, STEEPNESS, TIME_CONSTANT, parameter
from tasks.neuron import JORDAN_2021, NeuronParameters

# e to this power, times any gain and number of steps, is still far from the end of float64.
LARGEST_EXPONENT = 500.0


class RewardParameters(NeuronParameters):
    """One neuron learns to classify frozen spike patterns from a delayed reward (Jordan et al. 2021)."""

    refractory_period: float = parameter(
        2.0,
        unit="ms",
        meaning="V stays at rest for this long after a spike",
        source=JORDAN_2021,
        on_grid=True,
        ge=0,
        le=100_000,
    )
    escape_rate: float = parameter(
        0.01, unit="Hz", meaning="ρ₀: rate of output spikes at the threshold", source=JORDAN_2021, **SCALE
    )
    escape_scale: float = parameter(
        0.2,
        unit="mV",
        meaning="δ: rise of V that makes output spikes e times as frequent",
        source=JORDAN_2021,
        **STEEPNESS,
    )
    eligibility_rate: float = parameter(
        0.01, unit="1/ms", meaning="rate at the threshold in the synapse's φ(V)", source=JORDAN_2021, ge=0, le=1e6
    )
    eligibility_scale: float = parameter(
        5.0, unit="mV", meaning="δ_E: scale of the synapse's φ(V)", source=JORDAN_2021, **STEEPNESS
    )
    eligibility_time_constant: float = parameter(
        500.0, unit="ms", meaning="τ_E: decay of the eligibility trace", source=JORDAN_2021, **TIME_CONSTANT
    )
    eligibility_gain: float = parameter(
        4000.0, unit="1/mV", meaning="κ: makes the eligibility dimensionless", source=JORDAN_2021, **SCALE
    )
    n_inputs: int = parameter(50, unit="1", meaning="number of inputs", source=JORDAN_2021, ge=1, le=100_000)
    connection_probability: float = parameter(
        0.8, unit="1", meaning="chance that an input is connected", source=JORDAN_2021, gt=0, le=1
    )
    initial_weight_deviation: float = parameter(
        1000.0, unit="pA", meaning="standard deviation of initial weights, mean 0", source=JORDAN_2021, ge=0, le=1e9
    )
    n_patterns: int = parameter(30, unit="1", meaning="number of frozen patterns", source=JORDAN_2021, ge=1, le=10_000)
    input_rate: float = parameter(
        6.0, unit="Hz", meaning="rate of the Poisson patterns, per input", source=JORDAN_2021, ge=0, le=1000
    )
    trial_duration: float = parameter(
        500.0, unit="ms", meaning="T: duration of a trial", source=JORDAN_2021, on_grid=True, gt=0, le=100_000
    )
    n_trials: int = parameter(
        500, unit="1", meaning="number of trials of an experiment", source=JORDAN_2021, ge=1, le=1_000_000
    )
    learning_rate: float = parameter(
        10.0, unit="pA", meaning="η: a weight moves by η·f(R, E) after each trial", source=JORDAN_2021, **SIGNED
    )
    averaging: float = parameter(
        100.0,
        unit="trials",
        meaning="n_avg of the running means of the reward",
        source="Jordan et al. 2021, journal version",
        ge=1,
        le=1e9,
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """No input would ever arrive, or the eligibility's discount would leave the range of float64."""
        if self.synaptic_delay >= self.trial_duration:
            yield (
                "synaptic_delay",
                f"synaptic_delay ({self.synaptic_delay:g} ms) is expected to be shorter than trial_duration "
                f"({self.trial_duration:g} ms), or no input ever arrives",
            )
        if self.trial_duration > LARGEST_EXPONENT * self.eligibility_time_constant:
            yield (
                "eligibility_time_constant",
                f"eligibility_time_constant ({self.eligibility_time_constant:g} ms) is expected to be at least "
                f"trial_duration/{LARGEST_EXPONENT:g} ({self.trial_duration / LARGEST_EXPONENT:g} ms)",
            )
