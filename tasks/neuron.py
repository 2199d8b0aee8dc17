"""The leaky integrate-and-fire neuron that `reward` and `supervised` share (Jordan et al. 2021; NEST's iaf_psc_exp)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ruleforge.parameters import POTENTIAL, RESOLUTION, SCALE, TIME_CONSTANT, FamilyParameters, parameter

JORDAN_2021 = "Jordan, Schmidt, Senn & Petrovici, eLife 10:e66273 (2021)"


class NeuronParameters(FamilyParameters):
    """Parameters of a leaky integrate-and-fire neuron with exponential synaptic currents."""

    membrane_time_constant: float = parameter(
        10.0, unit="ms", meaning="decay of the membrane potential", source=JORDAN_2021, **TIME_CONSTANT
    )
    synaptic_time_constant: float = parameter(
        2.0, unit="ms", meaning="decay of synaptic currents", source=JORDAN_2021, **TIME_CONSTANT
    )
    capacitance: float = parameter(250.0, unit="pF", meaning="membrane capacitance", source=JORDAN_2021, **SCALE)
    resting_potential: float = parameter(
        -70.0, unit="mV", meaning="resting potential, also the reset", source=JORDAN_2021, **POTENTIAL
    )
    threshold: float = parameter(
        -55.0,
        unit="mV",
        meaning="potential at which the escape rate is its base rate",
        source=JORDAN_2021,
        **POTENTIAL,
    )
    synaptic_delay: float = parameter(
        2.0,
        unit="ms",
        meaning="from an input's spike to the membrane; the weight is read 1 ms after the spike",
        source=JORDAN_2021,
        on_grid=True,
        ge=1,
        le=1e6,
    )
    resolution: float = parameter(
        0.1, unit="ms", meaning="step of the simulation grid", source=JORDAN_2021, **RESOLUTION
    )


@dataclass(frozen=True)
class Propagators:
    """Exact integration over one step h (Rotter & Diesmann 1999): I ← current·I; V ← membrane·V + coupling·I.

    V relative to rest in mV, I in pA. The response of V to 1 pA that arrived n steps ago is
    amplitude·(membrane**n − current**n).
    """

    current: float
    membrane: float
    coupling: float
    amplitude: float


def propagators(parameters: NeuronParameters) -> Propagators:
    """The propagators of one step of `resolution`; equal time constants take the limit of the difference quotient."""
    h = parameters.resolution
    tau_s, tau_m = parameters.synaptic_time_constant, parameters.membrane_time_constant
    if math.isclose(tau_s, tau_m, rel_tol=1e-6):
        tau_s *= 1 + 1e-6
    current, membrane = math.exp(-h / tau_s), math.exp(-h / tau_m)
    amplitude = tau_s * tau_m / (tau_m - tau_s) / parameters.capacitance
    return Propagators(current, membrane, amplitude * (membrane - current), amplitude)
