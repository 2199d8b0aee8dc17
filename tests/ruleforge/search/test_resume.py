"""Stopped anywhere and taken up again from its state and archive, a search goes on bit for bit."""

from __future__ import annotations

import json

import pytest
from judging import read_back, recorded, rough, smooth

SETTINGS = {
    "plain": {},
    "no small rules": {"search": {"small_rules": 0.0, "population": 4}},
    "only small rules": {"search": {"small_rules": 1.0}},
    "no fingerprints": {"evaluator": {"fingerprints": False}},
    "seed rules": {"grammar": {"seed_rules": ["(R - 1)*E*R*R*R*R", "E*E*E/E"]}},
    "nearly exhausted": {"grammar": {"operators": ["+"], "constants": [], "signals": ["R"], "max_complexity": 5}},
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("score", [rough, smooth], ids=["rough", "smooth"])
def test_resumed_at_every_generation(bench, name, score):
    check(bench, "toy", SETTINGS[name], score)


@pytest.mark.parametrize("score", [rough, smooth, None], ids=["rough", "smooth", "distance"])
def test_resumed_with_two_slots(bench, score):
    check(bench, "twin", {}, score)


def check(bench, task, settings, score, n_generations=12):
    undisturbed = bench.new(task, **settings)
    archive, states, sizes, generations = [], [json.dumps(undisturbed.state(), allow_nan=False)], [0], []
    for _ in range(n_generations):
        generations.append(bench.step(undisturbed, score))
        archive += [recorded(item) for item in generations[-1].judged]
        states.append(json.dumps(undisturbed.state(), allow_nan=False))
        sizes.append(len(archive))
    for n_done in range(n_generations):
        resumed = bench.new(task, **settings)
        resumed.restore(json.loads(states[n_done]), [read_back(line) for line in archive[: sizes[n_done]]])
        for number in range(n_done, min(n_done + 3, n_generations)):
            assert json.dumps(resumed.state()) == states[number]
            assert bench.step(resumed, score) == generations[number]
            assert resumed.front == generations[number].front


def test_a_question_without_an_answer_is_asked_again(bench):
    search = bench.new()
    generation = bench.step(search)
    state, archive = search.state(), list(generation.judged)
    asked = search.ask()
    resumed = bench.new()
    resumed.ask()
    resumed.restore(json.loads(json.dumps(state)), archive)
    assert resumed.ask() == asked


def test_state_does_not_grow_with_the_archive(bench):
    search = bench.new()
    sizes = [len(json.dumps(search.state())) for _ in range(20) if bench.step(search)]
    assert max(sizes[10:]) < 1.5 * max(sizes[:10])


def test_a_search_that_found_nothing_for_long_remembers_it(bench):
    search = bench.new(**SETTINGS["nearly exhausted"])
    judged = [item for generation in bench.run(search, 15) for item in generation.judged]
    assert not search.exhausted
    resumed = bench.new(**SETTINGS["nearly exhausted"])
    resumed.restore(json.loads(json.dumps(search.state())), judged)
    for _ in range(10):
        assert bench.step(resumed) == bench.step(search)
        assert resumed.exhausted == search.exhausted
    assert search.exhausted
