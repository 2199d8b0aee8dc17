"""What a search keeps of the rules that it has judged: the living, the front, and eight bytes for each other."""

from __future__ import annotations

import gc
import random

import pytest

from ruleforge.family import Outcome
from ruleforge.language import Rule
from ruleforge.search.seen import MOST_WAITING, Seen


def test_what_was_put_in_is_there_and_nothing_else():
    generator = random.Random(1)
    seen, expected = Seen(), set()
    numbers = [generator.getrandbits(128) for _ in range(2 * MOST_WAITING + 100)]
    for number in numbers:
        identity = f"{number:032x}"
        assert identity not in seen
        for _ in range(2):
            seen.add(identity)
        expected.add(identity)
        assert identity in seen
    assert len(seen) == len(expected)
    assert all(identity in seen for identity in expected)
    assert not any(f"{generator.getrandbits(128):032x}" in seen for _ in range(1000))


@pytest.mark.parametrize("edge", ["0" * 32, "f" * 32, "7" + "f" * 31, "8" + "0" * 31])
def test_the_ends_of_the_range(edge):
    seen = Seen()
    assert edge not in seen
    seen.add(edge)
    for number in range(MOST_WAITING + 1):
        seen.add(f"{number + 5:016x}")
    assert edge in seen


def test_an_old_identity_takes_eight_bytes():
    seen = Seen()
    generator = random.Random(2)
    for _ in range(3 * MOST_WAITING):
        seen.add(f"{generator.getrandbits(64):016x}")
    assert not seen._waiting
    assert seen._sorted.nbytes == 8 * len(seen)


def test_rules_that_neither_live_nor_stand_on_the_front_are_let_go(bench):
    search = bench.new(grammar={"max_complexity": 60, "max_depth": 12}, search={"small_rules": 0})

    def rules_held():
        gc.collect()
        return sum(isinstance(thing, Rule) for thing in gc.get_objects())

    held = []
    for _ in range(40):
        bench.step(search)
        held.append(rules_held())
    assert search.evaluations > 300
    bound = len(search.front) + search.n_survivors
    assert held[-1] - held[0] <= bound
    assert len(search._ledger.standing) <= bound


def test_forms_that_did_worse_are_remembered_only_while_it_matters(bench):
    long = "(R - 1)*E/1"
    search = bench.new(grammar={"seed_rules": [long]}, search={"small_rules": 0, "population": 2, "offspring": 2})
    bench.run(search, 80, lambda rule: (1.0 if rule.text == long else -1.0, Outcome.ok))
    assert search._ledger._worse_forms
    for _ in range(200):
        bench.step(search, lambda rule: (float(2 - rule.complexity / 100), Outcome.ok))
        if not any(item.rule.text == long for item in search.front):
            break
    else:
        pytest.fail("no simpler and better rule was found")
    assert not search._ledger._worse_forms
