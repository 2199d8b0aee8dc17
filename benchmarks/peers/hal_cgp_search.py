"""hal-cgp proposes, the other side scores: `python -m benchmarks.peers.hal_cgp_search FOLDER SETTINGS`.

Population, genomes, mutation, selection and the cache of expressions are hal-cgp's own; what an individual is known by,
to its cache and to the other side, is the text of its simplified sympy expressions, as in the published runs. Each line
that comes is `{"fitness": [[texts, number], …]}` and is answered by the texts that are to be scored next.

Where a kernel scores many rules in the time of one, `ahead` asks for more: the texts that hal-cgp would want in the
next generations if none of the new ones survived. They are told apart, and change nothing of what hal-cgp does.
"""

from __future__ import annotations

import copy
import functools
import importlib.metadata
import json
import signal
import sys
from typing import Any

from benchmarks.peers.hal_cgp import imported
from benchmarks.peers.serve import own_stdout

# A sign of life from generations that bring nothing new, so that a limit of time is noticed.
MOST_SILENT = 50
# Trees whose simplified text is kept at hand: mutations that change nothing bring them again and again.
REMEMBERED = 10_000
# sympy can simplify for minutes; what takes longer stays as it is spelled.
SIMPLIFYING_SECONDS = 5.0
# hal-cgp wants finite numbers; what is guessed about texts that are not scored yet.
WORST = -1e9
# Generations that are looked ahead.
FURTHEST = 30


def primitives(cgp: Any, operators: list[str], constants: list[float]) -> tuple[Any, ...]:
    """hal-cgp's nodes for operators of ours, and one node per constant, as its own manual makes them."""
    nodes = {"+": cgp.Add, "-": cgp.Sub, "*": cgp.Mul, "/": cgp.Div, "**": cgp.Pow}
    made = []
    for index, value in enumerate(constants):
        text = repr(float(value))
        body = {
            "_arity": 0,
            "_def_output": text,
            "_def_numpy_output": f"np.ones(len(x[0])) * {text}",
            "_def_torch_output": f"torch.ones(1).expand(x.shape[0]) * {text}",
        }
        made.append(type(f"Constant{index}", (cgp.ConstantFloat,), body))
    return (*(nodes[name] for name in operators), *made)


def _out_of_time(*_: Any) -> None:
    raise TimeoutError


class Texts:
    """The texts of individuals: one per genome, of expressions that hal-cgp has had simplified by sympy."""

    def __init__(self) -> None:
        self.unsimplified = 0
        self._trees: dict[tuple[Any, ...], int] = {}
        signal.signal(signal.SIGALRM, _out_of_time)
        self._simplified = functools.lru_cache(REMEMBERED)(self._simplify)

    def of(self, individual: Any) -> tuple[str, ...]:
        """One text per genome, with the inputs as x_0, x_1, …"""
        genomes = individual.genome if isinstance(individual.genome, list) else [individual.genome]
        return tuple(self._simplified(_Active(genome, self._trees)) for genome in genomes)

    def _simplify(self, active: _Active) -> str:
        try:
            signal.setitimer(signal.ITIMER_REAL, SIMPLIFYING_SECONDS)
            try:
                return str(active.graph.to_sympy(simplify=True))
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0.0)
        except TimeoutError:
            self.unsimplified += 1
            return str(active.graph.to_sympy(simplify=False))
        except (ArithmeticError, AttributeError, TypeError, ValueError, RecursionError) as error:
            # sympy gives up on some infinities in as many ways; no text means that there is nothing to score.
            return f"no expression: {type(error).__name__}"


class _Active:
    """A genome's graph, equal to others that spell the same tree, wherever its nodes stand.

    trees: a number for each tree that was met, by what stands at its root and the numbers of its operands.
    """

    def __init__(self, genome: Any, trees: dict[tuple[Any, ...], int]) -> None:
        from cgp import CartesianGraph  # type: ignore[import-not-found]

        self.graph = CartesianGraph(genome)
        numbers: dict[int, int] = {}
        for node in self.graph.input_nodes:
            numbers[node.idx] = trees.setdefault((node.idx,), len(trees))
        for node in [*self.graph.hidden_nodes, *self.graph.output_nodes]:  # operands stand before what reads them
            tree = (type(node).__name__, *(numbers[address] for address in node.addresses))
            numbers[node.idx] = trees.setdefault(tree, len(trees))
        self._tree = numbers[self.graph.output_nodes[0].idx]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Active) and self._tree == other._tree

    def __hash__(self) -> int:
        return hash(self._tree)


def search(cgp: Any, settings: dict[str, Any], answers: Any) -> None:
    """Evolve until the other side hangs up."""
    texts, known = Texts(), dict[tuple[str, ...], float]()
    counts = {"calls": 0, "generations": 0, "silent": 0}

    def learn() -> None:
        line = sys.stdin.readline()
        if not line:
            sys.exit(0)
        known.update({tuple(text): fitness for text, fitness in json.loads(line)["fitness"]})

    def objective(individual: Any) -> Any:
        if individual.fitness_is_None():
            individual.fitness = known[texts.of(individual)]
        return individual

    def ahead(combined: Any, wanted: int) -> list[tuple[str, ...]]:
        """Texts that copies of the individuals, of the population and of its generator ask for next."""
        found: dict[tuple[str, ...], None] = {}

        def guess(individual: Any) -> Any:
            if individual.fitness_is_None():
                text = texts.of(individual)
                if text not in known:
                    found[text] = None
                individual.fitness = known.get(text, WORST)
            return individual

        pool, future = copy.deepcopy((combined, population))
        guesser = cgp.ea.MuPlusLambda(**ea)
        future.parents = sorted(map(guess, pool), reverse=True)[: future.n_parents]
        for _ in range(FURTHEST):
            if len(found) >= wanted:
                break
            guesser.step(future, guess)
        return list(found)

    class Generationwise(cgp.ea.MuPlusLambda):  # type: ignore[misc]
        """The strategy as it is, with all that a generation needs asked for at once."""

        def _compute_fitness(self, combined: Any, *given: Any, **named: Any) -> Any:
            wanted = [texts.of(individual) for individual in combined if individual.fitness_is_None()]
            counts["calls"] += len(wanted)
            counts["generations"] += 1
            new = [text for text in dict.fromkeys(wanted) if text not in known]
            counts["silent"] = 0 if new else counts["silent"] + 1
            if new or counts["silent"] >= MOST_SILENT:
                counts["silent"] = 0
                further = [text for text in ahead(combined, settings["ahead"]) if text not in new] if new else []
                answer = {"texts": new, "ahead": further, "unsimplified": texts.unsimplified, **counts}
                print(json.dumps(answer), file=answers, flush=True)
                learn()
            return super()._compute_fitness(combined, *given, **named)

    nodes = primitives(cgp, settings["operators"], settings["constants"])
    genome = {"n_outputs": 1, "n_columns": settings["columns"], "n_rows": 1, "levels_back": None, "primitives": nodes}
    genomes = [{"n_inputs": n, **genome} for n in settings["inputs"]]
    population = cgp.Population(
        n_parents=settings["population"],
        seed=settings["seed"],
        genome_params=genomes if len(genomes) > 1 else genomes[0],
    )
    ea = {
        "n_offsprings": settings["offspring"],
        "mutation_rate": settings["mutation_rate"],
        "tournament_size": settings["tournament"],
    }
    strategy = Generationwise(**ea)
    learn()
    cgp.evolve(population, objective, strategy, max_generations=sys.maxsize)


def main() -> None:
    """Serve one search."""
    answers = own_stdout()
    cgp = imported(answers, sys.argv[1])
    if cgp is None:
        return
    print(json.dumps({"extra": {"version": importlib.metadata.version("hal-cgp")}}), file=answers, flush=True)
    search(cgp, json.loads(sys.argv[2]), answers)


if __name__ == "__main__":
    main()
