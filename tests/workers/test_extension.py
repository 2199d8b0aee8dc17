"""A search that is taken further has the history that the larger limit would have given, to the bit."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.command_line.conclusion import conclusion
from ruleforge.errors import InputError, SpecificationError
from ruleforge.search_settings import METHODS
from ruleforge.spec import job_spec
from ruleforge.store import NewJob, open_store
from workers.evaluators import SerialEvaluator, ThreadEvaluator
from workers.evolve import SilentObserver, run_job, submit
from workers.extension import extend
from workers.study import study, submit_study

SEARCHES = {method: {"method": method} for method in METHODS} | {
    "islands": {"islands": 3, "stagnation": 2, "migration_interval": 2},
    "lexicase on islands": {"method": "lexicase", "islands": 2, "stagnation": 2, "tuned": 0.2},
    "tuned": {"method": "mu_plus_lambda", "tuned": 0.3, "tuned_gain": True, "small_rules": 0.2},
}
BASE = {
    "task": "reward",
    "parameters": {"n_trials": 10, "n_patterns": 2, "n_inputs": 3},
    "instances": {"training": 4, "validation": 2},
}


class Watching(SilentObserver):
    """Counts generations, and may raise in place of a kill."""

    def __init__(self, stop_after=None):
        self.n, self.stop_after, self.histories = 0, stop_after, []

    def on_generation(self, generation, seconds):
        self.n += 1
        self.histories.append(generation.history)

    def stop(self):
        return self.stop_after is not None and self.n >= self.stop_after


def specification(name="nsga2", *, seed=1, racing=True, fingerprints=True, **budget):
    tournament = {} if SEARCHES[name].get("method") == "lexicase" else {"tournament": 2}
    return job_spec(
        {
            **BASE,
            "seed": seed,
            "search": {"population": 5, "offspring": 8} | tournament | SEARCHES[name],
            "evaluator": {"racing": racing, "fingerprints": fingerprints},
            "budget": budget,
        }
    )


def essence(result):
    """What a job found, without what belongs to one job alone: its id, its time, and its own test stream."""
    kept = ("state", "champion", "front", "generations", "evaluations", "history", "stopped_by", "effort")
    return {name: result[name] for name in kept}


def recorded(store, job):
    """All that the record keeps of a search, without times."""
    record = store.job(job)
    candidates = [(c.rule.text, c.fitness, c.outcome, c.order, c.origin, c.parents) for c in store.archive(job)]
    generations = [{k: v for k, v in row.items() if k != "seconds"} for row in store.generations(job)]
    own = (record.spec, record.spec_hash, record.generation, record.evaluations, record.best, record.history)
    front = [(item.rule.id, item.fitness, item.validation) for item in store.front(job)]
    return own, record.search_state, candidates, generations, front


def run(store, job, evaluator=None, **options):
    return run_job(store, job, evaluator or SerialEvaluator(), **options)


def direct(spec, evaluator=None):
    """The result and the record of a job that had its limits from the first."""
    with open_store("sqlite://") as store:
        job = submit(store, spec)
        return essence(run(store, job, evaluator)), recorded(store, job)


def test_no_generation_may_depend_on_the_limit():
    """The limits lie close together, so that generations are cut at many places."""
    expected = direct(specification(evaluations=40))
    for limit in range(1, 40, 2):
        with open_store("sqlite://") as store:
            job = submit(store, specification(evaluations=limit))
            assert run(store, job)["evaluations"] == limit
            extend(store, job, {"evaluations": 40})
            assert (essence(run(store, job)), recorded(store, job)) == expected


@pytest.mark.parametrize("racing", [False, True], ids=["all instances", "racing"])
@pytest.mark.parametrize("name", SEARCHES)
def test_several_times_in_a_row(name, racing):
    expected = direct(specification(name, racing=racing, evaluations=90))
    with open_store("sqlite://") as store:
        job = submit(store, specification(name, racing=racing, evaluations=3))
        run(store, job)
        for limit in (4, 21, 22, 57, 90):
            extend(store, job, {"evaluations": limit})
            assert run(store, job)["evaluations"] == limit
        found = essence(store.job(job).result), recorded(store, job)
    assert found == expected


limits = st.one_of(
    st.fixed_dictionaries({"evaluations": st.integers(1, 70)}),
    st.fixed_dictionaries({"generations": st.integers(1, 8)}),
    st.fixed_dictionaries({"target": st.floats(-1, 8, allow_nan=False)}, optional={}).map(
        lambda limit: limit | {"evaluations": 70}
    ),
    st.fixed_dictionaries({"evaluations": st.integers(1, 70), "generations": st.integers(1, 8)}),
)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(sorted(SEARCHES)),
    seed=st.integers(0, 2**32),
    racing=st.booleans(),
    fingerprints=st.booleans(),
    steps=st.lists(limits, min_size=2, max_size=4),
    interrupted=st.lists(st.integers(1, 3), max_size=3),
)
def test_any_limits_one_after_the_other(name, seed, racing, fingerprints, steps, interrupted):
    """Whatever the limits, what was refused changes nothing, and what was taken is as if it had been so at first."""
    options = {"seed": seed, "racing": racing, "fingerprints": fingerprints}
    with open_store("sqlite://") as store:
        job = submit(store, specification(name, **options, **steps[0]))
        last = steps[0]
        run(store, job)
        stops = itertools.chain(interrupted, itertools.repeat(None))
        for step in steps[1:]:
            before = store.job(job), recorded(store, job), store.events(job)
            try:
                extend(store, job, step)
            except InputError:
                assert (store.job(job), recorded(store, job), store.events(job)) == before
                continue
            last = step
            state = "queued"
            while state != "succeeded":
                watching = Watching(next(stops))
                state = run(store, job, observer=watching, stop=watching.stop)["state"]
        found = essence(store.job(job).result), recorded(store, job)
    assert found == direct(specification(name, **options, **last))


@pytest.mark.parametrize("racing", [False, True], ids=["all instances", "racing"])
@pytest.mark.parametrize("n_threads", [2, 3])
def test_with_threads(n_threads, racing):
    expected = direct(specification("islands", racing=racing, evaluations=60))
    evaluator = ThreadEvaluator(n_threads)
    try:
        with open_store("sqlite://") as store:
            job = submit(store, specification("islands", racing=racing, evaluations=25))
            run(store, job, evaluator)
            extend(store, job, {"evaluations": 60})
            assert (essence(run(store, job, evaluator)), recorded(store, job)) == expected
    finally:
        evaluator.close()


def test_with_dask(embedded):
    expected = direct(specification(evaluations=60))
    with open_store("sqlite://") as store:
        job = submit(store, specification(evaluations=25))
        run(store, job, embedded)
        extend(store, job, {"evaluations": 60})
        assert (essence(run(store, job, embedded)), recorded(store, job)) == expected


class OneSecondEach(SilentObserver):
    """A clock by which every generation takes a second."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr("workers.evolve.time", SimpleNamespace(monotonic=lambda: self.now))

    def on_generation(self, generation, seconds):
        self.now += 1.0


@pytest.mark.parametrize("seconds", [1e-9, 1.0, 2.5])
def test_of_a_job_that_was_limited_by_time(monkeypatch, seconds):
    """What ran is a prefix, and the rest follows."""
    expected = direct(specification(evaluations=60))
    clock = OneSecondEach(monkeypatch)
    with open_store("sqlite://") as store:
        job = submit(store, specification(seconds=seconds))
        stopped = run(store, job, observer=clock)
        assert stopped["stopped_by"] == "seconds"
        assert 0 < stopped["generations"] <= 3
        extend(store, job, {"evaluations": 60})
        assert (essence(run(store, job)), recorded(store, job)) == expected


def test_more_time_is_time_in_all(monkeypatch):
    clock = OneSecondEach(monkeypatch)
    with open_store("sqlite://") as store:
        job = submit(store, specification(seconds=2.0))
        assert run(store, job, observer=clock)["generations"] == 2
        with pytest.raises(SpecificationError, match="1 seconds have run"):
            extend(store, job, {"seconds": 1.0})
        extend(store, job, {"seconds": 5.0})
        second = run(store, job, observer=clock)
        assert (second["stopped_by"], second["generations"]) == ("seconds", 6)  # the second of the end was not kept
    expected = direct(specification(generations=6))
    assert {**essence(second), "stopped_by": "generations"} == expected[0]


def test_a_target_that_was_reached_is_lifted_unless_a_higher_one_is_given():
    with open_store("sqlite://") as store:
        job = submit(store, specification(target=-100.0, evaluations=60))
        assert run(store, job)["stopped_by"] == "target"
        extend(store, job, {"evaluations": 60})
        assert (essence(run(store, job)), recorded(store, job)) == direct(specification(evaluations=60))
    with open_store("sqlite://") as store:
        job = submit(store, specification(target=-100.0))
        reached = run(store, job)["champion"]["fitness"]
        with pytest.raises(SpecificationError, match=r"expected more than what job .* has reached"):
            extend(store, job, {"target": reached})
        further = {"target": reached + 0.5, "evaluations": 60}
        extend(store, job, further)
        assert (essence(run(store, job)), recorded(store, job)) == direct(specification(**further))


def test_a_limit_that_cuts_and_a_target_that_is_reached_by_the_cut():
    """The search stopped by its target, and its last generation is cut all the same."""
    full = direct(specification(evaluations=60))
    best = full[1][3][1]["best"]  # of the second generation
    for limit in range(9, 17):
        with open_store("sqlite://") as store:
            job = submit(store, specification(evaluations=limit, target=best))
            run(store, job)
            extend(store, job, {"evaluations": 60})
            assert (essence(run(store, job)), recorded(store, job)) == full


@pytest.mark.parametrize("ended", ["cancelled", "failed", "paused", "queued"])
def test_from_any_state_in_which_nobody_runs_it(ended):
    expected = direct(specification(evaluations=60))
    with open_store("sqlite://") as store:
        job = submit(store, specification(evaluations=50))
        watching = Watching(2)
        assert run(store, job, observer=watching, stop=watching.stop)["state"] == "paused"
        store.set_state(job, ended, "for the test")
        extend(store, job, {"evaluations": 60})
        assert store.job(job).state == "queued"
        assert [item.id for item in store.waiting()] == [job]
        assert (essence(run(store, job)), recorded(store, job)) == expected


def test_in_a_record_that_processes_share(record_url):
    """SQLite in a file, and PostgreSQL."""
    expected = direct(specification(evaluations=60))
    with open_store(record_url) as store:
        job = submit(store, specification(evaluations=20))
        run(store, job)
        for limit in (33, 60):
            extend(store, job, {"evaluations": limit})
            run(store, job)
        assert (essence(store.job(job).result), recorded(store, job)) == expected


def test_of_a_job_that_never_began():
    expected = direct(specification(generations=3))
    with open_store("sqlite://") as store:
        job = submit(store, specification(evaluations=50))
        store.set_state(job, "cancelled", "for the test")
        extend(store, job, {"generations": 3})
        assert (essence(run(store, job)), recorded(store, job)) == expected


def test_what_is_not_larger_than_what_ran_is_refused_and_changes_nothing():
    with open_store("sqlite://") as store:
        job = submit(store, specification(evaluations=20))
        result = run(store, job)
        before = store.job(job), store.events(job)
        reached = {
            "evaluations": 20,
            "generations": result["generations"] - 1,  # the last one was cut
            "seconds": store.job(job).seconds,
            "target": result["champion"]["fitness"],
        }
        for name, value in reached.items():
            for limit in {name: value}, {name: value, **({} if name == "evaluations" else {"evaluations": 50})}:
                with pytest.raises(SpecificationError) as refused:
                    extend(store, job, limit)
                assert refused.value.errors[0][0] == f"/budget/{name}"
        for nothing in ({}, {"evaluations": None}, None, True, [], "evaluations"):
            with pytest.raises(SpecificationError, match="expected a limit that the job goes on to"):
                extend(store, job, nothing)
        for wrong in ({"evaluation": 50}, {"evaluations": 0}, {"evaluations": "many"}, {"seconds": float("inf")}, 5):
            with pytest.raises(SpecificationError):
                extend(store, job, wrong)
        assert (store.job(job), store.events(job)) == before
        assert store.job(job).result == result


def test_the_whole_of_the_generation_that_was_cut_is_a_larger_limit():
    with open_store("sqlite://") as store:
        job = submit(store, specification(evaluations=20))
        n = run(store, job)["generations"]
        extend(store, job, {"generations": n})
        assert (essence(run(store, job)), recorded(store, job)) == direct(specification(generations=n))


def test_a_job_that_runs_is_refused_and_one_on_its_way_to_the_limit_is_left_alone():
    with open_store("sqlite://") as store:
        job = submit(store, specification(evaluations=20))
        run(store, job)
        extend(store, job, {"evaluations": 30})
        before = store.job(job), store.events(job)
        assert extend(store, job, {"evaluations": 30}) == before[0]
        assert store.events(job) == before[1]
        lease = store.take(job, "for the test")
        with pytest.raises(InputError, match=r"is running: pause it first with `ruleforge pause"):
            extend(store, job, {"evaluations": 40})
        assert extend(store, job, {"evaluations": 30}).state == "running"
        store.release(job, lease)


def test_a_search_that_is_exhausted_is_not_taken_further():
    spec = job_spec(
        {
            **BASE,
            "grammar": {"operators": ["+"], "constants": [1.0], "signals": ["E"], "max_complexity": 3},
            "search": {"population": 4, "offspring": 4},
            "budget": {"evaluations": 500},
        }
    )
    with open_store("sqlite://") as store:
        job = submit(store, spec)
        assert run(store, job)["stopped_by"] == "exhausted"
        with pytest.raises(InputError, match="a larger limit changes nothing about it"):
            extend(store, job, {"evaluations": 1000})


def test_jobs_of_a_study_keep_the_limits_of_the_study():
    given = {**BASE, "replicates": 2, "budget": {"evaluations": 10}}
    with open_store("sqlite://") as store:
        made = submit_study(store, study(given))
        job = store.study(made).jobs[0][1]
        run(store, job)
        with pytest.raises(InputError, match=rf"part of the study {made}, whose jobs have the same limits"):
            extend(store, job, {"evaluations": 20})
        assert store.job(job).state == "succeeded"


def test_an_evaluation_is_not_taken_further():
    with open_store("sqlite://") as store:
        job = store.create_job(NewJob(task="reward", kind="evaluation", spec={"rule": "R*E"}, spec_hash="0"))
        with pytest.raises(InputError, match="only an evolution can be taken further"):
            extend(store, job, {"evaluations": 20})


def test_a_cut_that_an_earlier_version_recorded_is_not_guessed(monkeypatch):
    """It did not keep where the generation began."""
    with open_store("sqlite://") as store:
        job = submit(store, specification(evaluations=20))
        monkeypatch.setattr("workers.evolve._Run._state", _without_the_past)
        run(store, job)
        with pytest.raises(InputError, match="cut to 20 evaluations by an earlier version"):
            extend(store, job, {"evaluations": 50})


class _Forgetful(dict):
    """A state that keeps no other."""

    def __setitem__(self, name, value):
        pass


def _without_the_past(self):
    return _Forgetful({"search": self.search.state(), "effort": vars(self.effort)})


def test_the_events_tell_of_it_and_of_the_front_that_is_taken_back():
    with open_store("sqlite://") as store:
        job = submit(store, specification(evaluations=20))
        result = run(store, job)
        newest = store.newest_event(job)
        extended = extend(store, job, {"evaluations": 50})
        new = store.events(job, after=newest)
        n = result["generations"] - 1
        assert (new[0]["kind"], new[0]["payload"]) == (
            "state",
            {"state": "queued", "previous": "succeeded", "reason": "extended to 50 evaluations", "generation": n},
        )
        assert (extended.result, extended.stopped_by, extended.generation) == (None, None, n)
        assert extended.test_openings == store.job(job).test_openings
        shown = [item.rule.id for item in store.front(job)]
        assert shown == store.generations(job)[-1]["front"]
        if len(new) > 1:
            assert [item["id"] for item in new[1]["payload"]["items"]] == shown
        run(store, job)
        # Whoever follows the fronts has the last one, and the last state is the end.
        told = [e["payload"] for e in store.events(job) if e["kind"] == "front"][-1]
        assert [item["id"] for item in told["items"]] == [item.rule.id for item in store.front(job)]
        assert store.events(job)[-1]["payload"]["state"] == "succeeded"


def test_it_can_be_deleted_at_its_new_end_and_not_before():
    with open_store("sqlite://") as store:
        job = submit(store, specification(evaluations=20))
        run(store, job)
        extend(store, job, {"evaluations": 50})
        with pytest.raises(InputError, match="is queued, and only a job that has ended can be deleted"):
            store.delete_job(job)
        run(store, job)
        store.delete_job(job)
        assert store.jobs() == []
        kept = store.rules(top=1000)
        assert any(found.found for found in kept)
        # What no job found are the known rules, which were scored on the library.
        assert all(found.found or (found.rule.known_as and found.library) for found in kept)


class OfTheTest(SerialEvaluator):
    """Notes the seeds of the test streams that are asked for, and the instances."""

    def __init__(self):
        super().__init__()
        self.keys = []

    def answer(self, request):
        self.keys += [str(key) for key in request.keys if key.split == "test"]
        return super().answer(request)


@pytest.mark.parametrize("racing", [True, False])
def test_a_job_that_is_taken_further_opens_a_fresh_test_stream_each_time(racing):
    """Whether the larger limit changed the reported rule or not: the first stream has been looked at."""
    seen: list[set[str]] = []
    with open_store("sqlite://") as store:
        job = submit(store, specification(seed=2, racing=racing, generations=2))
        for openings, limit in enumerate((2, 4, 5), 1):
            if limit > 2:
                extend(store, job, {"generations": limit})
                assert store.job(job).test_openings == openings - 1
            evaluator = OfTheTest()
            result = run(store, job, evaluator)
            assert result["test_openings"] == store.job(job).test_openings == openings
            assert evaluator.keys
            assert not set(evaluator.keys) & set().union(*seen)
            seen.append(set(evaluator.keys))
            again = f"this is opening {openings}, each of a fresh stream"
            assert (again in conclusion(result)) == (openings > 1)
        once_more = OfTheTest()
        assert run(store, job, once_more) == result
        assert once_more.keys == []


def test_taken_further_twice_it_opens_the_same_streams_in_any_record():
    found = []
    for _ in range(2):
        with open_store("sqlite://") as store:
            job = submit(store, specification(seed=2, generations=2))
            run(store, job)
            extend(store, job, {"generations": 4})
            found.append(run(store, job))
    first, second = found
    assert first["reported"] == second["reported"]
    assert first["verdicts"] == second["verdicts"]
