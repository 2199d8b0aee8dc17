"""Brian2 in an environment of its own, and the inputs that it is given."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.process import NoPeer, Peer
from benchmarks.problems import Problem
from ruleforge.kernel.version import cache_root

SERVER = Path(__file__).with_name("brian_server.py")
NOTES = {
    "reward": "C++ standalone; the rule (R − 1)·E with a trace and an eligibility per synapse in every step, one rule "
    "at a time; the weight is read when the spike arrives, the noise is drawn in each step",
    "supervised": "C++ standalone; the rule s·(v − u), one experiment; the weight is read when the spike arrives, and "
    "of several spikes of an input in one step only one counts",
    "correlation": "C++ standalone; additive STDP, no readout; of several spikes of an input in one step only one "
    "counts",
}


def environment() -> Path:
    """Python of the environment with Brian2, made at first use. Raises NoPeer if that does not work out."""
    folder = cache_root() / "peers" / "brian2"
    python = folder / "bin" / "python"
    if not (folder / ".complete").exists():
        # On Python 3.11 Brian2 needs a numpy below 2, so it cannot live beside ruleforge.
        wanted = ["brian2", "cython", "setuptools", *(["numpy<2"] if sys.version_info < (3, 12) else [])]
        commands = [
            [sys.executable, "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted],
        ]
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                last = (done.stderr.strip() or "no message").splitlines()[-1]
                raise NoPeer(f"Brian2 cannot be installed into {folder.name}: {last}")
        (folder / ".complete").touch()
    return python


def _inputs(problem: Problem, copies: int) -> dict[str, Any]:
    p, instance = problem.family.parameters, problem.instances[0]
    common = {"resolution": p.resolution, "tau_m": p.membrane_time_constant}
    if problem.name == "reward":
        return {
            **common,
            "tau_s": p.synaptic_time_constant,
            "tau_e": p.eligibility_time_constant,
            "capacitance": p.capacitance,
            "threshold": p.threshold - p.resting_potential,
            "rho": p.escape_rate,
            "delta": p.escape_scale,
            "rho_e": p.eligibility_rate,
            "delta_e": p.eligibility_scale,
            "kappa": p.eligibility_gain,
            "eta": p.learning_rate,
            "refractory": p.refractory_period,
            "trial_duration": p.trial_duration,
            "order": instance.order,
            "labels": instance.labels,
            "offsets": instance.offsets,
            "arrival_steps": instance.arrival_steps,
            "arrival_inputs": instance.arrival_inputs,
            "weights": instance.initial_weights,
        }
    if problem.name == "supervised":
        return {
            **common,
            "tau_s": p.synaptic_time_constant,
            "tau_i": p.plasticity_time_constant,
            "capacitance": p.capacitance,
            "eta": p.learning_rate,
            "delay": p.synaptic_delay,
            "duration": p.duration,
            "target_interval": p.target_interval,
            "comparison_start": p.comparison_start,
            "comparison_interval": p.comparison_interval,
            "steps": instance.spike_steps,
            "inputs": instance.spike_inputs,
            "teacher_weights": instance.teacher_weights,
            "initial_weights": instance.initial_weights,
        }
    return {
        **common,
        "tau": p.trace_time_constant,
        "threshold": p.threshold,
        "rate": p.learning_rate,
        "largest": p.maximal_weight,
        "refractory": p.refractory_period,
        "delay": p.dendritic_delay,
        "duration": p.duration,
        "potential": instance.initial_potential,
        "steps": instance.passes,
        "inputs": instance.inputs,
        "initial_weights": instance.initial_weights,
        "copies": copies,
    }


class Brian(Peer):
    """A model of Brian2, built; its files are removed with it."""

    def __init__(self, problem: Problem, copies: int = 1) -> None:
        """copies: output neurons side by side, `correlation` only."""
        python = environment()
        self._folder = tempfile.TemporaryDirectory(prefix="ruleforge-brian-")
        inputs = Path(self._folder.name) / "input.npz"
        np.savez(inputs, **_inputs(problem, copies))
        name = "Brian2" + (f", {copies} at once" if copies > 1 else "")
        command = [str(python), str(SERVER), problem.name, str(inputs), str(Path(self._folder.name) / "built")]
        try:
            super().__init__(name, NOTES[problem.name], command)
        except NoPeer:
            self._folder.cleanup()
            raise

    def close(self) -> None:
        """End the process and remove its files."""
        super().close()
        self._folder.cleanup()
