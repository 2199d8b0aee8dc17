"""NEST and hal-cgp as contenders."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.peers.process import NoPeer, Peer
from ruleforge.kernel.version import cache_root

NEST_NOTES = {
    "reward": "iaf_psc_exp with escape noise, static synapses, all trials in one call of Simulate: no reset between "
    "trials, no eligibility, no learning — the floor below which no model of this task in NEST can get",
    "reward_by_trial": "the same, stopped after every trial to read the decision and to start the next one from rest, "
    "as learning would need",
    "supervised": "urbanczik_synapse with pp_cond_exp_mc_urbanczik: conductances, a dendrite and a soma, spikes at the "
    "soma — the nearest stock model, and not the same one",
    "correlation": "additive stdp_synapse into iaf_psc_delta: the same weights in the end as the same rule here; "
    "no readout",
}


def nest(model: str, parameters: Mapping[str, Any]) -> Peer:
    """NEST's nearest stock model, one of NEST_NOTES."""
    command = [sys.executable, "-m", "benchmarks.peers.nest_server", model, json.dumps(dict(parameters))]
    return Peer("NEST, trial by trial" if model == "reward_by_trial" else "NEST", NEST_NOTES[model], command)


def hal_cgp_folder() -> Path:
    """hal-cgp 0.3 in a folder of its own, installed at first use without its (old) dependencies.

    Raises NoPeer if that does not work out.
    """
    folder: Path = cache_root() / "peers" / "hal-cgp"
    if not (folder / ".complete").exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--target", str(folder), "hal-cgp==0.3"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip() or "no message").splitlines()[-1]
            raise NoPeer(f"hal-cgp cannot be installed: {last}")
        (folder / ".complete").touch()
    return folder


def hal_cgp(settings: Mapping[str, Any]) -> Peer:
    """hal-cgp 0.3, scoring by itself with this project's kernels."""
    folder = hal_cgp_folder()
    command = [sys.executable, "-m", "benchmarks.peers.hal_cgp_server", str(folder), json.dumps(dict(settings))]
    note = "(4+4) Cartesian GP with 5 columns, scored by this project's kernels, one rule at a time"
    return Peer("hal-cgp 0.3", note, command)


def hal_cgp_search(settings: Mapping[str, Any]) -> Peer:
    """hal-cgp 0.3, proposing texts that are scored here; `ask` it with the fitness of those before."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.peers.hal_cgp_search",
        str(hal_cgp_folder()),
        json.dumps(dict(settings)),
    ]
    return Peer("hal-cgp 0.3", "Cartesian GP with the published settings", command)
