"""Studies: seeds × configurations, resumable, and what they say together."""

from __future__ import annotations

from functools import partial

import pytest
from sqlalchemy import event

from ruleforge.errors import InputError, JobStopped, SpecificationError
from ruleforge.family import family, family_class
from ruleforge.language.rule import Rule
from ruleforge.statistics.searches import Times, fisher_exact, log_rank, quartiles, wilson
from ruleforge.store import open_store
from workers.evaluators import SerialEvaluator
from workers.evolve import run_job, submit
from workers.scoring import score_rules
from workers.study import run_study, study, study_result, submit_study, times_of
from workers.study_figure import draw_study
from workers.validation import stream_seed

SMALL = {
    **{"task": "reward", "seed": 3, "replicates": 2, "name": "sizes", "parameters": {"n_trials": 20}},
    **{"instances": {"training": 2, "validation": 3, "test": 3}, "search": {"population": 8, "offspring": 8}},
    "budget": {"generations": 3, "target": -1000.0},
    "configurations": [
        {"label": "small", "search": {"population": 4}},
        {"label": "hopeless", "budget": {"target": 1e6}, "seed": 7, "replicates": 1},
    ],
}


def test_a_study_is_its_configurations_over_the_common_keys():
    asked = study(SMALL)
    (small, first), (hopeless, second) = asked.configurations
    assert (small, first.search.population, first.search.offspring, first.seed) == ("small", 4, 8, 3)
    assert (hopeless, second.search.population, second.seed, second.replicates) == ("hopeless", 8, 7, 1)
    assert (second.budget.generations, second.budget.target) == (3, 1e6)
    assert study({**SMALL, "name": "other"}).hash == asked.hash
    assert study({**SMALL, "seed": 4}).hash != asked.hash
    ((label, only),) = study({"task": "reward", "replicates": 5}).configurations
    assert (label, only.replicates) == ("reward", 5)


@pytest.mark.parametrize(
    ("changes", "pointer", "sentence"),
    [
        ({"configurations": []}, "/configurations", "expected a list of 1 to"),
        ({"configurations": ["x"]}, "/configurations/0", "expected a table"),
        ({"configurations": [{"seed": 1}]}, "/configurations/0/label", "expected a text"),
        ({"configurations": [{"label": "a"}, {"label": "a"}]}, "/configurations/1/label", "that no other has"),
        ({"configurations": [{"label": "a", "seed": -1}]}, "/configurations/0/seed", "0"),
        ({"configurations": [{"label": "a", "sed": 1}]}, "/configurations/0/sed", "sed"),
    ],
)
def test_faults_are_located(changes, pointer, sentence):
    with pytest.raises(SpecificationError, match=sentence) as refused:
        study({**SMALL, **changes})
    assert refused.value.pointer == pointer


def test_a_study_runs_to_its_end_and_its_jobs_are_those_of_single_runs(store, jobs, undisturbed):
    id = submit_study(store, study(SMALL))
    result = run_study(store, id, SerialEvaluator())
    assert result["state"] == "succeeded"
    assert [(job["configuration"], job["seed"]) for job in result["jobs"]] == [
        *(("small", 3), ("hopeless", 7), ("small", 4))
    ]
    alone = undisturbed(jobs.spec(search={"population": 4, "offspring": 8}, budget=SMALL["budget"]))
    assert result["jobs"][0]["history"] == alone["history"]
    assert result["jobs"][0]["champion"] == alone["champion"]
    small, hopeless = result["rows"]
    assert (small["n"], small["succeeded"], small["reached"], small["success_rate"]) == (2, 2, 2, 1.0)
    assert small["evaluations_to_target"]["censored_at"] is None
    first = min(job["evaluations_to_target"] for job in result["jobs"] if job["configuration"] == "small")
    assert small["evaluations_to_target"]["median"] == first
    assert (hopeless["reached"], hopeless["success_rate"]) == (0, 0.0)
    assert hopeless["evaluations_to_target"] == {
        **{"lower_quartile": None, "median": None, "upper_quartile": None},
        "censored_at": result["jobs"][1]["evaluations"],
    }
    assert small["validation_fitness"]["n"] == 2


def test_a_stopped_study_goes_on_where_it_stood(store):
    id = submit_study(store, study(SMALL))
    looks = iter([False] * 9)
    with pytest.raises(JobStopped, match="the same command goes on"):
        run_study(store, id, SerialEvaluator(), stop=lambda: next(looks, True))
    part = study_result(store, id)
    assert part["state"] in ("queued", "paused")
    assert submit_study(store, study(SMALL)) == id
    whole = run_study(store, id, SerialEvaluator())
    assert whole["state"] == "succeeded"
    assert len(store.jobs()) == 3
    assert run_study(store, id, SerialEvaluator()) == whole


def test_a_job_that_fails_does_not_hold_up_the_others(store):
    class Faulty(SerialEvaluator):
        def score(self, family, rules, keys, *arguments, **options):
            if keys[0].seed == 7:
                raise RuntimeError("no")
            return super().score(family, rules, keys, *arguments, **options)

    result = run_study(store, submit_study(store, study(SMALL)), Faulty())
    assert [job["state"] for job in result["jobs"]] == ["succeeded", "failed", "succeeded"]
    assert result["state"] == "failed"
    assert (result["rows"][1]["n"], result["rows"][1]["succeeded"]) == (1, 0)
    assert result["rows"][1]["success_rate"] is None


def test_what_is_paused_elsewhere_stays_paused(store):
    id = submit_study(store, study(SMALL))
    chosen = store.study(id).jobs[1][1]

    class Pausing(SerialEvaluator):
        def score(self, family, rules, keys, *arguments, **options):
            if keys[0].seed == 7 and store.job(chosen).state == "running":
                store.set_state(chosen, "paused", "requested")
            return super().score(family, rules, keys, *arguments, **options)

    result = run_study(store, id, Pausing())
    assert (result["state"], store.job(chosen).state) == ("paused", "paused")


def test_a_single_job_has_no_replicates(store, jobs):
    with pytest.raises(InputError, match=r"run `ruleforge study FILE\.toml`"):
        submit(store, jobs.spec(replicates=2))
    assert store.jobs() == []
    assert run_job(store, submit(store, jobs.spec(replicates=1)), SerialEvaluator())["state"] == "succeeded"


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe, Statistics in Medicine 17:857 (1998), table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_of_a_rate_is_wilsons(successes, n, low, high):
    assert wilson(successes, n) == pytest.approx([low, high], abs=5e-5)
    mirrored = wilson(n - successes, n)
    assert mirrored == pytest.approx([1 - high, 1 - low], abs=5e-5)


def test_configurations_are_compared_with_the_first(store):
    """Whatever the jobs reached: the figures are those of the statistics' own functions over the jobs' rows."""
    result = run_study(store, submit_study(store, study(SMALL)), SerialEvaluator())
    small, hopeless = result["rows"]
    assert small["against_first"] is None
    by_label = {
        row["configuration"]: [job for job in result["jobs"] if job["configuration"] == row["configuration"]]
        for row in result["rows"]
    }
    first, other = times_of(by_label["small"]), times_of(by_label["hopeless"])
    assert (len(first.reached), len(other.censored)) == (2, 1)
    assert hopeless["against_first"] == {
        "p_success_rate": fisher_exact(0, 1, 2, 2),
        "p_evaluations": log_rank(other, first)[1],
    }
    assert hopeless["against_first"]["p_success_rate"] == pytest.approx(1 / 3)


class Watching(SerialEvaluator):
    """Notes what is asked of test instances: the seed of the stream, and the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = []

    def answer(self, request):
        if request.keys[0].split == "test":
            self.asked.append((request.keys[0].seed, [rule.id for rule in request.rules]))
        return super().answer(request)


def known_ids():
    reward = family_class("reward")
    return [*(known.rule.id for known in reward.known_rules().values()), reward.no_learning().id]


def test_the_test_stream_is_opened_once_and_for_the_reported_rule_alone(store, jobs):
    watching = Watching()
    result = run_job(store, submit(store, jobs.spec()), watching)
    reported = result["reported"]
    seed = stream_seed(jobs.spec().hash, 3, 0)
    assert watching.asked == [(seed, [reported["id"], *(id for id in known_ids() if id != reported["id"])])]
    bound = family("reward", jobs.spec().parameters)
    (score,) = score_rules(
        SerialEvaluator(), bound, [Rule.parse(reported["rule"], "reward")], bound.keys("test", 3, seed)
    )
    assert reported["test_fitness"] == score.summary()
    assert reported["test_fitness"]["n"] == 3
    assert result["best_validated"] == reported
    assert "test_fitness" not in result["champion"]
    assert result["test_openings"] == store.job(result["job"]).test_openings == 1


def test_every_job_has_a_test_stream_of_its_own(jobs):
    spec = jobs.spec()
    seeds = [
        stream_seed(spec.hash, 3, 0),
        stream_seed(spec.hash, 3, 1),
        stream_seed(spec.hash, 4, 0),
        stream_seed(spec.hash, 3, 0, 1),
        stream_seed(jobs.spec(instances={"training": 3}).hash, 3, 0),
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert stream_seed(spec.hash, 3, 0) == stream_seed(jobs.spec(name="another").hash, 3, 0)


def test_a_run_that_ends_between_opening_and_committing_opens_the_same_stream_again(store, jobs, undisturbed):
    class Ending(Watching):
        def answer(self, request):
            scores = super().answer(request)
            if self.asked:
                raise KeyboardInterrupt
            return scores

    id = submit(store, jobs.spec())
    ending, watching = Ending(), Watching()
    with pytest.raises(KeyboardInterrupt):
        run_job(store, id, ending)
    assert store.job(id).test_openings == 0
    result = run_job(store, id, watching)
    assert watching.asked == ending.asked
    assert jobs.essence(result) == jobs.essence(undisturbed())


def test_the_winner_of_a_study_is_chosen_by_validation_and_judged_on_a_stream_of_the_study(store):
    watching = Watching()
    id = submit_study(store, study(SMALL))
    assert study_result(store, id)["winners"] == []
    result = run_study(store, id, watching)
    (winner,) = result["winners"]
    seeds = [seed for seed, _ in watching.asked]
    assert len(seeds) == len(set(seeds)) == 4  # of three jobs, and of the study
    best = max(job["reported"]["validation_fitness"]["aggregate"] for job in result["jobs"])
    assert winner["reported"]["validation_fitness"]["aggregate"] == best
    assert winner["reported"]["test_fitness"]["n"] == 3
    assert {row["against"] for row in winner["verdicts"]} == {*family_class("reward").known_rules(), "no learning"}
    (of_job,) = [job for job in result["jobs"] if job["job"] == winner["job"]]
    assert of_job["reported"]["test_fitness"] != winner["reported"]["test_fitness"]
    # Whoever asks later reads it from the record, and nothing is simulated again.
    again = Watching()
    assert study_result(store, id) == result == run_study(store, id, again)
    assert again.asked == []


def test_rules_of_different_parameters_have_no_winner_in_common(store):
    configurations = [{"label": str(n), "parameters": {"n_trials": n}} for n in (20, 25)]
    asked = {**SMALL, "replicates": 1, "configurations": configurations}
    result = run_study(store, submit_study(store, study(asked)), SerialEvaluator())
    assert [winner["configuration"] for winner in result["winners"]] == ["20", "25"]
    assert len({winner["context"] for winner in result["winners"]}) == 2


def test_the_picture_of_a_study(store, tmp_path):
    result = run_study(store, submit_study(store, study(SMALL)), SerialEvaluator())
    draw_study(result, tmp_path / "a.svg")
    draw_study(result, tmp_path / "b.svg")
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text()
    assert text.lstrip().startswith("<?xml")
    waiting = study_result(store, submit_study(store, study({**SMALL, "seed": 90})))
    draw_study(waiting, tmp_path / "none.png")
    assert (tmp_path / "none.png").stat().st_size > 1000


def test_quartiles_lie_beyond_the_budget_where_too_few_reached():
    assert quartiles(Times((5, 1, 3, 2))) == [1, 2, 3]
    assert quartiles(Times((40, 10), (100, 101))) == [10, 40, None]
    assert quartiles(Times((7,), (50, 50)))[1] is None
    assert quartiles(Times(()))[1] is None


def _counted(statements, _connection, _cursor, statement, *_):
    statements.append(statement)


def test_a_large_study_takes_no_statement_for_each_job(tmp_path):
    """As many statements for 300 seeds as for 3, to record them and to say how they stand."""
    counts = []
    for seeds in (3, 300):
        with open_store(f"sqlite:///{tmp_path}/{seeds}.db") as store:
            statements = []
            event.listen(store._database._engine, "before_cursor_execute", partial(_counted, statements))
            id = submit_study(store, study({"task": "reward", "replicates": seeds}))
            result = study_result(store, id)
            assert [job["seed"] for job in result["jobs"]] == list(range(seeds))
            assert all(store.newest_event(job["job"]) for job in result["jobs"][:3])
            counts.append(len(statements))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("seed", "replicates"), [(2**63 - 1, 2), (2**63 - 10, 11), (2**63 - 9999, 10_000)])
def test_seeds_beyond_the_last_one(seed, replicates):
    with pytest.raises(SpecificationError, match="below 2\\^63"):
        study({"task": "reward", "seed": seed, "replicates": replicates})
    study({"task": "reward", "seed": seed, "replicates": 2**63 - seed})
