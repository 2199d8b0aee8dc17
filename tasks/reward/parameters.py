"""Parameters of the reward family, with the published values as defaults."""

from __future__ import annotations

from ruleforge.family import parameter
from tasks.neuron import JORDAN_2021, NeuronParameters


class RewardParameters(NeuronParameters):
    """One neuron learns to classify frozen spike patterns from a delayed reward (Jordan et al. 2021)."""

    refractory_period: float = parameter(
        2.0, unit="ms", meaning="V stays at rest for this long after a spike", source=JORDAN_2021, ge=0
    )
    escape_rate: float = parameter(
        0.01, unit="Hz", meaning="ρ₀: rate of output spikes at the threshold", source=JORDAN_2021, gt=0
    )
    escape_scale: float = parameter(
        0.2, unit="mV", meaning="δ: rise of V that makes output spikes e times as frequent", source=JORDAN_2021, gt=0
    )
    eligibility_rate: float = parameter(
        0.01, unit="1/ms", meaning="rate at the threshold in the synapse's φ(V)", source=JORDAN_2021, ge=0
    )
    eligibility_scale: float = parameter(
        5.0, unit="mV", meaning="δ_E: scale of the synapse's φ(V)", source=JORDAN_2021, gt=0
    )
    eligibility_time_constant: float = parameter(
        500.0, unit="ms", meaning="τ_E: decay of the eligibility trace", source=JORDAN_2021, gt=0
    )
    eligibility_gain: float = parameter(
        4000.0, unit="1/mV", meaning="κ: makes the eligibility dimensionless", source=JORDAN_2021, gt=0
    )
    n_inputs: int = parameter(50, unit="1", meaning="number of inputs", source=JORDAN_2021, ge=1, le=100_000)
    connection_probability: float = parameter(
        0.8, unit="1", meaning="chance that an input is connected", source=JORDAN_2021, gt=0, le=1
    )
    initial_weight_deviation: float = parameter(
        1000.0, unit="pA", meaning="standard deviation of initial weights, mean 0", source=JORDAN_2021, ge=0
    )
    n_patterns: int = parameter(30, unit="1", meaning="number of frozen patterns", source=JORDAN_2021, ge=1, le=10_000)
    input_rate: float = parameter(
        6.0, unit="Hz", meaning="rate of the Poisson patterns, per input", source=JORDAN_2021, ge=0, le=1000
    )
    trial_duration: float = parameter(
        500.0, unit="ms", meaning="T: duration of a trial", source=JORDAN_2021, gt=0, le=100_000
    )
    n_trials: int = parameter(
        500, unit="1", meaning="number of trials of an experiment", source=JORDAN_2021, ge=1, le=1_000_000
    )
    learning_rate: float = parameter(
        10.0, unit="pA", meaning="η: a weight moves by η·f(R, E) after each trial", source=JORDAN_2021
    )
    averaging: float = parameter(
        100.0,
        unit="trials",
        meaning="n_avg of the running means of the reward",
        source="Jordan et al. 2021, journal version",
        ge=1,
    )
