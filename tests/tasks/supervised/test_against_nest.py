"""Our membrane potential against NEST's iaf_psc_exp, with the same spikes and static weights.

Conventions: a spike of a NEST generator at t with delay d is added to the synaptic current at t + d and first moves the
potential in the step after, as here; NEST reads a weight when the spike is sent, here it is read one ms later, which
static weights cannot tell.
"""

import numpy as np
import pytest

from ruleforge.language.rule import Rule
from tasks.supervised import Supervised


@pytest.mark.parametrize("resolution", [0.1, 0.05])
def test_potentials_of_teacher_and_student_equal_nest(resolution, simulator):
    family = Supervised({"duration": 500.0, "comparison_start": 0.0, "resolution": resolution})
    p = family.parameters
    generator = np.random.Generator(np.random.PCG64(7))
    # From 1 ms on: NEST's generators cannot spike at 0.
    spike_times = [np.sort(generator.uniform(1.0, p.duration, 250)) for _ in range(p.n_inputs)]
    instance = family.instance_from_arrays(spike_times, generator.uniform(-35, 35, p.n_inputs))
    trace = family.trace(Rule.parse("0", Supervised), instance)  # no plasticity: the weights stay as they are

    nest = simulator(resolution).nest
    neuron = {
        "tau_m": p.membrane_time_constant,
        "tau_syn_ex": p.synaptic_time_constant,
        "tau_syn_in": p.synaptic_time_constant,
        "C_m": p.capacitance,
        "E_L": p.resting_potential,
        "V_m": p.resting_potential,
        "V_th": 1e9,
    }
    neurons = nest.Create("iaf_psc_exp", 2, params=neuron)
    recorder = nest.Create("multimeter", params={"record_from": ["V_m"], "interval": p.comparison_interval})
    nest.Connect(recorder, neurons)
    for j in range(p.n_inputs):
        steps = instance.spike_steps[instance.spike_inputs == j]
        source = nest.Create("spike_generator")
        # Equal times count as often as they are listed.
        source.set({"spike_times": np.round(steps * resolution, 6).tolist()})
        for index, weights in enumerate((instance.teacher_weights, instance.initial_weights)):
            nest.Connect(source, neurons[index], syn_spec={"weight": weights[j], "delay": p.synaptic_delay})
    nest.Simulate(p.duration + p.comparison_interval)

    events = recorder.get("events")
    for index, name in enumerate(("teacher", "student")):
        chosen = events["senders"] == neurons[index].get("global_id")
        times, potential = events["times"][chosen], events["V_m"][chosen]
        order = np.argsort(times)
        assert np.allclose(times[order], trace["time"].values)
        np.testing.assert_allclose(potential[order], trace[name].values, atol=1e-9, rtol=0)
