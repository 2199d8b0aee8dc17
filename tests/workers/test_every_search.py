"""Every search method in the real loop, with racing: any interruption gives the same history, and nothing is missed."""

from __future__ import annotations

import pytest

from ruleforge.search_settings import METHODS
from ruleforge.spec import job_spec
from ruleforge.store import open_store
from workers.evaluators import SerialEvaluator
from workers.evolve import SilentObserver, run_job, submit

SEARCHES = {method: {"method": method} for method in METHODS} | {
    "islands": {"islands": 3, "stagnation": 3, "migration_interval": 2},
    "lexicase": {"method": "lexicase", "islands": 2, "stagnation": 2, "tuned": 0.2},
}


class Counting(SilentObserver):
    n = 0

    def on_generation(self, generation, seconds):
        self.n += 1


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("seed", [1, 2])
def test_stopped_every_few_generations(name, seed):
    sizes = {"population": 6, "offspring": 10} | ({} if name == "lexicase" else {"tournament": 2})
    spec = job_spec(
        {
            "task": "reward",
            "seed": seed,
            "parameters": {"n_trials": 15, "n_patterns": 2, "n_inputs": 4},
            "instances": {"training": 4, "validation": 1, "test": 1},
            "search": sizes | SEARCHES[name],
            "budget": {"generations": 20},
        }
    )
    results = []
    for at_once in (100, 3):
        with open_store("sqlite://") as store:
            job = submit(store, spec)
            state = "queued"
            while state != "succeeded":
                watching = Counting()
                result = run_job(
                    store, job, SerialEvaluator(), observer=watching, stop=lambda w=watching, n=at_once: w.n >= n
                )
                state = result["state"]
            results.append((result["history"], result["front"], result["effort"]))
    assert results[0] == results[1]
