"""Brian2, C++ standalone, on the same inputs: `python brian_server.py FAMILY INPUT.npz FOLDER`.

Runs in an environment that has Brian2 and not ruleforge, so that all it knows comes in the file. Building is timed
apart; each measurement is one run of the finished program, its start and its results included.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # the folder of `serve`, which stands alone

from serve import absent, own_stdout, serve  # type: ignore[import-not-found]


def _generator(b: Any, steps: Any, inputs: Any, n_inputs: int, resolution: float) -> Any:
    """Sources of the given spikes; Brian2 takes one spike per input and step, so repeats are dropped."""
    pairs = np.unique(np.stack([steps, inputs]), axis=1)
    return b.SpikeGeneratorGroup(n_inputs, pairs[1], (pairs[0] + 0.5) * resolution * b.ms)


def reward(b: Any, given: Any) -> tuple[list[Any], float, int]:
    """Trials in a row with (R − 1)·E: PSP and eligibility are states of each synapse, moved in every step."""
    duration, n_trials = float(given["trial_duration"]), len(given["order"])
    n_steps, n_inputs = round(duration / float(given["resolution"])), len(given["weights"])
    steps, inputs = [], []
    for trial, pattern in enumerate(given["order"]):
        part = slice(given["offsets"][pattern], given["offsets"][pattern + 1])
        steps.append(given["arrival_steps"][part] + trial * n_steps)
        inputs.append(given["arrival_inputs"][part])
    source = _generator(b, np.concatenate(steps), np.concatenate(inputs), n_inputs, float(given["resolution"]))
    names = ("tau_m", "tau_s", "tau_e", "capacitance", "threshold", "rho", "delta", "rho_e", "delta_e", "kappa", "eta")
    space = {name: float(given[name]) for name in names}
    space["label"] = b.TimedArray(given["labels"][given["order"]], dt=duration * b.ms)
    neuron = b.NeuronGroup(
        1,
        """dv/dt = -v/(tau_m*ms) + current/(capacitance*ms) : 1 (unless refractory)
        dcurrent/dt = -current/(tau_s*ms) : 1
        n : 1
        R : 1""",
        threshold="rand() < rho*exp((v - threshold)/delta)*dt/second",
        reset="v = 0\nn += 1",
        refractory=float(given["refractory"]) * b.ms,
        method="exact",
        namespace=space,
    )
    synapses = b.Synapses(
        source,
        neuron,
        """dpsp/dt = -psp/(tau_m*ms) + unit/(capacitance*ms) : 1 (clock-driven)
        dunit/dt = -unit/(tau_s*ms) : 1 (clock-driven)
        E : 1
        w : 1""",
        on_pre="current_post += w\nunit += 1",
        on_post="E += kappa*psp",
        method="exact",
        namespace=space,
    )
    synapses.connect(j="0")
    synapses.w = given["weights"]
    synapses.run_regularly(
        "E = E*exp(-dt/(tau_e*ms)) - kappa*psp*rho_e*exp((v_post - threshold)/delta_e)*(dt/ms)",
        dt=float(given["resolution"]) * b.ms,
    )
    neuron.run_regularly("R = 2*int((n > 0) == (label(t - 0.5*dt) > 0)) - 1", dt=duration * b.ms, when="end", order=0)
    synapses.run_regularly(
        "w += int(t > 0*ms)*eta*(R_post - 1)*E\nE = 0\npsp = 0\nunit = 0", dt=duration * b.ms, when="end", order=1
    )
    neuron.run_regularly("v = 0\ncurrent = 0\nn = 0", dt=duration * b.ms, when="end", order=2)
    return [source, neuron, synapses], duration * n_trials, n_trials


def supervised(b: Any, given: Any) -> tuple[list[Any], float, int]:
    """One experiment with s·(v − u): response, low-pass filter and weight are states of each synapse."""
    n_inputs = len(given["teacher_weights"])
    source = _generator(b, given["steps"], given["inputs"], n_inputs, float(given["resolution"]))
    space = {name: float(given[name]) for name in ("tau_m", "tau_s", "tau_i", "capacitance", "eta")}
    neurons = b.NeuronGroup(
        1,
        """du/dt = -u/(tau_m*ms) + current/(capacitance*ms) : 1
        dcurrent/dt = -current/(tau_s*ms) : 1
        dteacher/dt = -teacher/(tau_m*ms) + teacher_current/(capacitance*ms) : 1
        dteacher_current/dt = -teacher_current/(tau_s*ms) : 1
        held : 1
        error : 1""",
        method="exact",
        namespace=space,
    )
    synapses = b.Synapses(
        source,
        neurons,
        """ds/dt = -s/(tau_m*ms) + unit/(capacitance*ms) : 1 (clock-driven)
        dunit/dt = -unit/(tau_s*ms) : 1 (clock-driven)
        filtered : 1
        w : 1
        teacher_w : 1""",
        on_pre="current_post += w\nteacher_current_post += teacher_w\nunit += 1",
        method="exact",
        namespace=space,
        delay=float(given["delay"]) * b.ms,
    )
    synapses.connect(j="0")
    synapses.w = given["initial_weights"]
    synapses.teacher_w = given["teacher_weights"]
    synapses.run_regularly(
        "filtered += (1 - exp(-dt/(tau_i*ms)))*(s*(held_post - u_post) - filtered)\nw += eta*filtered*(dt/ms)",
        dt=float(given["resolution"]) * b.ms,
    )
    neurons.run_regularly("held = teacher", dt=float(given["target_interval"]) * b.ms, when="end")
    neurons.run_regularly(
        "error += int(t >= comparison_start*ms)*(u - teacher)**2".replace(
            "comparison_start", repr(float(given["comparison_start"]))
        ),
        dt=float(given["comparison_interval"]) * b.ms,
        when="end",
    )
    return [source, neurons, synapses], float(given["duration"]), 1


def correlation(b: Any, given: Any) -> tuple[list[Any], float, int]:
    """Additive STDP, traces decaying from event to event; several experiments (here: copies of one) side by side."""
    n_inputs, n_copies = len(given["initial_weights"]), int(given["copies"])
    source = _generator(b, given["steps"], given["inputs"], n_inputs, float(given["resolution"]))
    space = {name: float(given[name]) for name in ("tau_m", "tau", "threshold", "rate", "largest")}
    neurons = b.NeuronGroup(
        n_copies,
        "dv/dt = -v/(tau_m*ms) : 1 (unless refractory)",
        threshold="v >= threshold",
        reset="v = 0",
        refractory=float(given["refractory"]) * b.ms,
        method="exact",
        namespace=space,
    )
    neurons.v = float(given["potential"])
    synapses = b.Synapses(
        source,
        neurons,
        """w : 1
        dpre/dt = -pre/(tau*ms) : 1 (event-driven)
        dpost/dt = -post/(tau*ms) : 1 (event-driven)""",
        on_pre={
            "pass_": "w = clip(w - rate*1.05*post, 0, inf)\npre += 1",
            "arrive": "v_post += largest*w",
        },
        on_post="w = clip(w + rate*pre, -inf, 1)\npost += 1",
        namespace=space,
        delay={"pass_": 0 * b.ms, "arrive": float(given["delay"]) * b.ms},
    )
    synapses.connect()
    synapses.post.delay = float(given["delay"]) * b.ms
    synapses.w = np.repeat(given["initial_weights"], n_copies)
    return [source, neurons, synapses], float(given["duration"]), n_copies


MODELS = {"reward": reward, "supervised": supervised, "correlation": correlation}


def _program(folder: Path, units: int) -> Callable[[], dict[str, Any]]:
    def work() -> dict[str, Any]:
        before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        with (folder / "output.txt").open("w") as output:
            subprocess.run([str(folder / "main")], cwd=folder, stdout=output, stderr=output, check=True)
        wall, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"cpu": cpu, "wall": wall, "units": units}

    return work


def main() -> None:
    """Build one model, then serve it."""
    answers = own_stdout()
    try:
        import brian2 as b  # type: ignore[import-not-found]
    except ImportError as error:
        absent(answers, f"Brian2 cannot be imported: {error}")
        return
    name, path, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    start = time.perf_counter()
    try:
        b.set_device("cpp_standalone", build_on_run=False)
        b.prefs.devices.cpp_standalone.extra_make_args_unix = ["-j1"]
        with np.load(path) as given:
            b.defaultclock.dt = float(given["resolution"]) * b.ms
            objects, duration, units = MODELS[name](b, given)
        b.seed(1)
        b.Network(objects).run(duration * b.ms)
        with contextlib.redirect_stdout(sys.stderr):
            b.device.build(directory=str(folder), compile=True, run=False, debug=False, clean=False)
    except Exception as error:  # noqa: BLE001 (whatever it is, the table says it)
        absent(answers, f"Brian2 {b.__version__} cannot build the model: {type(error).__name__}: {error}")
        return
    extra = {"version": b.__version__, "compile_seconds": time.perf_counter() - start, "python": sys.version.split()[0]}
    os.environ["OMP_NUM_THREADS"] = "1"
    serve(answers, extra, _program(folder, units))


if __name__ == "__main__":
    main()
