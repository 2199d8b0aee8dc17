"""The evolve loop: same seed, same result, whatever the workers, interruptions and the record it is kept in."""

from __future__ import annotations

import itertools
import subprocess
import sys
from types import SimpleNamespace

import pytest

from ruleforge.errors import InputError, JobStopped
from ruleforge.family import InstanceKey, family
from ruleforge.language.identity import Recogniser
from ruleforge.language.rule import Rule
from ruleforge.store import NewJob, ScoreRecord, open_store
from workers.evaluators import SerialEvaluator, ThreadEvaluator
from workers.evolve import SilentObserver, run_job, submit
from workers.scoring import rule_record, score_rules
from workers.versions import context


class Counting(SerialEvaluator):
    """Counts (rule, instance) pairs that are really simulated."""

    def __init__(self):
        super().__init__()
        self.pairs = 0

    def score(self, family, rules, keys, *arguments, **options):
        self.pairs += len(rules) * len(keys)
        return super().score(family, rules, keys, *arguments, **options)


class Disturbed(SerialEvaluator):
    """Raises an error while the third generation is scored, after a part of the work if it comes in parts."""

    def __init__(self, watching, error):
        super().__init__()
        self.watching, self.error, self.raised = watching, error, False

    def score(self, *arguments, **options):
        found = super().score(*arguments, **options)
        if len(self.watching.generations) == 2:
            self.raised = True
            raise self.error
        return found


class Watching(SilentObserver):
    """Notes what it sees, and asks for a stop after so many generations of one run."""

    def __init__(self, stop_after=None):
        self.generations, self.warnings, self.validations, self.seen = [], [], [], 0
        self.stop_after = stop_after

    def on_start(self, job, spec):
        self.seen = 0

    def on_generation(self, generation, seconds):
        self.seen += 1
        self.generations.append(generation)

    def on_warning(self, message):
        self.warnings.append(message)

    def on_validation(self, n_rules, n_instances):
        self.validations.append((n_rules, n_instances))

    def stop(self):
        return self.stop_after is not None and self.seen >= self.stop_after


def histories(observer):
    return [generation.history for generation in observer.generations]


@pytest.fixture(scope="module", params=[False, True], ids=["all instances", "racing"])
def spec(request, jobs):
    """The job that most tests disturb, in both ways of scoring."""
    return jobs.spec(evaluator={"racing": request.param}, instances={"training": 4, "validation": 3, "test": 3})


@pytest.fixture(scope="module")
def expected(jobs, undisturbed, spec):
    """Its undisturbed run."""
    return jobs.essence(undisturbed(spec))


def test_the_result_says_all_that_a_result_says(jobs, store):
    watching = Watching()
    result = jobs.run(store, observer=watching)
    keys = {"job", "state", "champion", "front", "generations", "evaluations", "seconds", "history", "stopped_by"}
    assert keys <= result.keys()
    assert result["state"] == "succeeded"
    assert result["generations"] == len(watching.generations) == 5
    assert result["evaluations"] == watching.generations[-1].evaluations
    assert result["history"] == watching.generations[-1].history
    assert result["champion"] == result["front"][-1]
    complexities = [item["complexity"] for item in result["front"]]
    fitness = [item["fitness"] for item in result["front"]]
    assert complexities == sorted(set(complexities))
    assert fitness == sorted(set(fitness))
    assert [item["validation_fitness"]["n"] for item in result["front"]] == [3] * len(fitness)
    assert watching.validations == [(len(fitness), 3)]


def test_the_record_holds_what_the_result_says(jobs, store):
    result = jobs.run(store)
    job = store.job(result["job"])
    assert job.state == "succeeded"
    assert job.result == result
    assert (job.generation, job.evaluations, job.history) == (5, result["evaluations"], result["history"])
    assert job.best == result["champion"]["fitness"]
    generations = store.generations(job.id)
    assert [item["number"] for item in generations] == list(range(5))
    assert generations[-1]["front"] == [item["id"] for item in result["front"]]
    found = store.rule(result["champion"]["id"])
    assert found.rule.text == result["champion"]["rule"]
    whole = result["champion"]["validation_fitness"]
    assert found.validation == whole
    assert len(store.archive(job.id)) >= result["evaluations"]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_number_of_workers_changes_nothing(jobs, store, spec, expected, workers):
    evaluator = ThreadEvaluator(workers)
    try:
        assert jobs.essence(jobs.run(store, evaluator, spec)) == expected
    finally:
        evaluator.close()


def test_another_seed_is_another_search(jobs, store, spec, expected):
    assert jobs.run(store, spec=spec.model_copy(update={"seed": 4}))["history"] != expected["history"]


def test_pausing_after_every_generation_changes_nothing(jobs, tmp_path, spec, expected):
    url = f"sqlite:///{tmp_path}/record.db"
    with open_store(url) as store:
        job = submit(store, spec)
    watching = Watching(stop_after=1)
    for generation in range(1, 6):
        with open_store(url) as store:
            result = run_job(store, job, SerialEvaluator(), observer=watching, stop=watching.stop)
            assert (result["state"], result["generations"]) == ("paused", generation)
            assert store.job(job).state == "paused"
            assert result["history"] == watching.generations[-1].history
    with open_store(url) as store:
        assert jobs.essence(run_job(store, job, SerialEvaluator(), observer=watching)) == expected
        kinds = [event["payload"]["state"] for event in store.events(job) if event["kind"] == "state"]
    assert kinds == ["queued", *["running", "paused"] * 5, "running", "succeeded"]
    assert len(watching.generations) == 5, "no generation ran twice"


def test_a_fresh_process_goes_on_where_another_stopped(jobs, tmp_path, spec, expected):
    url = f"sqlite:///{tmp_path}/record.db"
    watching = Watching(stop_after=2)
    with open_store(url) as store:
        job = jobs.run(store, spec=spec, observer=watching, stop=watching.stop)["job"]
    program = (
        "import sys\nfrom ruleforge.store import open_store\nfrom workers.evaluators import ThreadEvaluator\n"
        "from workers.evolve import run_job\n"
        "with open_store(sys.argv[1]) as store: run_job(store, sys.argv[2], ThreadEvaluator(2))"
    )
    subprocess.run([sys.executable, "-c", program, url, job], check=True, cwd=tmp_path)
    with open_store(url) as store:
        assert jobs.essence(store.job(job).result) == expected


def test_a_stop_in_the_middle_of_a_generation_drops_it_whole(jobs, store, spec, expected):
    watching = Watching()
    job = submit(store, spec)
    evaluator = Disturbed(watching, JobStopped("on request"))
    result = run_job(store, job, evaluator, observer=watching, stop=lambda: evaluator.raised)
    assert (result["state"], result["generations"]) == ("paused", 2)
    assert result["history"] == watching.generations[-1].history
    archived = len(store.archive(job))
    assert archived == sum(len(generation.judged) for generation in watching.generations)
    assert jobs.essence(run_job(store, job, SerialEvaluator())) == expected


def test_a_stop_while_the_front_is_validated_loses_nothing(jobs, store, spec, expected):
    watching = Watching()
    job = submit(store, spec)
    result = run_job(store, job, SerialEvaluator(), observer=watching, stop=lambda: bool(watching.validations))
    assert (result["state"], result["generations"], result["champion"]) == ("paused", 5, None)
    assert jobs.essence(run_job(store, job, SerialEvaluator())) == expected


def test_a_stop_before_the_first_generation(jobs, store, spec, expected):
    job = submit(store, spec)
    result = run_job(store, job, SerialEvaluator(), stop=lambda: True)
    assert (result["state"], result["generations"], result["history"]) == ("paused", 0, "")
    assert jobs.essence(run_job(store, job, SerialEvaluator())) == expected


def test_a_full_record_changes_nothing(jobs, store, spec, expected):
    """Other jobs with other forms of the same rules, and scores of this very job, are there already."""
    others = [
        {"grammar": {"seed_rules": ["E*(R - 1)", "E*R", "E/R", "1 + R"]}},
        {"seed": 4},
        {"parameters": {"n_trials": 25}},
        {"evaluator": {"racing": False}},
        {"evaluator": {"racing": True}},
    ]
    for changes in others:
        jobs.run(store, spec=jobs.spec(**{"instances": {"training": 4, "validation": 3, "test": 3}, **changes}))
    assert jobs.essence(jobs.run(store, spec=spec)) == expected


def test_what_the_record_holds_is_not_simulated_again(jobs, store):
    first, second, other = Counting(), Counting(), Counting()
    spec = jobs.spec(evaluator={"racing": False})
    result = jobs.run(store, first, spec)
    assert first.pairs >= result["evaluations"] * 2
    assert jobs.essence(jobs.run(store, second, spec)) == jobs.essence(result)
    # The known rules and no learning, with which the reported rule is compared, are no candidates of the job, and
    # their scores are not kept.
    assert second.pairs <= 7 * 3
    # Other parameters are another key.
    jobs.run(store, other, jobs.spec(evaluator={"racing": False}, parameters={"n_trials": 21}))
    assert other.pairs >= first.pairs / 2


def test_a_cached_score_that_a_limit_cut_short_is_simulated_again():
    """Only ok and non_finite hold for every later job."""
    reward = family("reward", {"n_trials": 20})
    rule, key = Rule.parse("R*E", "reward"), InstanceKey("sampled", "training", 3, 0)
    for outcome, simulated in (("timed_out", 1), ("failed", 1), ("rejected_at_hurdle", 1), ("non_finite", 0)):
        with open_store("sqlite://") as fresh:
            cached = ScoreRecord(rule.id, context(reward), str(key), float("-inf"), outcome)
            fresh.add_scores([rule_record(rule, Recogniser(reward.known_rules()))], [cached])
            counting = Counting()
            score_rules(counting, reward, [rule], [key], store=fresh)
            assert counting.pairs == simulated, outcome


def test_a_time_limit_cuts_the_history_and_changes_nothing_before(jobs, store, undisturbed, monkeypatch):
    clock = itertools.count()  # a second for every look at it
    monkeypatch.setattr("workers.evolve.time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    cut, whole = Watching(), Watching()
    result = jobs.run(store, spec=jobs.spec(budget={"seconds": 40.0}), observer=cut)
    assert result["stopped_by"] == "seconds"
    assert 1 <= result["generations"] < 30
    spec = jobs.spec(budget={"generations": result["generations"] + 2})
    with open_store("sqlite://") as fresh:
        jobs.run(fresh, spec=spec, observer=whole)
    assert histories(whole)[: result["generations"]] == histories(cut)
    assert result["champion"]["validation_fitness"]["n"] == 3


def test_no_time_at_all_still_ends_with_a_result(jobs, store):
    result = jobs.run(store, spec=jobs.spec(budget={"seconds": 1e-9}))
    assert (result["state"], result["stopped_by"], result["generations"]) == ("succeeded", "seconds", 0)
    assert (result["champion"], result["front"]) == (None, [])


def test_stopped_by_generations(jobs, store):
    result = jobs.run(store, spec=jobs.spec(budget={"generations": 2, "evaluations": 10_000}))
    assert (result["stopped_by"], result["generations"]) == ("generations", 2)


@pytest.mark.parametrize("evaluations", [1, 7, 8, 21])
def test_stopped_by_evaluations_at_exactly_the_budget(jobs, store, evaluations):
    counting, watching = Counting(), Watching()
    result = jobs.run(store, counting, jobs.spec(budget={"evaluations": evaluations}), observer=watching)
    assert (result["stopped_by"], result["evaluations"]) == ("evaluations", evaluations)
    behaviours = {judged.behaviour for generation in watching.generations for judged in generation.judged}
    assert len(behaviours) == evaluations


def test_stopped_by_the_target_in_the_first_generation_that_reaches_it(jobs, store):
    whole = Watching()
    jobs.run(store, spec=jobs.spec(seed=4, budget={"generations": 8}), observer=whole)
    best = [generation.best for generation in whole.generations]
    target = best[-1]
    assert target > best[0], "a job that reaches it at once shows nothing"
    result = jobs.run(store, spec=jobs.spec(seed=4, budget={"target": target, "generations": 8}))
    assert (result["stopped_by"], result["generations"]) == ("target", best.index(target) + 1)
    assert result["champion"]["fitness"] == target
    assert result["history"] == whole.generations[best.index(target)].history


def test_stopped_when_the_grammar_is_searched_through(jobs, store):
    grammar = {"operators": ["-"], "constants": [], "signals": ["R"], "max_complexity": 3}
    result = jobs.run(store, spec=jobs.spec(grammar=grammar, budget={"generations": 500}))
    assert result["stopped_by"] == "exhausted"
    assert result["evaluations"] == 2  # R and R - R


def test_rules_that_never_stay_finite_leave_no_champion(jobs, store):
    spec = jobs.spec(grammar={"seed_rules": ["1/(R*R - 1)"]}, budget={"evaluations": 1})
    result = jobs.run(store, spec=spec)
    assert (result["state"], result["evaluations"]) == ("succeeded", 1)
    assert (result["champion"], result["front"], result["compared_with"]) == (None, [], None)
    (candidate,) = store.archive(result["job"])
    assert (candidate.outcome, candidate.fitness) == ("non_finite", float("-inf"))


def test_resume_of_a_finished_job_gives_the_stored_result(jobs, store):
    result = jobs.run(store)
    counting = Counting()
    assert run_job(store, result["job"], counting) == result
    assert counting.pairs == 0


def test_another_kernel_or_processor_is_warned_about(jobs, store, spec, expected):
    content = spec.model_dump(mode="json", exclude={"name", "notes", "tags"})
    versions = {"kernel": "0123456789abcdef", "cpu": "Abacus 1", "python": "2.7", "ruleforge": "0.0"}
    job = store.create_job(NewJob(task="reward", spec=content, spec_hash=spec.hash, versions=versions))
    watching = Watching()
    assert jobs.essence(run_job(store, job, SerialEvaluator(), observer=watching)) == expected
    assert len(watching.warnings) == 2
    assert any("kernel was '0123456789abcdef'" in warning for warning in watching.warnings)
    assert any("cpu was 'Abacus 1'" in warning for warning in watching.warnings)


def test_the_machine_that_began_a_job_is_not_warned_about(jobs, store):
    watching = Watching()
    jobs.run(store, observer=watching)
    assert watching.warnings == []


def test_an_unknown_job(store):
    with pytest.raises(InputError, match="no job 'ffff'"):
        run_job(store, "ffff", SerialEvaluator())


@pytest.mark.parametrize("error", [RuntimeError("the disk is on fire"), InputError("this cannot be built")])
def test_a_failing_evaluator_leaves_the_job_failed_with_a_reason(store, spec, error):
    watching = Watching()
    job = submit(store, spec)
    with pytest.raises(type(error), match=str(error)):
        run_job(store, job, Disturbed(watching, error), observer=watching)
    record = store.job(job)
    assert (record.state, record.generation, record.result) == ("failed", 2, None)
    assert record.history == watching.generations[-1].history
    assert len(store.archive(job)) == sum(len(generation.judged) for generation in watching.generations)
    reason = store.events(job)[-1]["payload"]["reason"]
    assert reason == f"{type(error).__name__}: {error}"
    with pytest.raises(InputError, match=f"job {job} has failed without a result"):
        run_job(store, job, SerialEvaluator())


def test_ctrl_c_leaves_the_job_paused_and_is_passed_on(jobs, store, spec, expected):
    watching = Watching()
    job = submit(store, spec)
    with pytest.raises(KeyboardInterrupt):
        run_job(store, job, Disturbed(watching, KeyboardInterrupt()), observer=watching)
    assert (store.job(job).state, store.job(job).generation) == ("paused", 2)
    assert jobs.essence(run_job(store, job, SerialEvaluator())) == expected


def test_the_search_goes_on_alike_for_every_family(jobs, undisturbed):
    """Two slots, another aggregate, instances in lanes: the loop knows nothing of the family."""
    changes = {
        "correlation": {"parameters": {"n_inputs": 100, "duration": 2000.0, "readout": 1500.0}},
        "supervised": {"parameters": {"duration": 2000.0}},
    }
    for task, parameters in changes.items():
        spec = jobs.spec(task=task, **parameters, budget={"generations": 3})
        watching = Watching(stop_after=1)
        with open_store("sqlite://") as fresh:
            job = submit(fresh, spec)
            while run_job(fresh, job, ThreadEvaluator(2), observer=watching, stop=watching.stop)["state"] == "paused":
                pass
            assert jobs.essence(fresh.job(job).result) == jobs.essence(undisturbed(spec)), task
