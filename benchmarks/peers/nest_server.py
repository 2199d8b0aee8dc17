"""NEST's nearest stock models on the same instances: `python -m benchmarks.peers.nest_server FAMILY PARAMETERS`."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import problems
from benchmarks.peers.serve import absent, own_stdout, serve

# The teacher of urbanczik_synapse acts through conductances at the soma: trains of this rate, and weights, nS.
TEACHER_RATE, TEACHER_WEIGHT = 100.0, 1.0


def _reset(nest: Any, resolution: float) -> None:
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = resolution
    nest.local_num_threads = 1
    nest.rng_seed = 1


def _sources(nest: Any, resolution: float, steps: NDArray[Any], inputs: NDArray[Any], n_inputs: int) -> Any:
    """One spike generator per input; NEST has no spike at 0."""
    sources = nest.Create("spike_generator", n_inputs)
    kept = steps >= 1
    steps, inputs = steps[kept], inputs[kept]
    for i in range(n_inputs):
        times = np.round(np.sort(steps[inputs == i]) * resolution, 6)
        sources[i].set({"spike_times": times.tolist()})
    return sources


def _simulated(nest: Any, duration: float, units: int) -> dict[str, Any]:
    cpu, wall = time.process_time(), time.perf_counter()
    nest.Simulate(duration)
    return {"cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall, "units": units}


def reward(nest: Any, parameters: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """Trials in a row: iaf_psc_exp with escape noise, static synapses; no reset, no eligibility, no learning."""
    return _static_trials(nest, parameters, by_trial=False)


def reward_by_trial(nest: Any, parameters: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """The same, stopped after every trial to read the decision and to start the next one from rest."""
    return _static_trials(nest, parameters, by_trial=True)


def _static_trials(nest: Any, parameters: dict[str, Any], *, by_trial: bool) -> Callable[[], dict[str, Any]]:
    problem = problems.reward(parameters, problems.REWARD_RULES[:1])
    p, (instance,) = problem.family.parameters, problem.instances
    n_steps = round(p.trial_duration / p.resolution)
    steps, inputs = [], []
    for trial, pattern in enumerate(instance.order):
        part = slice(instance.offsets[pattern], instance.offsets[pattern + 1])
        steps.append(instance.arrival_steps[part] - round(p.synaptic_delay / p.resolution) + trial * n_steps)
        inputs.append(instance.arrival_inputs[part])

    def work() -> dict[str, Any]:
        _reset(nest, p.resolution)
        neuron = nest.Create(
            "iaf_psc_exp",
            params={
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
                "delta": p.escape_scale,
            },
        )
        n_inputs = len(instance.initial_weights)
        sources = _sources(nest, p.resolution, np.concatenate(steps), np.concatenate(inputs), n_inputs)
        static = {"weight": instance.initial_weights[None, :], "delay": p.synaptic_delay}
        nest.Connect(sources, neuron, "all_to_all", static)
        if not by_trial:
            return _simulated(nest, p.trial_duration * p.n_trials, p.n_trials)
        recorder = nest.Create("spike_recorder")
        nest.Connect(neuron, recorder)
        total, before = 0.0, 0
        cpu, wall = time.process_time(), time.perf_counter()
        for pattern in instance.order:
            neuron.set(V_m=p.resting_potential)
            nest.Simulate(p.trial_duration)
            n_spikes = recorder.n_events
            decision = 1.0 if n_spikes > before else -1.0
            total += 1.0 if decision == instance.labels[pattern] else -1.0
            before = n_spikes
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return {"cpu": cpu, "wall": wall, "units": p.n_trials, "fitness": total}

    return work


def supervised(nest: Any, parameters: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """One experiment: urbanczik_synapse onto the dendrite of pp_cond_exp_mc_urbanczik, a teacher at the soma."""
    problem = problems.supervised(parameters, ["s*(v - u)"], 1)
    p, (instance,) = problem.family.parameters, problem.instances
    teacher = np.random.Generator(np.random.PCG64(1)).uniform(1.0, p.duration, round(TEACHER_RATE * p.duration * 1e-3))
    teacher_steps = np.floor(teacher / p.resolution).astype(np.int64)

    def work() -> dict[str, Any]:
        _reset(nest, p.resolution)
        neuron = nest.Create("pp_cond_exp_mc_urbanczik")
        ports = nest.GetDefaults("pp_cond_exp_mc_urbanczik")["receptor_types"]
        sources = _sources(nest, p.resolution, instance.spike_steps, instance.spike_inputs, p.n_inputs)
        parrots = nest.Create("parrot_neuron", p.n_inputs)
        nest.Connect(sources, parrots, "one_to_one", {"delay": p.weight_reading_delay})
        plastic = {
            "synapse_model": "urbanczik_synapse",
            "receptor_type": ports["dendritic_exc"],
            "tau_Delta": p.plasticity_time_constant,
            "eta": 0.17,
            "weight": 0.3,
            "Wmax": 4.5,
            "delay": p.synaptic_delay - p.weight_reading_delay,
        }
        nest.Connect(parrots, neuron, "all_to_all", plastic)
        source = _sources(nest, p.resolution, teacher_steps, np.zeros(len(teacher_steps), dtype=np.int64), 1)
        nest.Connect(
            source,
            neuron,
            syn_spec={"receptor_type": ports["soma_exc"], "weight": TEACHER_WEIGHT, "delay": p.synaptic_delay},
        )
        return _simulated(nest, p.duration, 1)

    return work


def correlation(nest: Any, parameters: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """One experiment: additive stdp_synapse into iaf_psc_delta, without the readout; ends with the same weights."""
    problem = problems.correlation(parameters, [problems.CORRELATION_RULE])
    p, (instance,) = problem.family.parameters, problem.instances

    def work() -> dict[str, Any]:
        _reset(nest, p.resolution)
        neuron = nest.Create(
            "iaf_psc_delta",
            params={
                "tau_m": p.membrane_time_constant,
                "V_th": p.threshold,
                "E_L": 0.0,
                "V_reset": 0.0,
                "t_ref": p.refractory_period,
                "V_m": instance.initial_potential,
                "tau_minus": p.trace_time_constant,
            },
        )
        sent = instance.passes - p.steps(p.axonal_delay)
        sources = _sources(nest, p.resolution, sent, instance.inputs, p.n_inputs)
        parrots = nest.Create("parrot_neuron", p.n_inputs)
        nest.Connect(sources, parrots, "one_to_one", {"delay": p.axonal_delay})
        plastic = {
            "synapse_model": "stdp_synapse",
            "lambda": p.learning_rate,
            "alpha": 1.05,
            "mu_plus": 0.0,
            "mu_minus": 0.0,
            "Wmax": p.maximal_weight,
            "tau_plus": p.trace_time_constant,
            "delay": p.dendritic_delay,
            "weight": p.maximal_weight * instance.initial_weights[None, :],
        }
        nest.Connect(parrots, neuron, "all_to_all", plastic)
        answer = _simulated(nest, p.duration, 1)
        weights = np.array(nest.GetConnections(parrots, neuron).weight)
        return {**answer, "mean_weight": float(weights.mean() / p.maximal_weight)}

    return work


WORK = {"reward": reward, "reward_by_trial": reward_by_trial, "supervised": supervised, "correlation": correlation}


def main() -> None:
    """Serve one family."""
    answers = own_stdout()
    try:
        import nest
    except ImportError as error:
        absent(answers, f"nest-simulator is not installed: {error}")
        return
    name, parameters = sys.argv[1], json.loads(sys.argv[2])
    version = importlib.metadata.version("nest-simulator")
    serve(answers, {"version": version}, WORK[name](nest, parameters))


if __name__ == "__main__":
    main()
