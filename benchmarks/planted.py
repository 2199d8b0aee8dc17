"""Planted rules: a target is chosen, candidates are compared with it on recorded signals, and the search is to find it.

Nothing is simulated for a candidate, so this asks for the search alone. Its fitness is minus the root-mean-square
difference to the target's values, in units of their standard deviation, on signals recorded from the family itself
while a known rule learned. Found is what equals the target on the probe inputs, up to a positive factor.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleforge.family import Outcome, TaskFamily, family_class
from ruleforge.language.identity import KnownRule, Recogniser, digest_of, outputs
from ruleforge.language.rule import Rule
from ruleforge.language.signals import Slot
from ruleforge.language.tokens import Token, Tokens
from ruleforge.search import make_search
from ruleforge.search.constraints import values_of
from ruleforge.search.grammar import RuleGrammar
from ruleforge.search.small_rules import small_expressions
from ruleforge.search.variation import Variation
from ruleforge.spec import job_spec

# Nodes of the ten targets, (least, most): with binary operators alone a family has only odd sizes, or only even ones.
SIZES = ((3, 4), (3, 4), (5, 6), (5, 6), (5, 6), (7, 8), (7, 8), (7, 8), (8, 9), (8, 9))
N_RECORDED = 200
# Recorded signals are cut into so many instances, for the methods that look at single ones.
N_CASES = 8
# A difference below this is none: the values of two forms of one rule.
EXACT = 1e-9

Values = NDArray[np.float64]
Signals = tuple[Mapping[str, Values], ...]


def _sampled(generator: np.random.Generator, *arrays: Values) -> list[Values]:
    chosen = generator.integers(len(arrays[0]), size=N_RECORDED)
    return [np.asarray(array, dtype=np.float64)[chosen] for array in arrays]


def recorded_signals(task: str) -> Signals:
    """Values of the default signals of every slot while a known rule learns, (N_RECORDED,) each, by slot."""
    family = family_class(task)({})
    key = family.keys("training", 1, 0)[0]
    instance = family.build(key)
    generator = np.random.Generator(np.random.PCG64(0))
    known = next(iter(type(family).known_rules().values())).rule
    return {"reward": _reward, "supervised": _supervised, "correlation": _correlation}[task](
        family, known, instance, generator
    )


def _reward(family: TaskFamily, rule: Rule, instance: Any, generator: np.random.Generator) -> Signals:
    trace = family.trace(rule, instance)
    eligibility = trace["eligibility"].values
    reward = np.broadcast_to(trace["reward"].values[:, None], eligibility.shape)
    live = np.isfinite(eligibility) & (eligibility != 0)
    R, E = _sampled(generator, reward[live], eligibility[live])
    return ({"R": R, "E": E},)


def _supervised(family: TaskFamily, rule: Rule, instance: Any, generator: np.random.Generator) -> Signals:
    from tasks.supervised.instance import potential_of

    trace = family.trace(rule, instance)
    u, v = trace["student"].values, trace["teacher"].values
    first = instance.spike_inputs == 0
    response = potential_of(family.parameters, instance.spike_steps[first], np.ones(int(first.sum())))
    interval = family.parameters.steps(family.parameters.comparison_interval)
    s = response[interval::interval][: len(u)] - response[0]
    return (dict(zip("vus", _sampled(generator, v[: len(s)], u[: len(s)], s), strict=True)),)


def _correlation(family: TaskFamily, rule: Rule, instance: Any, generator: np.random.Generator) -> Signals:
    trace = family.trace(rule, instance)
    weights = trace["weight"].values[np.isfinite(trace["weight"].values)]
    tau = family.parameters.trace_time_constant
    rates = {"depress": float(np.nanmean(trace["output_rate"].values)), "facilitate": 3.0}  # of the other side, Hz
    slots = []
    for slot in family.slots:
        n_spikes = generator.poisson(rates[slot.name] * tau * 1e-3 * 10, N_RECORDED)  # of the last ten time constants
        x = np.array([np.exp(-generator.uniform(0, 10, n)).sum() for n in n_spikes])
        (w,) = _sampled(generator, weights)
        slots.append({"w": w, "x": x})
    return tuple(slots)


def planted_rules(task: str, signals: Signals) -> list[Rule]:
    """Ten rules of SIZES nodes: by chance, but finite and not constant in each slot, and no longer than needed.

    None equals a positive multiple of a shorter one among the small rules of the grammar.
    """
    spec = job_spec({"task": task})
    grammar = RuleGrammar(spec.grammar, family_class(task))
    shorter = [_shortest(hole.slot, hole.operators, (*hole.signals, *hole.constants)) for hole in grammar.holes]
    variation = Variation(grammar, random.Random(2021))
    chosen: list[Rule] = []
    while len(chosen) < len(SIZES):
        individual = variation.random_individual()
        for _ in range(variation.generator.randrange(4)):
            individual = variation.mutated(individual)
        rule = grammar.to_rule(individual)
        least, most = SIZES[len(chosen)]
        if not least <= rule.complexity <= most or rule in chosen:
            continue
        values = [values_of(e, inputs) for e, inputs in zip(rule.expressions, signals, strict=True)]
        if all(np.isfinite(v).all() and 1e-6 < v.std() < 1e6 for v in values) and all(
            len(e) <= known.get(_digest(e, slot), len(e))
            for e, slot, known in zip(rule.expressions, rule.slots, shorter, strict=True)
        ):
            chosen.append(rule)
    return chosen


def _shortest(slot: Slot, operators: Sequence[str], leaves: Sequence[Token]) -> dict[str, int]:
    """The number of nodes of every small behaviour of a slot."""
    sizes = small_expressions(slot, operators, leaves)
    found: dict[str, int] = {}
    for size, expressions in enumerate(sizes, 1):
        for tokens in expressions:
            found.setdefault(_digest(tokens, slot), size)
    return found


def _digest(tokens: Tokens, slot: Slot) -> str:
    """Of the values on the probe inputs up to a positive factor."""
    values = outputs(tokens, slot)
    largest = float(np.max(np.abs(values[np.isfinite(values)]), initial=0.0))
    return digest_of(values / largest if largest > 0 else values)


class Planted:
    """One target: scores candidates against it, and recognises it."""

    def __init__(self, target: Rule, signals: Signals) -> None:
        self.target = target
        self._signals = signals
        self._values = [values_of(e, inputs) for e, inputs in zip(target.expressions, signals, strict=True)]
        self._recogniser = Recogniser({"planted": KnownRule("planted", target, "this benchmark")})

    def found(self, rule: Rule) -> bool:
        """It equals the target on the probe inputs, up to a positive factor."""
        return self._recogniser.recognise(rule) is not None

    def score(self, rule: Rule) -> tuple[float, Outcome, list[float]]:
        """Fitness, outcome and fitness per case."""
        squares = np.zeros(N_RECORDED)
        with np.errstate(all="ignore"):
            for expression, inputs, values in zip(rule.expressions, self._signals, self._values, strict=True):
                squares += ((values_of(expression, inputs) - values) / values.std()) ** 2
        cases = [-math.sqrt(float(part.mean())) for part in np.array_split(squares, N_CASES)]
        if not all(map(math.isfinite, cases)):
            return -math.inf, Outcome.non_finite, cases
        fitness = -math.sqrt(float(squares.mean()))
        return (0.0 if fitness > -EXACT else fitness), Outcome.ok, cases


def search_for(planted: Planted, given: Mapping[str, Any], seed: int, evaluations: int) -> dict[str, Any]:
    """Search until the target is found or the budget spent; found_at: evaluations until then, None if it was not."""
    spec = job_spec({**given, "task": planted.target.task, "seed": seed})
    search = make_search(spec)
    while search.evaluations < evaluations and not search.exhausted:
        before = search.evaluations
        asked = search.ask(evaluations - before)
        scores = [planted.score(candidate.rule) for candidate in asked]
        search.tell([(fitness, outcome) for fitness, outcome, _ in scores], [cases for _, _, cases in scores])
        for place, candidate in enumerate(asked, 1):
            if planted.found(candidate.rule):
                return {"found_at": before + place, "rule": candidate.rule.text, "evaluations": before + place}
    best = search.front[-1] if search.front else None
    return {
        "found_at": None,
        "rule": best.rule.text if best else None,
        "best": best.fitness if best else None,
        "evaluations": search.evaluations,
    }
