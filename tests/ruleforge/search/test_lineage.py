"""Where candidates come from: each names its origin and the rules that it was made of."""

from __future__ import annotations

import pytest

from ruleforge.search.interface import ORIGINS

PARENTS = {"seed": 0, "small_rule": 0, "random": 0, "mutation": 1, "crossover": 2}


@pytest.mark.parametrize("task", ["toy", "twin"])
@pytest.mark.parametrize("small_rules", [0.0, 0.5])
def test_parents_were_judged_before(bench, task, small_rules):
    search = bench.new(task, search={"small_rules": small_rules, "crossover": 0.5})
    judged, origins = set(), set()
    for generation in bench.run(search, 15):
        assert [c.rule for c in generation.candidates] == [item.rule for item in generation.judged]
        for candidate in generation.candidates:
            assert candidate.origin in ORIGINS
            assert len(candidate.parents) == PARENTS[candidate.origin]
            assert set(candidate.parents) <= judged
            origins.add(candidate.origin)
        judged |= {item.rule.id for item in generation.judged}
    expected = {"crossover", "mutation", "small_rule" if small_rules else "random"}
    assert expected <= origins


def test_seed_rules_are_named_as_such(bench):
    search = bench.new(grammar={"seed_rules": ["R*E*7", "E*9"]})
    assert [candidate.origin for candidate in search.ask()][:3] == ["seed", "seed", "small_rule"]


def test_parents_are_the_same_after_a_restart(bench):
    search = bench.new(search={"small_rules": 0.0})
    first = bench.step(search)
    state = search.state()
    asked = search.ask()
    resumed = bench.new(search={"small_rules": 0.0})
    resumed.restore(state, first.judged)
    assert resumed.ask() == asked
    assert any(candidate.parents for candidate in asked)
