"""A second opinion from NEST on the correlation family: potentials of iaf_psc_delta, weights of stdp_synapse.

What NEST does differently, and how that is accounted for here:

- Delays. NEST has one delay per synapse and counts all of it as dendritic: an input spike is at the synapse when it is
  sent. Here it takes `axonal_delay` to get there and `dendritic_delay` on to the membrane. A parrot_neuron in between
  gives NEST the first one, and the synapse keeps the second. Static weights cannot tell, so they take the sum.
- Weights. Rules see w in [0, 1] and a spike moves V by w·W_max; NEST's weight is w·W_max in mV.
- No spike of a generator at 0: all inputs start at 1 ms.

Nothing remains to be accounted for in what decides the weights otherwise. In both, what is pending of the output's
spikes facilitates when an input spike passes, in order, before that spike depresses; an output spike that reaches the
synapse together with an input spike facilitates without that spike's own trace and does not depress through it; two
equal times of one input are two spikes; the weight at the end is that of the input's last spike; while refractory, V
stays at the reset, for t_ref after the step of the spike, and what arrives is lost.
"""

import numpy as np
import pytest

from ruleforge.language.rule import Rule
from tasks.correlation import Correlation
from tasks.correlation.learner import Learner
from tasks.correlation.readout import membrane_potential

# mV, of potentials up to 20 mV: rounding, in whichever order simultaneous spikes are summed.
POTENTIAL_TOLERANCE = 1e-12
# Units of W_max: rounding over some hundred updates of each weight.
WEIGHT_TOLERANCE = 1e-12
# Of mean, deviation and fitness of the readout, relative.
READOUT_TOLERANCE = 1e-11
INITIAL_POTENTIAL = 7.5  # mV


def family_and_instance(seed, **changed):
    """200 inputs at about 10 Hz, random weights. Spikes coincide: some come twice, and 20 inputs fire as 20 others."""
    family = Correlation({"n_inputs": 200, "duration": 10_000.0, "readout": 6_000.0, **changed})
    generator = np.random.Generator(np.random.PCG64(seed))
    own = family.parameters
    trains = []
    for _ in range(180):
        steps = np.unique(generator.integers(own.steps(1.0), own.steps(own.duration), 100))
        trains.append(np.sort(np.concatenate([steps, steps[::9]])) * own.resolution)
    trains += [trains[i].copy() for i in range(20)]
    starts = np.arange(400.0, own.duration - 200.0, 500.0)
    weights = generator.uniform(0.2, 1.0, len(trains))
    return family, family.instance_from_arrays(trains, starts, weights, initial_potential=INITIAL_POTENTIAL)


def neuron(own, threshold=None):
    return {
        "tau_m": own.membrane_time_constant,
        "V_th": own.threshold if threshold is None else threshold,
        "E_L": 0.0,
        "V_reset": 0.0,
        "t_ref": own.refractory_period,
        "V_m": INITIAL_POTENTIAL,
        "refractory_input": False,
    }


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"maximal_weight": 0.5, "threshold": 10.0, "refractory_period": 5.0, "dendritic_delay": 2.0},
        {"resolution": 0.05},
    ],
    ids=["published", "other values", "finer grid"],
)
def test_potentials_with_static_weights_equal_iaf_psc_delta(simulator, changed):
    family, instance = family_and_instance(3, **changed)
    own = family.parameters
    n_steps = own.steps(own.duration)
    sim = simulator(own.resolution)
    learning, readout = (
        sim.nest.Create("iaf_psc_delta", params=neuron(own)),
        sim.nest.Create("iaf_psc_delta", params=neuron(own, threshold=1e9)),
    )
    sent = instance.passes - own.steps(own.axonal_delay)
    sources = sim.sources(sent, instance.inputs, instance.n_inputs)
    static = {
        "weight": own.maximal_weight * instance.initial_weights[None, :],
        "delay": own.axonal_delay + own.dendritic_delay,
    }
    for target in (learning, readout):
        sim.nest.Connect(sources, target, "all_to_all", static)
    potentials = sim.multimeter(learning + readout, "V_m")
    spikes = sim.spike_recorder(learning)
    sim.simulate(n_steps)
    while_learning, frozen = potentials("V_m")[:, :n_steps]
    fired, _ = spikes()

    rule = Rule.parse("depress: 0; facilitate: 0", Correlation)
    run = Learner([rule], instance, family.settings).learn(0)
    ours = membrane_potential(
        instance.passes, run.carried, run.outputs, instance.initial_potential, family.settings, 1, n_steps
    )
    assert len(run.outputs) > 50
    np.testing.assert_array_equal(run.outputs, fired[fired <= n_steps])
    np.testing.assert_allclose(ours, while_learning, atol=POTENTIAL_TOLERANCE, rtol=0)

    # The fitness, from NEST's potential without threshold.
    step = np.arange(1, own.steps(own.readout) + 1)
    V = frozen[: len(step)]
    inside = [(step >= first) & (step <= last) for first, last in instance.windows if last <= step[-1]]
    baseline = V[~np.any(inside, axis=0)]
    ratio = np.mean([(V[window].max() - baseline.mean()) / baseline.std() for window in inside])
    scores = family.evaluate([rule], instance)
    assert scores.metrics["readout_mean"][0] == pytest.approx(baseline.mean(), rel=READOUT_TOLERANCE)
    assert scores.metrics["readout_deviation"][0] == pytest.approx(baseline.std(), rel=READOUT_TOLERANCE)
    assert scores.fitness[0] == pytest.approx(ratio, rel=READOUT_TOLERANCE)


# Rule of the literature → NEST's synapse: λ·(1 − w)^μ₊·x up, λ·α·w^μ₋·x down, with w in units of W_max.
PLASTICITY = {
    "additive STDP": ("stdp_synapse", {"mu_plus": 0.0, "mu_minus": 0.0, "alpha": 1.05}),
    "multiplicative STDP": ("stdp_synapse", {"mu_plus": 1.0, "mu_minus": 1.0, "alpha": 1.0}),
    "van Rossum STDP": ("stdp_synapse", {"mu_plus": 0.0, "mu_minus": 1.0, "alpha": 1.0}),
    # Its amplitudes are absolute, not in units of λ·W_max.
    "triplet STDP": (
        "stdp_triplet_synapse",
        {"Aminus": 0.0071, "Aplus_triplet": 0.0065, "Aplus": 0.0, "Aminus_triplet": 0.0},
    ),
}


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        *((name, {}) for name in PLASTICITY),
        ("additive STDP", {"maximal_weight": 0.5, "threshold": 10.0, "learning_rate": 0.02, "axonal_delay": 0.5}),
        ("additive STDP", {"dendritic_delay": 3.0, "trace_time_constant": 50.0, "refractory_period": 0.5}),
        ("additive STDP", {"learning_rate": 0.1}),  # weights reach both bounds
        ("additive STDP", {"resolution": 1.0}),  # most output spikes meet an input spike at the synapse
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_weights_of_every_spike_equal_those_of_nest(simulator, name, changed):
    family, instance = family_and_instance(5, **changed)
    own = family.parameters
    n_steps = own.steps(own.duration)
    sim = simulator(own.resolution)
    nest = sim.nest
    output = nest.Create(
        "iaf_psc_delta",
        params={
            **neuron(own),
            "tau_minus": own.trace_time_constant,
            "tau_minus_triplet": own.slow_trace_time_constant,
        },
    )
    synapse, settings = PLASTICITY[name]
    if synapse == "stdp_synapse":
        settings = {**settings, "lambda": own.learning_rate}
    recorder = nest.Create("weight_recorder")
    nest.CopyModel(synapse, "recorded_synapse", {"weight_recorder": recorder})
    sources = sim.sources(instance.passes - own.steps(own.axonal_delay), instance.inputs, instance.n_inputs)
    at_synapse = nest.Create("parrot_neuron", instance.n_inputs)
    nest.Connect(sources, at_synapse, "one_to_one", {"delay": own.axonal_delay})
    plastic = {
        **settings,
        "synapse_model": "recorded_synapse",
        "Wmax": own.maximal_weight,
        "tau_plus": own.trace_time_constant,
        "delay": own.dendritic_delay,
        "weight": own.maximal_weight * instance.initial_weights[None, :],
    }
    nest.Connect(at_synapse, output, "all_to_all", plastic)
    spikes = sim.spike_recorder(output)
    sim.simulate(n_steps)

    rule = Correlation.known_rules()[name].rule
    run = Learner([rule], instance, family.settings).learn(0)
    fired, _ = spikes()
    assert len(run.outputs) > 50
    assert np.isin(run.outputs + own.steps(own.dendritic_delay), instance.passes).any(), "no spikes met at a synapse"
    np.testing.assert_array_equal(run.outputs, fired[fired <= n_steps])

    # What every input spike carried, and hence every update of every weight.
    events = recorder.get("events")
    order = np.lexsort((events["senders"], events["times"]))
    np.testing.assert_array_equal(sim.steps(events["times"][order]), instance.passes)
    np.testing.assert_array_equal(events["senders"][order] - at_synapse[0].get("global_id"), instance.inputs)
    carried = events["weights"][order] / own.maximal_weight
    np.testing.assert_allclose(run.carried, carried, atol=WEIGHT_TOLERANCE, rtol=0)
    assert np.ptp(run.carried - instance.initial_weights[instance.inputs]) > 0.2

    connections = nest.GetConnections(at_synapse, output)
    final = np.empty(instance.n_inputs)
    final[np.array(connections.source) - at_synapse[0].get("global_id")] = connections.weight
    np.testing.assert_allclose(run.weights, final / own.maximal_weight, atol=WEIGHT_TOLERANCE, rtol=0)
