"""The client against a running service."""

from __future__ import annotations

import json
import threading

import pytest

import ruleforge
from ruleforge.errors import (
    EvaluationError,
    InputError,
    JobStopped,
    RuleforgeError,
    ServiceError,
    SpecificationError,
    WaitTimeoutError,
)
from ruleforge.family import family, family_names
from ruleforge.store import open_store
from workers.export import FORMATS, export_rule


@pytest.fixture(scope="module")
def done(server):
    """A finished job of the service."""
    with ruleforge.Client(server.url) as client:
        job = client.submit(server.small)
        job.wait()
    return job.info


def local(spec):
    given = {key: value for key, value in spec.items() if key != "task"}
    return ruleforge.evolve(spec["task"], db="sqlite://", workers=1, **given)


def test_a_job_at_a_service_is_the_job_of_this_machine(server, client):
    seen = []
    job = client.submit(server.small, seed=8, name="ours", tags=["a", "b"])
    assert job.state == "queued"
    assert (job.info["name"], job.info["tags"], job.info["spec"]["seed"]) == ("ours", ["a", "b"], 8)
    result = job.wait(progress=seen.append)
    here = local({**server.small, "seed": 8})
    assert result.history == here.history != ""
    assert [item.rule for item in result.front] == [item.rule for item in here.front]
    assert result.champion == here.champion
    assert job.ended
    assert job.result().raw == result.raw
    assert [event.id for event in seen] == sorted({event.id for event in seen})
    assert seen == list(job.events())
    assert [event.data["number"] for event in seen if event.kind == "generation"] == list(range(5))
    assert [event.data["state"] for event in seen if event.kind == "state"] == ["queued", "running", "succeeded"]
    assert list(job.events(after=seen[-2].id)) == seen[-1:]
    assert list(job.events(after=seen[-1].id)) == []


def test_a_job_is_taken_further_as_on_this_machine(server, client):
    job = client.submit({**server.small, "seed": 21, "budget": {"evaluations": 40}})
    first = job.wait()
    seen = []
    result = job.extend({"evaluations": 100}).wait(progress=seen.append)
    here = local({**server.small, "seed": 21, "budget": {"evaluations": 100}})
    assert (result.history, [item.rule for item in result.front]) == (here.history, [item.rule for item in here.front])
    assert result.raw["evaluations"] == 100 != first.raw["evaluations"]
    assert [event.data["state"] for event in seen if event.kind == "state"].count("succeeded") == 2
    assert list(job.events()) == seen
    assert list(job.events(after=seen[-1].id)) == []
    assert job.extend(130).state in ("queued", "running")
    assert job.wait().raw["evaluations"] == 130
    with pytest.raises(InputError, match="expected more than what job"):
        job.extend(130)
    with pytest.raises(InputError, match="expected a limit that the job goes on to"):
        job.extend({})


def test_a_search_starts_from_the_front_of_another(server, client, done):
    job = client.submit({**server.small, "seed": 22}, from_job=done["id"])
    assert job.info["started_from"] == done["id"]
    texts = [item["rule"] for item in done["result"]["front"]]
    assert job.info["spec"]["grammar"]["seed_rules"] == texts
    here = local({**server.small, "seed": 22, "grammar": {"seed_rules": texts}})
    assert job.wait().history == here.history
    with pytest.raises(InputError, match="no job"):
        client.submit(server.small, from_job="f" * 12)


def test_front_and_history(client, done):
    job = client.job(done["id"])
    result = job.result()
    assert job.front() == result.front
    history = job.history()
    assert [row["number"] for row in history] == list(range(5))
    assert history[-1]["best"] == result.champion.fitness
    assert len(job.history(points=2)) == 2


def test_a_running_job_has_a_front_that_nothing_has_validated(server, client):
    job = client.submit(server.endless, seed=2)
    try:
        for event in job.events():
            if event.kind == "front":
                break
        front = job.front()
        assert front
        assert {item.validation for item in front} == {None}
        with pytest.raises(InputError, match=r"is (queued|running): there is no result yet"):
            job.refresh().result()
    finally:
        job.cancel()
    with pytest.raises(JobStopped, match=f"job {job.id} was cancelled"):
        job.wait()


def test_pause_resume_cancel(server, client):
    job = client.submit(server.endless, seed=3)
    assert job.pause().state == "paused"
    assert client.job(job.id[:6]).state == "paused"
    with pytest.raises(WaitTimeoutError, match=rf"job {job.id} has not ended in the time given") as refused:
        job.wait(timeout=1.0)
    assert isinstance(refused.value, TimeoutError)
    assert job.resume().state == "queued"
    assert job.cancel().state == "cancelled"
    with pytest.raises(InputError, match="and cannot become"):
        job.resume()
    job.delete()
    with pytest.raises(InputError, match="there is no job"):
        job.refresh()


def test_waiting_gives_up_in_time_although_events_keep_coming(server, client):
    job = client.submit(server.endless, seed=4)
    seen = []
    with pytest.raises(WaitTimeoutError):
        job.wait(timeout=3.0, progress=seen.append)
    assert [event.id for event in seen] == sorted({event.id for event in seen})
    job.cancel()


def test_a_failed_job_says_why(server, client):
    job = client.submit(server.endless, seed=6)
    job.pause()
    with open_store(server.database) as store:
        store.set_state(job.id, "failed", "the disk is full", allowed=("paused",))
    with pytest.raises(EvaluationError, match=f"job {job.id} failed: the disk is full"):
        job.wait()


def test_a_job_is_described(server, client, done):
    job = client.job(done["id"]).describe(notes="the first", tags=["x"])
    assert (job.info["notes"], job.info["tags"]) == ("the first", ["x"])
    assert job.describe(notes=None).info["notes"] is None
    assert job.id in repr(job)


def test_the_same_key_is_the_same_job(server, client):
    first = client.submit(server.endless, seed=11, idempotency_key="mine")
    assert client.submit(server.endless, seed=11, idempotency_key="mine").id == first.id
    assert client.submit(server.endless, seed=11).id != first.id
    with pytest.raises(InputError, match="mine"):
        client.submit(server.endless, seed=12, idempotency_key="mine")
    for job in client.jobs(spec_hash=first.info["spec_hash"]):
        job.cancel()


def test_jobs_are_listed_newest_first(client, server, done):
    jobs = list(client.jobs(task="reward", state="succeeded", kind="evolution"))
    assert done["id"] in [job.id for job in jobs]
    created = [job.info["created"] for job in jobs]
    assert created == sorted(created, reverse=True)


def test_rules_come_page_by_page(client, server, done):
    rules = list(client.rules(task="reward", sort="complexity"))
    assert len(rules) > 50, "more than one page"
    assert len({rule.id for rule in rules}) == len(rules)
    sizes = [rule.rule.complexity for rule in rules]
    assert sizes == sorted(sizes)
    small = list(client.rules(task="reward", max_complexity=3, text="E"))
    assert small
    assert all(rule.rule.complexity <= 3 and "E" in str(rule) for rule in small)
    champion = client.job(done["id"]).result().champion
    found = client.rule(champion.rule.id[:8])
    assert (found.rule, found.validation, found.known_as) == (champion.rule, champion.validation, champion.known_as)
    assert done["id"] in found.jobs
    assert client.rule(champion.rule) == found


def test_exports_are_those_of_this_machine(client, server, done):
    found = client.rule(done["result"]["champion"]["id"])
    for name in FORMATS:
        text = client.export(found.id, name)
        if name == "json":
            assert ruleforge.Rule.from_tokens(json.loads(text)["tokens"], "reward").id == found.id
        elif name != "python":
            assert text == export_rule(found, name)
    assert "n_trials = 20: " in client.export(found.rule, "python")
    with pytest.raises(InputError, match="unknown format 'pyton'"):
        client.export(found.id, "pyton")


def test_pictures_and_traces(client, done):
    id = done["result"]["champion"]["id"]
    trace = client.trace(id)
    assert [chart["kind"] for chart in trace["charts"]] == list(type(family("reward")).chart_kinds)
    assert trace["parameters"]["n_trials"] == 20
    assert client.figure(id, "weights").startswith("<?xml")
    with pytest.raises(InputError, match="unknown kind of picture 'nothing'"):
        client.figure(id, "nothing")
    lineage = client.lineage(id)
    assert lineage["nodes"][0]["id"] == id


def test_a_score_is_that_of_this_machine(client):
    asked = {"split": "validation", "n": 3, "n_trials": 30}
    there, here = client.evaluate("reward", "R*E", **asked), ruleforge.evaluate("reward", "R*E", workers=1, **asked)
    assert there == here
    assert there.known_as == "policy gradient"


def test_a_study(server, client):
    study = client.submit_study(server.small, seed=20, replicates=2)
    for row in study["jobs"]:
        client.job(row["job"]).wait()
    found = client.study(study["study"])
    assert found["state"] == "succeeded"
    assert [row["seed"] for row in found["jobs"]] == [20, 21]
    assert found["rows"][0]["succeeded"] == 2


def test_families_and_cluster(client):
    assert [task["name"] for task in client.tasks()] == family_names()
    assert client.task("reward")["slots"][0]["signals"][0]["symbol"] == "R"
    assert client.cluster()["runner"]["alive"]


def test_threads_may_share_a_client(client):
    found = []
    threads = [threading.Thread(target=lambda: found.append(len(client.tasks()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [len(family_names())] * 8


REFUSED = {
    "unknown task": (lambda c: c.submit(task="rewrad"), "/task", r"unknown task 'rewrad'.*'reward'"),
    "two fields": (
        lambda c: c.submit(task="reward", seed=-1, budget={"generations": 0}),
        "/seed",
        r"seed: .*\nbudget\.generations: .*",
    ),
    "one field": (lambda c: c.submit(task="reward", search={"popul": 1}), "/search/popul", r"Did you mean 'population"),
    "a rule": (lambda c: c.evaluate("reward", "(R - 1"), "/rule", r"expected '\)'.*\^"),
    "no job": (lambda c: c.job("0123456789ab"), "", r"there is no job '0123456789ab'"),
    "no rule": (lambda c: c.rule("0123456789ab"), "", r"there is no rule"),
    "no task": (lambda c: c.task("rewrad"), "", r"unknown task 'rewrad'"),
    "no study": (lambda c: c.study("0123456789ab"), "", r"there is no study"),
    "a path": (lambda c: c.job("../tasks"), "", r"expected an id or a name of letters .* and '\.\./tasks' came"),
    "nothing": (lambda c: c.job(""), "", r"expected an id"),
    "a sort": (lambda c: next(c.rules(sort="beauty")), "/sort", r"beauty"),
    "several seeds": (lambda c: c.submit(task="reward", replicates=3), "/replicates", r"3 were asked for: use submit"),
    "one seed": (lambda c: c.submit_study(task="reward"), "/replicates", r"2 or more, and 1 came: use submit"),
    "no table": (lambda c: c.submit({"task": "reward", "grammar": 3}), "/grammar", r"grammar: "),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_are_sentences_with_a_pointer(client, name):
    ask, pointer, sentence = REFUSED[name]
    with pytest.raises(InputError, match=f"(?s){sentence}") as refused:
        ask(client)
    assert refused.value.pointer == pointer


def test_several_refused_fields_are_told_one_by_one(client):
    with pytest.raises(SpecificationError) as refused:
        client.submit(task="reward", seed=-1, budget={"generations": 0})
    assert [pointer for pointer, _ in refused.value.errors] == ["/seed", "/budget/generations"]


def test_every_error_of_the_client_is_one_of_ours():
    assert issubclass(ServiceError, RuleforgeError)
    assert issubclass(WaitTimeoutError, RuleforgeError)
    assert not issubclass(ServiceError, InputError)
