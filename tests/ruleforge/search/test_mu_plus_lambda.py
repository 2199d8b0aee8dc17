"""What the search promises: see `ruleforge.search.interface.Search`."""

from __future__ import annotations

import itertools
import math
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ruleforge.errors import InputError
from ruleforge.family import Outcome
from ruleforge.language import Rule, behaviour
from ruleforge.language.tokens import depth

BOTH_WAYS = pytest.mark.parametrize("small_rules", [0.0, 0.5])
TASKS = pytest.mark.parametrize("task", ["toy", "twin"])


def texts(candidates):
    return [candidate.rule.text for candidate in candidates]


@TASKS
@BOTH_WAYS
def test_same_seed_same_questions_and_history(bench, task, small_rules):
    first, second = (bench.new(task, seed=7, search={"small_rules": small_rules}) for _ in range(2))
    for _ in range(6):
        assert texts(first.ask()) == texts(second.ask())
        assert bench.step(first) == bench.step(second)
    other = bench.new(task, seed=8, search={"small_rules": small_rules})
    assert bench.run(other, 6)[-1].history != first.state()["history"]


def test_history_does_not_depend_on_the_process():
    here = Path(__file__).parent
    script = f"""
import sys
sys.path[:0] = [{str(here.parent / "helpers")!r}, {str(here)!r}]
import importlib.metadata, random
from ruleforge import family
entry = importlib.metadata.EntryPoint("toy", "toy_families:Toy", family.ENTRY_POINTS)
family._entry_points = lambda: {{"toy": entry}}
random.seed()
from conftest import Bench
bench = Bench()
print(bench.run(bench.new(), 5)[-1].history)
"""
    histories = {
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "HOME": str(Path.home())},
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(histories) == 1
    assert len(histories.pop().strip()) == 32


@TASKS
def test_the_search_leaves_the_global_generators_alone(bench, task):
    before, before_numpy = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    bench.run(bench.new(task), 3)
    assert random.getstate() == before
    assert np.random.get_state()[1].tolist() == before_numpy  # noqa: NPY002
    import deap.gp

    assert deap.gp.random is random


@TASKS
@BOTH_WAYS
def test_asking_again_gives_the_same_and_changes_nothing(bench, task, small_rules):
    patient, impatient = (bench.new(task, search={"small_rules": small_rules}) for _ in range(2))
    for _ in range(4):
        state = impatient.state()
        asked = impatient.ask()
        impatient.ask(3)
        assert impatient.ask() == asked
        assert impatient.state() == state
        assert bench.step(patient) == bench.step(impatient)


def test_what_is_done_with_the_answer_does_not_reach_the_search(bench):
    search = bench.new()
    asked = search.ask()
    n = len(asked)
    asked.clear()
    search.tell([(0.0, Outcome.ok)] * n)


def test_scores_must_match_the_questions(bench):
    search = bench.new()
    n = len(search.ask())
    with pytest.raises(InputError, match=f"{n} candidates were asked for, and {n + 1} scores came"):
        search.tell([(0.0, Outcome.ok)] * (n + 1))
    assert search.evaluations == 0
    search.tell([(0.0, Outcome.ok)] * n)
    assert search.evaluations == n


@TASKS
@BOTH_WAYS
@pytest.mark.parametrize("limits", [{"max_complexity": 7, "max_depth": 3}, {"max_complexity": 4, "max_depth": 8}])
def test_limits_of_size_and_depth_hold(bench, task, small_rules, limits):
    search = bench.new(task, search={"small_rules": small_rules}, grammar=limits)
    for generation in bench.run(search, 12):
        for item in generation.judged:
            assert item.rule.complexity <= limits["max_complexity"]
            assert all(depth(e) <= limits["max_depth"] for e in item.rule.expressions)


@BOTH_WAYS
def test_rules_are_made_of_the_grammar_alone(bench, small_rules):
    grammar = {"operators": ["*", "tanh"], "constants": [3.0], "signals": ["E", "R_mean"]}
    search = bench.new(search={"small_rules": small_rules}, grammar=grammar)
    tokens = {t for g in bench.run(search, 8) for item in g.judged for e in item.rule.expressions for t in e}
    assert tokens == {"*", "tanh", 3.0, "E", "R_mean"}


def test_each_slot_keeps_to_its_own_signals(bench):
    search = bench.new("twin", grammar={"signals": {"depress": ["w"], "facilitate": ["x"]}, "constants": []})
    for generation in bench.run(search, 10):
        for item in generation.judged:
            assert "x" not in item.rule.expressions[0]
            assert "w" not in item.rule.expressions[1]


@TASKS
@BOTH_WAYS
def test_each_behaviour_is_asked_once_but_for_a_shorter_form_of_the_front(bench, task, small_rules):
    search = bench.new(task, search={"small_rules": small_rules, "population": 4})
    standing = {}
    for _ in range(25):
        front = {item.behaviour: item for item in search.front}
        asked = search.ask()
        assert len({c.behaviour for c in asked}) == len(asked)
        for candidate in asked:
            assert candidate.behaviour == behaviour(candidate.rule)
            if candidate.behaviour in standing:
                assert candidate.rule.complexity < front[candidate.behaviour].rule.complexity
            standing[candidate.behaviour] = candidate
        assert bench.step(search).evaluations == len(standing)


def test_a_shorter_form_takes_the_place_of_what_it_repeats(bench):
    long, short = "(R - 1)*E/1", "(R - 1)*E"
    search = bench.new(grammar={"seed_rules": [long]}, search={"small_rules": 0, "population": 2, "offspring": 2})
    bench.step(search)
    assert search.front[-1].rule.text == long
    generation = bench.run(search, 60)[-1]
    assert [item.rule.text for item in generation.front if item.behaviour == behaviour(Rule.parse(short, "toy"))] == [
        short
    ]
    assert long not in [item.rule.text for item in search.living]


def test_a_shorter_form_that_does_worse_does_not_push_the_better_one_out(bench):
    """Behaviour is compared on probe inputs; a pole between them can make two forms differ when simulated."""
    long = "(R - 1)*E/1"

    def score(rule):
        if rule.text == long:
            return 1.0, Outcome.ok
        return (-np.inf, Outcome.non_finite) if behaviour(rule) == wanted else (-1.0, Outcome.ok)

    search = bench.new(grammar={"seed_rules": [long]}, search={"small_rules": 0, "population": 2, "offspring": 2})
    wanted = behaviour(Rule.parse(long, "toy"))
    judged = [item for generation in bench.run(search, 80, score) for item in generation.judged]
    shorter = [item.rule.id for item in judged if item.behaviour == wanted and item.rule.text != long]
    assert shorter
    assert len(set(shorter)) == len(shorter)  # no form is tried twice
    assert search.front[-1].rule.text == long


@TASKS
@pytest.mark.parametrize("at_most", [0, 1, 5])
def test_no_more_new_behaviours_than_wanted(bench, task, at_most):
    search = bench.new(task)
    known = set()
    for _ in range(5):
        asked = search.ask(at_most)
        new = {candidate.behaviour for candidate in asked} - known
        assert len(new) <= at_most
        known |= new
        bench.step(search, at_most=at_most)
        assert search.evaluations == len(known)
    assert search.evaluations == 5 * at_most


@pytest.mark.parametrize("small_rules", [0.0, 1.0])
def test_a_tiny_grammar_is_exhausted(bench, small_rules):
    grammar = {"operators": ["+"], "constants": [], "signals": ["R"], "max_complexity": 3}
    search = bench.new(grammar=grammar, search={"small_rules": small_rules})
    n_generations = 0
    while not search.exhausted and n_generations < 50:
        bench.step(search)
        n_generations += 1
    assert 15 < n_generations < 30
    assert search.evaluations == 2
    assert sorted(item.rule.text for item in search.living) == ["R", "R + R"]


def test_a_rich_grammar_is_not(bench):
    search = bench.new()
    bench.run(search, 25)
    assert not search.exhausted


@TASKS
def test_what_is_not_finite_never_reaches_the_front(bench, task):
    search = bench.new(task)
    wild = itertools.cycle(bench.wild)
    for generation in bench.run(search, 6, lambda _: next(wild)):
        assert {item.fitness for item in generation.front} == {0.5}
        assert generation.best == 0.5
        assert {item.fitness for item in generation.judged} <= {0.5, -math.inf}
        assert all((item.fitness == -math.inf) == (item.outcome is not Outcome.ok) for item in generation.judged)
    assert generation.median == 0.5


def test_a_search_in_which_nothing_works_goes_on(bench):
    search = bench.new()
    for generation in bench.run(search, 5, lambda _: (-math.inf, Outcome.non_finite)):
        assert generation.front == ()
        assert generation.best is None
        assert generation.median is None
    assert search.evaluations > 40


@TASKS
@BOTH_WAYS
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_front_is_what_nothing_beats(bench, task, small_rules, seed):
    """Against brute force over all that was ever scored, with many ties and failures among them."""

    def score(rule):
        number = int(behaviour(rule)[:4], 16)
        return (-np.inf, Outcome.non_finite) if number % 5 == 0 else (float(number % 11), Outcome.ok)

    search = bench.new(task, seed=seed, search={"small_rules": small_rules})
    standing = {}
    for _ in range(15):
        generation = bench.step(search, score)
        standing |= {item.behaviour: item for item in generation.judged}
        scored = [item for item in standing.values() if item.outcome is Outcome.ok]

        def beaten(item, scored=scored):
            return any(
                other.fitness >= item.fitness
                and other.rule.complexity <= item.rule.complexity
                and (other.fitness, -other.rule.complexity) != (item.fitness, -item.rule.complexity)
                for other in scored
            )

        best = {(item.fitness, item.rule.complexity) for item in scored if not beaten(item)}
        front = [(item.fitness, item.rule.complexity) for item in generation.front]
        assert sorted(front, key=lambda pair: pair[1]) == front
        assert len(set(front)) == len(front)
        assert set(front) == best
        assert generation.best == max(fitness for fitness, _ in best)
        assert search.front == generation.front


def test_offspring_win_ties(bench):
    search = bench.new(search={"population": 6, "offspring": 6, "small_rules": 0})
    for _ in range(6):
        generation = bench.step(search, lambda _: (1.0, Outcome.ok))
        newest = {item.behaviour for item in generation.judged}
        assert len(newest) == 6
        assert {item.behaviour for item in search.living} == newest


def test_parents_that_are_better_stay(bench):
    search = bench.new(search={"population": 6, "offspring": 6})
    bench.step(search, lambda _: (1.0, Outcome.ok))
    parents = list(search.living)
    bench.step(search, lambda _: (0.0, Outcome.ok))
    assert list(search.living) == parents


def test_the_population_is_the_best_so_far(bench):
    search = bench.new(search={"population": 5})
    seen = {}
    for _ in range(10):
        seen |= {item.behaviour: item.fitness for item in bench.step(search).judged}
    assert [item.fitness for item in search.living] == sorted(seen.values(), reverse=True)[:5]


@pytest.mark.parametrize("n_seeds", [1, 3, 40])
def test_seed_rules_are_all_in_the_first_generation(bench, n_seeds):
    seeds = [f"R*{2 * i + 3}*E" for i in range(n_seeds)]
    search = bench.new(grammar={"seed_rules": seeds})
    asked = texts(search.ask())
    assert asked[:n_seeds] == seeds
    bench.step(search)
    assert not set(seeds) & set(texts(search.ask()))


def test_seed_rules_may_be_equal_or_outside_the_grammar(bench):
    seeds = ["sqrt(abs(E))*R_mean", "R*E", "E*R", "tanh(E)*7.5"]
    search = bench.new(grammar={"seed_rules": seeds, "max_complexity": 4})
    assert texts(search.ask())[:3] == ["sqrt(abs(E))*R_mean", "R*E", "tanh(E)*7.5"]
    bench.run(search, 5)


def test_seed_rules_of_two_slots(bench):
    seed = "depress: -w + x/w; facilitate: (w*x)**w - 1"
    search = bench.new("twin", grammar={"seed_rules": [seed]})
    generation = bench.step(search)
    assert generation.judged[0].rule.text == seed
    assert generation.best == 0.0


def test_without_fingerprints_every_text_is_a_rule_of_its_own(bench):
    search = bench.new(evaluator={"fingerprints": False}, search={"small_rules": 0})
    judged = [item for generation in bench.run(search, 15) for item in generation.judged]
    assert [item.behaviour for item in judged] == [item.rule.id for item in judged]
    assert len({item.rule.id for item in judged}) == len(judged) == search.evaluations
    assert len({behaviour(item.rule) for item in judged}) < len(judged)


def test_generations_tell_what_happened(bench):
    search = bench.new()
    generations = bench.run(search, 4)
    assert [generation.number for generation in generations] == [0, 1, 2, 3]
    n_judged = np.cumsum([len(generation.judged) for generation in generations])
    assert [generation.evaluations for generation in generations] == n_judged.tolist()
    assert len({generation.history for generation in generations}) == 4
    fitness = [item.fitness for item in search.living if item.outcome is Outcome.ok]
    assert generations[-1].median == np.median(fitness)


def test_the_search_finds_its_target(bench):
    found = 0
    for seed in range(5):
        search = bench.new(seed=seed, search={"population": 16, "offspring": 32, "small_rules": 0})
        found += any(bench.step(search).best > -1e-9 for _ in range(40))
    assert found >= 4


def test_small_rules_find_every_small_target(bench):
    for seed in range(3):
        search = bench.new(seed=seed, search={"small_rules": 1.0, "offspring": 32})
        assert any(bench.step(search).best > -1e-9 for _ in range(25))
