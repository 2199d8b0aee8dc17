"""What every search promises, whatever its method: the contract of `ruleforge.search.interface.Search`."""

from __future__ import annotations

import itertools
import json
import math
import random

import numpy as np
import pytest
from judging import read_back, recorded, rough, smooth

from ruleforge.errors import InputError
from ruleforge.family import Outcome
from ruleforge.language import behaviour
from ruleforge.language.tokens import depth
from ruleforge.search import make_search
from ruleforge.search.interface import ORIGINS
from ruleforge.search_settings import METHODS
from ruleforge.spec import job_spec

CONSTRAINED = {
    "random_constants": [0.01, 100.0],
    "zero_when": {"E": 0.0},
    "bounded": {"dw": 1e6},
    "templates": {"dw": "E * ? / (2 + ?)"},
    "nesting": {"/": {"/": 2}},
}
# By name: (method and further settings of the search, grammar).
SEARCHES = {method: ({"method": method}, {}) for method in METHODS} | {
    "islands": ({"islands": 3, "population": 5, "offspring": 6, "migration_interval": 2, "migrants": 2}, {}),
    "islands of fronts": ({"method": "nsga2", "islands": 2, "population": 5, "migration_interval": 3}, {}),
    "constants": ({"tuned": 0.3, "tuned_gain": True}, {"random_constants": [0.1, 10.0]}),
    "restarts": ({"stagnation": 2}, {}),
    "lexicase with islands": ({"method": "lexicase", "islands": 2, "tuned": 0.2, "stagnation": 3}, {}),
    "constrained": ({"tuned": 0.2}, CONSTRAINED),
    "constrained genomes": ({"method": "jordan2021", "columns": 6, "levels_back": 3}, CONSTRAINED),
}
EVERY = pytest.mark.parametrize("name", SEARCHES)


@pytest.fixture
def new(bench):
    def make(name, task="toy", **given):
        search, grammar = SEARCHES[name]
        if task == "twin":
            grammar = {key: value for key, value in grammar.items() if key in ("random_constants", "nesting")}
        return bench.new(task, search=search, grammar=grammar | given.pop("grammar", {}), **given)

    return make


@EVERY
@pytest.mark.parametrize("task", ["toy", "twin"])
def test_same_seed_same_history(bench, new, name, task):
    before, before_numpy = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    first, second, other = new(name, task), new(name, task), new(name, task, seed=2)
    for _ in range(8):
        assert second.ask() == first.ask()
        assert bench.step(first, smooth) == bench.step(second, smooth)
    assert bench.run(other, 8, smooth)[-1].history != first.state()["history"]
    assert random.getstate() == before
    assert np.random.get_state()[1].tolist() == before_numpy  # noqa: NPY002


@EVERY
@pytest.mark.parametrize("score", [rough, smooth], ids=["rough", "smooth"])
def test_restored_after_any_generation_it_goes_on_bit_for_bit(bench, new, name, score):
    undisturbed = new(name)
    archive, states, sizes, generations = [], [json.dumps(undisturbed.state(), allow_nan=False)], [0], []
    for _ in range(10):
        generations.append(bench.step(undisturbed, score))
        archive += [recorded(item) for item in generations[-1].judged]
        states.append(json.dumps(undisturbed.state(), allow_nan=False))
        sizes.append(len(archive))
    for n_done in range(10):
        resumed = new(name)
        resumed.ask()
        resumed.restore(json.loads(states[n_done]), (read_back(line) for line in archive[: sizes[n_done]]))
        for number in range(n_done, min(n_done + 2, 10)):
            assert json.dumps(resumed.state()) == states[number]
            assert bench.step(resumed, score) == generations[number]


@EVERY
def test_a_question_may_be_asked_again(bench, new, name):
    patient, impatient = new(name), new(name)
    for _ in range(5):
        state, asked = impatient.state(), impatient.ask()
        impatient.ask(2)
        assert impatient.ask() == asked
        assert impatient.state() == state
        n = len(asked)
        asked.append(None)
        with pytest.raises(InputError, match=f"{n} candidates were asked for, and {n + 1} scores came"):
            impatient.tell([(0.0, Outcome.ok)] * (n + 1), [[0.0]] * (n + 1))
        assert impatient.state() == state
        assert bench.step(patient, smooth) == bench.step(impatient, smooth)


@EVERY
@pytest.mark.parametrize("task", ["toy", "twin"])
def test_each_behaviour_once_but_for_a_shorter_form_of_the_front(bench, new, name, task):
    search, standing = new(name, task), {}
    for _ in range(15):
        front = {item.behaviour: item for item in search.front}
        asked = search.ask()
        assert len({candidate.behaviour for candidate in asked}) == len(asked)
        for candidate in asked:
            assert candidate.behaviour == behaviour(candidate.rule)
            assert candidate.origin in ORIGINS
            if candidate.behaviour in standing:
                assert candidate.rule.complexity < front[candidate.behaviour].rule.complexity
            standing[candidate.behaviour] = candidate
        assert bench.step(search, smooth).evaluations == len(standing) == search.evaluations
    assert len(standing) > 15


@EVERY
def test_parents_were_judged_before(bench, new, name):
    search, judged = new(name), set()
    for generation in bench.run(search, 12, smooth):
        for candidate, item in zip(generation.candidates, generation.judged, strict=True):
            assert candidate.rule == item.rule
            assert set(candidate.parents) <= judged
        judged |= {item.rule.id for item in generation.judged}


@EVERY
@pytest.mark.parametrize("at_most", [0, 1, 5])
def test_the_budget_is_respected(bench, new, name, at_most):
    search, known = new(name), set()
    for _ in range(6):
        found = {candidate.behaviour for candidate in search.ask(at_most)} - known
        assert len(found) <= at_most
        known |= found
        bench.step(search, smooth, at_most)
        assert search.evaluations == len(known)
    # A generation of genomes may be one of silent mutations but for a few.
    assert search.evaluations == 6 * at_most or (("genomes" in name or name == "jordan2021") and search.evaluations > 5)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("islands", [1, 3])
def test_a_tiny_grammar_is_exhausted(bench, method, islands):
    grammar = {"operators": ["+"], "constants": [], "signals": ["R"], "max_complexity": 3}
    search = {"method": method} | ({} if method == "jordan2021" else {"islands": islands})
    search = bench.new(grammar=grammar, search=search)
    n_generations = 0
    while not search.exhausted and n_generations < 50:
        bench.step(search)
        n_generations += 1
    assert n_generations < 30
    # Genomes may be copies of the best rule.
    assert {item.rule.text for item in search.living} <= {"R", "R + R"}
    assert len(search.living) == 2 or method == "jordan2021"
    assert search.evaluations == 2


@EVERY
def test_what_is_not_finite_never_counts(bench, new, name):
    wild = itertools.cycle(bench.wild)
    search = new(name)
    for generation in bench.run(search, 8, lambda _: next(wild)):
        assert {item.fitness for item in generation.front} <= {0.5}
        assert all((item.fitness == -math.inf) == (item.outcome is not Outcome.ok) for item in generation.judged)
        assert {item.fitness for item in search.survivors} <= {0.5}
    assert generation.best == generation.median == 0.5


@EVERY
def test_a_search_in_which_nothing_works_goes_on(bench, new, name):
    search = new(name)
    for generation in bench.run(search, 8, lambda _: (-math.inf, Outcome.non_finite)):
        assert (generation.front, generation.best, generation.median) == ((), None, None)
        json.dumps(search.state(), allow_nan=False)
    assert search.evaluations >= 20
    assert not search.survivors


@EVERY
def test_the_front_is_what_nothing_beats(bench, new, name):
    search, standing = new(name), {}
    for generation in bench.run(search, 12, rough):
        for item in generation.judged:
            known = standing.get(item.behaviour)
            if known is None or item.fitness >= known.fitness:
                standing[item.behaviour] = item
        scored = [(item.fitness, item.rule.complexity) for item in standing.values() if item.outcome is Outcome.ok]
        best = {(f, c) for f, c in scored if not any((g >= f and d <= c) and (g, d) != (f, c) for g, d in scored)}
        assert {(item.fitness, item.rule.complexity) for item in generation.front} == best


@EVERY
def test_no_more_live_than_may(bench, new, name):
    search = new(name)
    for _ in range(12):
        bench.step(search, smooth)
        settings = search._settings
        assert len(search.living) <= settings.population * settings.islands
        assert len(search.survivors) <= search.n_survivors <= settings.population * settings.islands
        assert set(search.survivors) <= set(search.living)
        # Racing measures new rules by the best of those that live.
        fitness = [item.fitness for item in search.survivors]
        assert max(fitness, default=-math.inf) == max((item.fitness for item in search.living), default=-math.inf)


@EVERY
@pytest.mark.parametrize("task", ["toy", "twin"])
def test_the_limits_of_the_grammar_hold(bench, new, name, task):
    limits = {"max_complexity": 11, "max_depth": 5}
    search = new(name, task, grammar=limits)
    n = 0
    for generation in bench.run(search, 10, smooth):
        for item in generation.judged:
            n += 1
            assert item.rule.complexity <= 11
            assert all(depth(expression) <= 5 for expression in item.rule.expressions)
    assert n > 10


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", ["reward", "supervised", "correlation"])
def test_it_proposes_rules_of_the_installed_families(method, task):
    search = make_search(job_spec({"task": task, "search": {"method": method}}))
    assert len(search.ask()) >= 3


def test_without_fingerprints_every_text_is_a_rule_of_its_own(bench):
    for method in METHODS:
        search = bench.new(evaluator={"fingerprints": False}, search={"method": method})
        judged = [item for generation in bench.run(search, 8, smooth) for item in generation.judged]
        assert [item.behaviour for item in judged] == [item.rule.id for item in judged]
        assert len({item.rule.id for item in judged}) == len(judged) == search.evaluations
