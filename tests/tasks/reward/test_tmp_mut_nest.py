"""A second opinion from NEST's iaf_psc_exp on the reward family: potentials, output spikes, escape noise.

The family shows no potential, but the eligibility of every input is a sum over V in every step and over the output
spikes. So it is computed here from what NEST records: V of the neuron, its spikes, and PSP_j as V of a further neuron
that receives input j alone with unit weight. Conventions:

- Delays. NEST reads a weight when the spike is sent, here it is read 1 ms later, which static weights cannot tell. In
  both, a spike at t with a delay d is added to the current at the end of the step t + d and first moves V in the next.
- The step of an output spike. NEST records V after the reset; the eligibility takes V before it, which is one
  propagation of the V and the currents recorded in the step before.
- Refractoriness is the same: V stays at the reset for t_ref after the step of the spike, currents go on.
- Threshold. The neuron here always has escape noise. With a vanishing δ it is NEST's deterministic one (NEST's δ = 0).
- Escape noise. NEST draws once per step with probability p = ρ·exp((V − V_th)/δ)·h, as the published runs did. Here the
  hazard is integrated, so that the probability is 1 − e^(−p). For small p that is the same; where V passes quickly to
  where p > 1, spikes are later by a fraction of a ms. The means agree within the error of some thousand trials.
- No spike of a generator at 0: all inputs start at 1 ms.
"""

import math

import numpy as np
import pytest

from ruleforge.language.rule import Rule
from tasks.reward import Reward

STATIC = Rule.parse("0", "reward")
N_INPUTS, N_PATTERNS = 25, 3
NO_THRESHOLD = 1e9  # mV
# Of the largest eligibility of a pattern: rounding.
ELIGIBILITY_TOLERANCE = 1e-12
N_TRIALS = 2000
# Seeds are fixed on both sides: a mean further off than this is a difference of models (or of NEST's release).
STANDARD_ERRORS = 4.0


class Problem:
    """A family and some spike patterns with the weights of their inputs; every label is 1."""

    def __init__(self, deviation, parameters):
        generator = np.random.Generator(np.random.PCG64(11))
        self.family = Reward(parameters)
        p = self.family.parameters
        self.n_steps = round(p.trial_duration / p.resolution)
        self.patterns = [
            [np.sort(generator.uniform(1.0, p.trial_duration, generator.poisson(6.0))) for _ in range(N_INPUTS)]
            for _ in range(N_PATTERNS)
        ]
        # Excitation prevails, so that weights of every deviation lead somewhere.
        self.weights = generator.normal(0.2 * deviation, deviation, N_INPUTS)

    def instance(self, order):
        return self.family.instance_from_arrays(
            patterns=self.patterns, labels=np.ones(N_PATTERNS), order=order, initial_weights=self.weights, noise_seed=3
        )

    def sources(self, sim, pattern):
        """NEST's generators of one pattern, one per input."""
        times = self.patterns[pattern]
        steps = np.floor(np.concatenate(times) / sim.resolution).astype(np.int64)
        return sim.sources(steps, np.repeat(np.arange(N_INPUTS), [len(each) for each in times]), N_INPUTS)

    def connect(self, sim, sources, neurons):
        """Every neuron receives the whole pattern through the same weights."""
        weights = np.tile(self.weights, (len(neurons), 1))
        delay = self.family.parameters.synaptic_delay
        sim.nest.Connect(sources, neurons, "all_to_all", {"weight": weights, "delay": delay})


def neuron(p, **changed):
    return {
        "tau_m": p.membrane_time_constant,
        "tau_syn_ex": p.synaptic_time_constant,
        "tau_syn_in": p.synaptic_time_constant,
        "C_m": p.capacitance,
        "E_L": p.resting_potential,
        "V_m": p.resting_potential,
        "V_reset": p.resting_potential,
        "V_th": p.threshold,
        "t_ref": p.refractory_period,
        "rho": p.escape_rate,
        "delta": 0.0,
        **changed,
    }


def eligibilities(p, potential, current, spike, response):
    """From potential and current, (n_steps,), after each step, spike, (n_steps,) 0 or 1, PSPs, (n_inputs, n_steps)."""
    h, tau_m, tau_s = p.resolution, p.membrane_time_constant, p.synaptic_time_constant
    coupling = tau_s * tau_m / (tau_m - tau_s) / p.capacitance * (math.exp(-h / tau_m) - math.exp(-h / tau_s))
    from_rest = np.concatenate([[0.0], potential[:-1] - p.resting_potential])
    free = from_rest * math.exp(-h / tau_m) + np.concatenate([[0.0], current[:-1]]) * coupling
    before_reset = potential
    rate = p.eligibility_rate * np.exp((before_reset - p.threshold) / p.eligibility_scale)
    n_steps = len(potential)
    discount = np.exp(-(n_steps - np.arange(1, n_steps + 1)) * h / p.eligibility_time_constant)
    return p.eligibility_gain * response @ ((spike - rate * h) * discount)


@pytest.mark.parametrize(
    ("deviation", "parameters", "fires"),
    [
        (300.0, {}, False),
        (1000.0, {}, True),
        (1000.0, {"resolution": 0.05}, True),
        (
            2000.0,
            {
                "refractory_period": 7.0,
                "membrane_time_constant": 15.0,
                "synaptic_time_constant": 4.0,
                "synaptic_delay": 3.0,
                "capacitance": 500.0,
            },
            True,
        ),
    ],
    ids=["below threshold", "published neuron", "finer grid", "other neuron"],
)
def test_eligibilities_follow_from_potentials_and_spikes_of_nest(simulator, deviation, parameters, fires):
    # A threshold as sharp as NEST's: within some µV from never to at once.
    problem = Problem(deviation, {"escape_scale": 1e-6, **parameters})
    p, n_steps = problem.family.parameters, problem.n_steps
    sim = simulator(p.resolution)
    outputs = sim.nest.Create("iaf_psc_exp", N_PATTERNS, params=neuron(p))
    # From 0 instead of −70 mV, so that digits of the small responses are kept.
    unit = neuron(p, E_L=0.0, V_m=0.0, V_reset=-1.0, V_th=NO_THRESHOLD)
    receivers = [sim.nest.Create("iaf_psc_exp", N_INPUTS, params=unit) for _ in range(N_PATTERNS)]
    for m in range(N_PATTERNS):
        sources = problem.sources(sim, m)
        problem.connect(sim, sources, outputs[m])
        sim.nest.Connect(sources, receivers[m], "one_to_one", {"weight": 1.0, "delay": p.synaptic_delay})
    output = sim.multimeter(outputs, "V_m", "I_syn_ex", "I_syn_in")
    responses = [sim.multimeter(each, "V_m") for each in receivers]
    spikes = sim.spike_recorder(outputs)
    sim.simulate(n_steps)
    potential = output("V_m")[:, :n_steps]
    current = (output("I_syn_ex") + output("I_syn_in"))[:, :n_steps]
    fired, which = spikes()
    spike = np.zeros((N_PATTERNS, n_steps))
    spike[which[fired <= n_steps], fired[fired <= n_steps] - 1] = 1.0
    assert (spike.sum() >= 5) == fires

    instance = problem.instance(np.arange(N_PATTERNS))
    trace = problem.family.trace(STATIC, instance)
    for m in range(N_PATTERNS):
        response = responses[m]("V_m")[:, :n_steps]
        expected = eligibilities(p, potential[m], current[m], spike[m], response)
        tolerance = ELIGIBILITY_TOLERANCE * np.abs(expected).max()
        np.testing.assert_allclose(trace["eligibility"].values[m], expected, rtol=0, atol=tolerance)
        assert trace["reward"].values[m] == (1.0 if spike[m].any() else -1.0)
    per_trial = problem.family.evaluate([STATIC], instance).metrics["spikes_per_trial"][0]
    assert per_trial * N_PATTERNS == pytest.approx(spike.sum())


@pytest.mark.parametrize(
    ("deviation", "parameters"),
    [
        (450.0, {}),
        (500.0, {"escape_scale": 1.0, "escape_rate": 10.0}),
        (700.0, {"escape_scale": 4.0, "escape_rate": 20.0}),
    ],
    ids=["published noise", "more noise", "noise and several spikes"],
)
def test_escape_noise_gives_as_many_spikes_as_that_of_nest(simulator, deviation, parameters):
    problem = Problem(deviation, parameters)
    p, n_steps = problem.family.parameters, problem.n_steps
    sim = simulator(p.resolution)
    # A neuron per trial, all with their own noise.
    trials = [
        sim.nest.Create("iaf_psc_exp", N_TRIALS, params=neuron(p, delta=p.escape_scale)) for _ in range(N_PATTERNS)
    ]
    silent = sim.nest.Create("iaf_psc_exp", N_PATTERNS, params=neuron(p, V_th=NO_THRESHOLD))
    for m in range(N_PATTERNS):
        sources = problem.sources(sim, m)
        problem.connect(sim, sources, trials[m])
        problem.connect(sim, sources, silent[m])
    spikes = [sim.spike_recorder(each) for each in trials]
    potential = sim.multimeter(silent, "V_m")
    sim.simulate(n_steps)

    undecided = 0
    for m in range(N_PATTERNS):
        scores = problem.family.evaluate([STATIC], problem.instance(np.full(N_TRIALS, m)))
        fired, which = spikes[m]()
        counts = np.bincount(which[fired <= n_steps], minlength=N_TRIALS)
        # Two means of as many trials; 1/n because one deviating trial among trials that are all equal is no difference.
        error = math.sqrt(2 * (counts.var() + 1 / N_TRIALS) / N_TRIALS)
        assert abs(scores.metrics["spikes_per_trial"][0] - counts.mean()) < STANDARD_ERRORS * error

        # The chance of no spike at all, which decides the reward, follows from NEST's V without spikes and needs no
        # second sample; here the difference between p and 1 − e^(−p) is accounted for.
        V = potential("V_m")[m, :n_steps]
        hazard = p.escape_rate * np.exp((V - p.threshold) / p.escape_scale) * p.resolution * 1e-3
        chance = 1.0 - math.exp(-hazard.sum())
        error = math.sqrt((chance * (1 - chance) + 1 / N_TRIALS) / N_TRIALS)
        # All labels are 1, so the accuracy is the part of the trials with a spike.
        assert abs(scores.metrics["accuracy"][0] - chance) < STANDARD_ERRORS * error
        undecided += 0.02 < chance < 0.98
    assert undecided, "patterns that always or never make the neuron fire show too little"
