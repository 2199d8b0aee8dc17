"""Jobs that are taken further over HTTP, and searches that start from a front."""

from __future__ import annotations

import json
import threading

import pytest

from ruleforge.spec import job_spec
from tests.api.http.conftest import SMALL

JOBS = "/api/v1/jobs"


def ended(job):
    return job["state"] == "succeeded"


def test_a_job_is_taken_further_at_its_end_and_whoever_watches_sees_all_of_it(with_runner):
    job = with_runner.until(with_runner.submit(budget={"evaluations": 30}), ended)
    here = job["links"]["self"]
    assert job["links"]["extend"] == f"{here}/extend"
    answer = with_runner.post(f"{here}/extend", json={"budget": {"evaluations": 90}})
    assert answer.status_code == 200, answer.text
    queued = answer.json()
    assert (queued["id"], queued["result"], queued["stopped_by"]) == (job["id"], None, None)
    assert queued["spec_hash"] == job_spec({**SMALL, "budget": {"evaluations": 90}}).hash
    further = with_runner.until(job["id"], ended)
    alone = with_runner.until(with_runner.submit(budget={"evaluations": 90}), ended)
    same = ("evaluations", "generation", "history", "best", "stopped_by", "spec", "spec_hash")
    assert {name: further[name] for name in same} == {name: alone[name] for name in same}
    assert further["result"]["front"] == alone["result"]["front"]
    # The stream goes over the first end to the last one, and then it ends.
    states, generations = [], []
    with with_runner.client.stream("GET", f"{here}/events") as stream:
        for line in stream.iter_lines():
            if line.startswith("data: "):
                data = json.loads(line.removeprefix("data: "))
                states += [data["state"]] if "state" in data else []
                generations += [data["number"]] if "number" in data else []
                last = data
    assert states == ["queued", "running", "succeeded", "queued", "running", "succeeded"]
    assert last["state"] == "succeeded"
    assert generations[-1] == further["generation"] - 1
    assert sorted(set(generations)) == list(range(further["generation"]))
    newest = max(int(e) for e in _ids(with_runner, here))
    assert with_runner.get(f"{here}/events", headers={"Last-Event-ID": str(newest)}).status_code == 204


def _ids(service, here):
    with service.client.stream("GET", f"{here}/events") as stream:
        return [line.removeprefix("id: ") for line in stream.iter_lines() if line.startswith("id: ")]


def test_the_same_request_sent_again_extends_once(with_runner):
    job = with_runner.until(with_runner.submit(budget={"evaluations": 30}), ended)
    here = job["links"]["self"]
    asked = {"json": {"budget": {"evaluations": 60}}, "headers": {"Idempotency-Key": "mine"}}
    answers = []

    def ask():
        answers.append(with_runner.post(f"{here}/extend", **asked))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200, 200], [answer.text for answer in answers]
    done = with_runner.until(job["id"], ended)
    again = with_runner.post(f"{here}/extend", **asked)
    assert (again.status_code, again.json()) == (200, done)
    # Another request under the key, and the same one without it, are what they are.
    other = with_runner.post(f"{here}/extend", json={"budget": {"evaluations": 70}}, headers=asked["headers"])
    assert (other.status_code, "the key 'mine' was used for another request" in other.text) == (422, True)
    assert with_runner.post(f"{here}/extend", json=asked["json"]).status_code == 422
    assert with_runner.job(job["id"]) == done


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/budget"),
        ({"budget": {}}, "/budget"),
        ({"budget": None}, "/budget"),
        ({"budget": []}, "/budget"),
        ({"budget": True}, "/budget"),
        ({"budget": "many"}, "/budget"),
        ({"budget": {"evaluations": None}}, "/budget"),
        ({"budget": {"evaluations": "50"}}, "/budget/evaluations"),
        ({"budget": {"evaluations": 1}}, "/budget/evaluations"),
        ({"budget": {"evaluations": 0}}, "/budget/evaluations"),
        ({"budget": {"evaluations": -5}}, "/budget/evaluations"),
        ({"budget": {"evaluations": 1e400}}, None),
        ({"budget": {"generations": 4}}, "/budget/generations"),
        ({"budget": {"seconds": 1e-300}}, "/budget/seconds"),
        ({"budget": {"target": -1e300}}, "/budget/target"),
        ({"budget": {"generations": 9, "rounds": 3}}, "/budget/rounds"),
        ({"budget": {"generations": 9}, "seed": 3}, "/seed"),
    ],
)
def test_what_is_refused_changes_nothing(service, done, body, pointer):
    here = done["links"]["self"]
    answer = service.post(f"{here}/extend", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == (400 if pointer is None else 422), answer.text
    assert pointer is None or pointer in [item["pointer"] for item in answer.json()["errors"]], answer.text
    assert service.job(done["id"]) == done


def test_states_that_do_not_fit(service, done):
    assert service.post(f"{JOBS}/{'f' * 12}/extend", json={"budget": 50}).status_code == 404
    study = service.post(JOBS, json={**SMALL, "replicates": 2}).json()
    member = study["jobs"][0]["job"]
    answer = service.post(f"{JOBS}/{member}/extend", json={"budget": 500})
    assert (answer.status_code, "is part of the study" in answer.json()["detail"]) == (409, True)
    evaluation = service.post("/api/v1/rules:evaluate", json={"task": "reward", "rule": "R*E"}).json()
    answer = service.post(f"{JOBS}/{evaluation['id']}/extend", json={"budget": 500})
    assert (answer.status_code, "only an evolution" in answer.json()["detail"]) == (409, True)
    assert "extend" not in evaluation["links"]


def test_a_number_alone_is_one_of_evaluations(service):
    id = service.submit()
    answer = service.post(f"{JOBS}/{id}/extend", json={"budget": 500})
    assert answer.status_code == 200, answer.text
    assert answer.json()["spec"]["budget"] == {
        "generations": None,
        "evaluations": 500,
        "seconds": None,
        "target": None,
    }


def test_a_search_starts_from_a_front(service, done):
    body = {**SMALL, "seed": 77}
    answer = service.post(JOBS, params={"from": done["id"]}, json=body)
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert made["started_from"] == done["id"]
    assert made["spec"]["grammar"]["seed_rules"] == [item["rule"] for item in done["result"]["front"]]
    assert service.post(JOBS, json=made["spec"]).json()["spec_hash"] == made["spec_hash"]
    assert done["started_from"] is None
    refusals = [
        ({"from": "f" * 12}, body, "no job"),
        ({"from": done["id"]}, {**body, "replicates": 3}, "a study starts from no front"),
        ({"from": done["id"]}, {"task": "supervised"}, "its rules mean nothing to"),
        ({"from": done["id"]}, {**body, "search": {"method": "jordan2021"}}, "cannot start from the front"),
        ({"from": made["id"]}, body, "no front to start from"),
        ({"form": done["id"]}, body, "no query parameter"),
    ]
    for query, given, said in refusals:
        refused = service.post(JOBS, params=query, json=given)
        assert refused.status_code == 422, refused.text
        assert said in refused.text
