"""hal-cgp searching with this project's evaluator: `python -m benchmarks.peers.hal_cgp_server FOLDER SETTINGS`."""

from __future__ import annotations

import importlib.metadata
import json
import sys
import time
from typing import Any

import numpy as np

from benchmarks.peers.hal_cgp import imported
from benchmarks.peers.serve import own_stdout, serve
from ruleforge.errors import InputError
from ruleforge.family import family
from ruleforge.language.identity import behaviour
from ruleforge.language.rule import Rule

WORST = -1e9  # hal-cgp wants finite numbers


def main() -> None:
    """Serve the published search: (4+4), 5 columns, + − × ÷ and a constant, mutation rate 0.045."""
    answers = own_stdout()
    cgp = imported(answers, sys.argv[1])
    if cgp is None:
        return
    settings: dict[str, Any] = json.loads(sys.argv[2])
    bound = family("reward", settings["parameters"])
    instances = [bound.build(key) for key in bound.keys("training", settings["instances"], seed=0)]

    def work() -> dict[str, Any]:
        scoring, seen, judged = 0.0, set(), 0

        def objective(individual: Any) -> Any:
            nonlocal scoring, judged
            if not individual.fitness_is_None():
                return individual
            judged += 1
            text = str(individual.to_sympy(simplify=False)).replace("x_0", "R").replace("x_1", "E")
            try:
                rule = Rule.parse(text, "reward")
            except InputError:  # sympy has already seen that it is infinite
                individual.fitness = WORST
                return individual
            seen.add(behaviour(rule))
            start = time.process_time()
            fitness = np.array([scores.fitness[0] for scores in bound.evaluate_many([rule], instances)])
            scoring += time.process_time() - start
            individual.fitness = float(fitness.mean()) if np.isfinite(fitness).all() else WORST
            return individual

        genome = {
            "n_inputs": 2,
            "n_outputs": 1,
            "n_columns": 5,
            "n_rows": 1,
            "levels_back": 5,
            "primitives": (cgp.Add, cgp.Sub, cgp.Mul, cgp.Div, cgp.ConstantFloat),
        }
        population = cgp.Population(n_parents=4, seed=1, genome_params=genome)
        strategy = cgp.ea.MuPlusLambda(n_offsprings=4, mutation_rate=0.045)
        cpu, wall = time.process_time(), time.perf_counter()
        cgp.evolve(population, objective, strategy, max_generations=settings["generations"])
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        return {"cpu": cpu, "wall": wall, "units": len(seen), "judged": judged, "scoring": scoring}

    serve(answers, {"version": importlib.metadata.version("hal-cgp")}, work)


if __name__ == "__main__":
    main()
