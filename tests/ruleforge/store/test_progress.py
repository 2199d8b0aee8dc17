"""How a job goes, as it is shown: events, front, history, lineage, and the figures of the whole record."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruleforge.errors import InputError
from ruleforge.store import STATES, open_store
from ruleforge.store.generations import thinned


def kinds(store, id):
    return [event["kind"] for event in store.events(id)]


def test_a_new_front_is_an_event_of_its_generation(store, records):
    id = records.running(store)
    small = records.rule(1, complexity=1, known_as="delta rule", known_factor=2.0)
    large, later = records.rule(2, complexity=9), records.rule(3, complexity=5)
    first = [records.candidate(large, 5.0), records.candidate(small, 1.0, order=1)]
    store.commit_generation(id, records.generation(0, first, front=[small.id, large.id]))
    store.commit_generation(id, records.generation(1, [], front=[small.id, large.id]))
    assert kinds(store, id) == ["state", "state", "front", "generation", "generation"]
    store.commit_generation(
        id, records.generation(2, [records.candidate(later, 4.0)], front=[small.id, later.id, large.id])
    )
    assert kinds(store, id)[-2:] == ["front", "generation"]
    front = store.events(id)[-2]["payload"]
    assert front["generation"] == 2
    assert [item["rule"] for item in front["items"]] == ["R*1", "R*3", "R*2"]
    assert front["items"][0] == {
        **{"id": small.id, "behaviour": small.behaviour, "rule": "R*1", "complexity": 1, "fitness": 1.0},
        **{"validation_fitness": None, "outcome": "ok", "known_as": "delta rule", "known_factor": 2.0},
    }


def test_the_front_of_a_job(store, records):
    id = records.running(store)
    assert store.front(id) == []
    small, large = records.rule(1, complexity=1), records.rule(2, complexity=9)
    other_form = replace(large, text="2*R", tokens=[["*", 2.0, "R"]])
    records.found(store, records.candidate(large, 7.0))
    store.commit_generation(
        id,
        records.generation(0, [records.candidate(other_form, 5.0), records.candidate(small, -math.inf, order=1)]),
    )
    store.commit_generation(id, records.generation(1, [], front=[other_form.id, small.id]))
    items = store.front(id)
    assert [(item.rule, item.fitness, item.outcome, item.validation) for item in items] == [
        (small, -math.inf, "non_finite", None),
        (other_form, 5.0, "ok", None),
    ]
    records.finish(store, id, {large.id: 4.0})
    assert [item.validation for item in store.front(id)] == [
        None,
        {"aggregate": 4.0, "mean": 4.0, "standard_error": 0.5, "n": 40},
    ]
    with pytest.raises(InputError, match="no job 'x'"):
        store.front("x")


def test_events_are_read_in_pieces(store, records):
    id = records.running(store)
    for number in range(4):
        store.commit_generation(id, records.generation(number))
    everything = store.events(id)
    assert store.newest_event(id) == everything[-1]["id"]
    assert store.events(id, limit=3) == everything[:3]
    assert store.events(id, after=everything[2]["id"], limit=2) == everything[3:5]
    assert store.events(id, after=store.newest_event(id)) == []
    assert store.events(id, after=10**30) == []
    assert store.events(id, after=-(10**30)) == everything
    with pytest.raises(InputError, match="limit of 1 or more"):
        store.events(id, limit=0)
    for unknown in ("x", "\0", "\ud800"):
        with pytest.raises(InputError, match="no job"):
            store.newest_event(unknown)


def test_nobody_who_saw_an_event_misses_an_earlier_one(record_url, records):
    """One connection runs a job, another changes its state again and again, a third reads what is new."""
    with open_store(record_url) as runner, open_store(record_url) as other, open_store(record_url) as reader:
        id = records.running(runner)
        done = threading.Event()

        def change():
            while not done.is_set():
                other.set_state(id, "running", "again")

        def read():
            seen = []
            while True:
                last = done.is_set()
                seen += [event["id"] for event in reader.events(id, after=seen[-1] if seen else 0)]
                if last:
                    return seen

        with ThreadPoolExecutor(2) as pool:
            changing, reading = pool.submit(change), pool.submit(read)
            for number in range(20):
                runner.commit_generation(id, records.generation(number))
            done.set()
            changing.result()
            seen = reading.result()
        everything = [event["id"] for event in reader.events(id)]
        assert seen == everything[: len(seen)]
        assert len(seen) >= len(everything) - 1


def test_a_history_is_thinned(store, records):
    id = records.running(store)
    for number, best in enumerate([None, 1.0, 1.0, 1.0, 5.0, 5.0, 5.0, 6.0, 6.0, 6.0]):
        store.commit_generation(id, records.generation(number, best=best))
    whole = store.history(id)
    assert [{name: row[name] for name in row if name != "front"} for row in store.generations(id)] == whole
    assert store.history(id, 100) == whole
    assert [row["number"] for row in store.history(id, 5)] == [0, 1, 4, 7, 9]
    assert [row["number"] for row in store.history(id, 1)] == [9]
    assert len(store.history(id, 7)) == 7
    with pytest.raises(InputError, match="1 point or more, and 0 came") as refused:
        store.history(id, 0)
    assert refused.value.pointer == "/points"


@given(st.lists(st.one_of(st.none(), st.floats(-5, 5)), max_size=60), st.integers(1, 40))
def test_thinning_keeps_ends_and_improvements(best, points):
    kept = thinned(best, points)
    assert kept == sorted(set(kept))
    assert len(kept) == min(points, len(best))
    assert set(kept) <= set(range(len(best)))
    if best:
        assert kept[-1] == len(best) - 1
    if len(best) > 1 < points:
        assert kept[0] == 0
    so_far = [max((v for v in best[:i] if v is not None), default=-math.inf) for i in range(len(best))]
    improvements = {i for i, v in enumerate(best) if v is not None and v > so_far[i]}
    if len(improvements | {0, len(best) - 1}) <= points:
        assert improvements <= set(kept)


def test_the_origin_of_a_candidate_comes_back(store, records):
    parents = [records.rule(1), records.rule(2)]
    child = replace(records.candidate(3), origin="crossover", parents=(parents[0].id, parents[1].id))
    id = records.found(store, *(replace(records.candidate(rule), origin="seed") for rule in parents), child)
    assert [(c.origin, c.parents) for c in store.archive(id)] == [
        ("seed", ()),
        ("seed", ()),
        ("crossover", (parents[0].id, parents[1].id)),
    ]


def test_the_lineage_of_a_rule(store, records):
    def made(number, *parents, origin="mutation", order=0):
        ids = tuple(records.rule(parent).id for parent in parents)
        return replace(records.candidate(number, float(number), order), origin=origin, parents=ids)

    id = records.running(store)
    seeds = [made(1, origin="seed"), made(2, origin="seed", order=1), made(9, origin="random", order=2)]
    store.commit_generation(id, records.generation(0, seeds))
    store.commit_generation(id, records.generation(1, [made(3, 1, 2, origin="crossover"), made(4, 2, order=1)]))
    store.commit_generation(id, records.generation(2, [made(5, 3, 3, origin="crossover"), made(1, 4, order=1)]))
    store.commit_generation(id, records.generation(3, [made(6, 5, 77)]))  # of one that nobody recorded
    records.found(store, made(6, origin="another job"))

    whole = store.lineage(records.rule(6).id)
    assert whole.job == id
    assert [(n.rule.text, n.generation, n.origin, n.fitness) for n in whole.nodes] == [
        ("R*6", 3, "mutation", 6.0),
        ("R*5", 2, "crossover", 5.0),
        ("R*3", 1, "crossover", 3.0),
        ("R*1", 0, "seed", 1.0),
        ("R*2", 0, "seed", 2.0),
    ]
    rule_ids = {number: records.rule(number).id for number in range(1, 10)}
    edges = [(5, 6), (3, 5), (1, 3), (2, 3)]
    assert whole.edges == [(rule_ids[parent], rule_ids[child]) for parent, child in edges]
    near = store.lineage(records.rule(6).id, depth=1)
    assert [node.rule.text for node in near.nodes] == ["R*6", "R*5"]
    assert near.edges == whole.edges[:1]
    assert not near.complete
    assert store.lineage(records.rule(5).id).complete
    assert [node.rule.text for node in store.lineage(records.rule(6).id, depth=0).nodes] == ["R*6"]
    with pytest.raises(InputError, match="depth of 0 or more"):
        store.lineage(records.rule(6).id, depth=-1)
    with pytest.raises(InputError, match="no rule"):
        store.lineage("f" * 32)


def test_a_rule_of_no_job_has_no_lineage(store, records):
    store.add_scores([records.rule(1)], [])
    found = store.lineage(records.rule(1).id)
    assert (found.job, found.nodes, found.edges, found.complete) == (None, [], [], True)


def test_the_statistics_of_a_record(store, records):
    empty = store.statistics()
    assert (empty.jobs, empty.queued, empty.oldest_queued, empty.rules_judged) == ({}, 0, None, 0)
    waiting = [store.create_job(records.job(kind=kind)) for kind in ("evolution", "evaluation", "evolution")]
    id = records.found(store, *(records.candidate(n, f) for n, f in enumerate([1.0, 2.0, -math.inf])))
    records.found(store, records.candidate(0, 1.0))
    now = store.statistics()
    assert now.jobs["evolution"] == dict.fromkeys(STATES, 0) | {"queued": 2, "running": 2}
    assert now.jobs["evaluation"] == dict.fromkeys(STATES, 0) | {"queued": 1}
    assert now.queued == 3
    assert now.oldest_queued == store.job(waiting[0]).created
    assert now.judged == {"ok": 3, "non_finite": 1}
    assert now.rules_judged == 4
    store.set_state(waiting[0], "running", "")
    store.set_state(id, "succeeded", "")
    later = store.statistics()
    assert later.oldest_queued == store.job(waiting[1]).created
    assert later.jobs["evolution"]["succeeded"] == 1
