"""Jobs over HTTP: submitted, listed, described, asked for again; studies."""

from __future__ import annotations

import csv
import io
import re

from ruleforge.spec import job_spec
from tests.api.http.conftest import SMALL

JOBS = "/api/v1/jobs"


def test_a_specification_comes_back_whole(service):
    answer = service.post(JOBS, json={**SMALL, "seed": 11, "name": "mine", "tags": ["a"]})
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"{JOBS}/{job['id']}" == job["links"]["self"]
    assert service.get(answer.headers["location"]).json() == job
    whole = job_spec({**SMALL, "seed": 11})
    assert job["spec"] == whole.model_dump(mode="json", exclude={"name", "notes", "tags"})
    assert job["spec_hash"] == whole.hash
    assert (job["name"], job["notes"], job["tags"]) == ("mine", None, ["a"])
    assert (job["state"], job["kind"], job["result"], job["best"]) == ("queued", "evolution", None, None)
    assert job["progress"] == {"fraction": 0.0, "limit": "generations"}
    # What came back is a specification again, and the same one.
    again = service.post(JOBS, json=job["spec"]).json()
    assert again["spec_hash"] == job["spec_hash"]
    equal = service.get(JOBS, params={"spec_hash": job["spec_hash"]}).json()["items"]
    assert [item["id"] for item in equal] == [again["id"], job["id"]]


def test_a_number_as_budget_is_one_of_evaluations(service):
    one, other = (
        service.post(JOBS, json={**SMALL, "budget": budget}).json() for budget in (1000, {"evaluations": 1000})
    )
    assert one["spec"]["budget"] == {"generations": None, "evaluations": 1000, "seconds": None, "target": None}
    assert one["spec_hash"] == other["spec_hash"]


def test_a_finished_job_has_its_result(service, done):
    assert done["state"] == "succeeded"
    assert done["progress"] == {"fraction": 1.0, "limit": "generations"}
    assert done["result"]["front"][-1] == done["result"]["champion"]
    assert done["best"] == done["result"]["champion"]["fitness"]
    assert set(done["links"]) == {"self", "events", "history", "front", "extend"}
    assert service.get(f"{JOBS}/{done['id'][:6]}").json() == done, "a beginning of the id will do to look"
    assert service.get(f"{JOBS}/{done['id'][:6]}/front").status_code == 404, "and nothing else"


def test_the_front_as_json_csv_and_latex(service, done):
    here = f"{JOBS}/{done['id']}/front"
    items = service.get(here).json()["items"]
    for item, kept in zip(items, done["result"]["front"], strict=True):
        assert {name: item[name] for name in kept} == kept
        assert item["latex"].startswith(r"\Delta w")
        assert item["mathml"].startswith("<math")
    table = service.get(here, headers={"accept": "text/csv"})
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["rule"] for row in rows] == [item["rule"] for item in items]
    assert float(rows[-1]["validation_mean"]) == items[-1]["validation_fitness"]["mean"]
    latex = service.get(here, headers={"accept": "application/x-latex, text/csv;q=0.5"})
    assert latex.headers["content-type"] == "application/x-latex"
    assert latex.text.count(r"\\") == len(items) + 1
    assert items[0]["latex"] in latex.text


def test_a_history_is_thinned(service, done):
    here = f"{JOBS}/{done['id']}/history"
    whole = service.get(here).json()["items"]
    assert [item["number"] for item in whole] == list(range(4))
    few = service.get(here, params={"points": 2}).json()["items"]
    assert few == [whole[0], whole[-1]]
    rows = list(csv.DictReader(io.StringIO(service.get(here, headers={"accept": "text/csv"}).text)))
    assert [int(row["evaluations"]) for row in rows] == [item["evaluations"] for item in whole]


def test_pages_have_every_job_once_in_order(service):
    made = [service.submit(seed=seed, tags=["page"]) for seed in range(100, 107)]
    found, address = [], f"{JOBS}?limit=3&state=queued"
    while address:
        answer = service.get(address)
        page = answer.json()
        assert len(page["items"]) <= 3
        found += [item["id"] for item in page["items"]]
        link = re.fullmatch(r'<(.+)>; rel="next"', answer.headers.get("link", ""))
        assert (link is None) == (page["next"] is None)
        if link is not None:
            assert (
                service.get(f"{JOBS}?limit=3&state=queued&cursor={page['next']}").json() == service.get(link[1]).json()
            )
        # Whatever comes meanwhile shifts nothing.
        service.submit(seed=1000 + len(found))
        address = link and link[1]
    assert found[:7] == made[::-1]
    assert len(set(found)) == len(found)
    assert service.get(JOBS, params={"task": "supervised"}).json() == {"items": [], "next": None}


def test_an_idempotency_key(service):
    body, key = {**SMALL, "seed": 21}, {"idempotency-key": "once and for all"}
    first = service.post(JOBS, json=body, headers=key)
    again = service.post(JOBS, json=body, headers=key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.headers["location"] == again.headers["location"]
    other = service.post(JOBS, json={**body, "seed": 22}, headers=key)
    assert other.status_code == 422
    assert "key" in other.json()["detail"]
    evaluation = service.post("/api/v1/rules:evaluate", json={"task": "reward", "rule": "R"}, headers=key)
    assert evaluation.status_code == 422
    assert service.post(JOBS, json=body).headers["location"] != first.headers["location"]
    study = {**body, "replicates": 2, "name": "twice"}
    keyed = {"idempotency-key": "a study"}
    where = {service.post(JOBS, json=study, headers=keyed).headers["location"] for _ in range(2)}
    assert len(where) == 1


def test_describing_a_job(service):
    here = f"{JOBS}/{service.submit(seed=31)}"
    known = service.get(here)
    tag = known.headers["etag"]
    changed = service.patch(here, json={"name": "n", "tags": ["x", "y"]}, headers={"if-match": tag})
    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["notes"], changed.json()["tags"]) == ("n", None, ["x", "y"])
    assert changed.json()["spec_hash"] == known.json()["spec_hash"]
    assert changed.headers["etag"] != tag
    late = service.patch(here, json={"notes": "too late"}, headers={"if-match": tag})
    assert late.status_code == 412
    assert late.json()["title"] == "Precondition Failed"
    for match in (f'"other", {changed.headers["etag"]}', "*"):
        again = service.patch(here, json={"notes": match}, headers={"if-match": match})
        assert again.json()["notes"] == match
        service.patch(here, json={"notes": None, "name": "n"})
        changed = service.get(here)
    merged = service.patch(here, content=b'{"tags": null}', headers={"content-type": "application/merge-patch+json"})
    assert (merged.json()["tags"], merged.json()["name"], merged.json()["notes"]) == ([], "n", None)
    refused = service.patch(here, json={"name": "x" * 201})
    assert refused.json()["errors"][0]["pointer"] == "/name"
    assert service.patch(here, json={}).json() == service.get(here).json()


def test_polling_costs_nothing_while_nothing_changes(service, done):
    id = service.submit(seed=41)
    for address in (f"{JOBS}/{id}", f"{JOBS}/{done['id']}/front", "/api/v1/tasks", "/api/v1/rules", f"{JOBS}?limit=1"):
        first = service.get(address)
        again = service.get(address, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert service.get(address, headers={"if-none-match": '"other"'}).status_code == 200
    tag = service.get(f"{JOBS}/{id}").headers["etag"]
    service.post(f"{JOBS}/{id}/pause")
    moved = service.get(f"{JOBS}/{id}", headers={"if-none-match": tag})
    assert (moved.status_code, moved.json()["state"]) == (200, "paused")


def test_pausing_resuming_and_cancelling(service):
    here = f"{JOBS}/{service.submit(seed=51)}"
    assert service.post(f"{here}/pause").json()["state"] == "paused"
    assert service.post(f"{here}/pause").json()["state"] == "paused", "asked twice is asked once"
    assert set(service.get(here).json()["links"]) >= {"resume", "cancel"}
    assert service.post(f"{here}/resume").json()["state"] == "queued"
    assert service.post(f"{here}/cancel").json()["state"] == "cancelled"
    assert service.delete(here).status_code == 204


def test_rules_outlive_their_job(service, done):
    before = service.get("/api/v1/rules").json()["items"]
    assert before
    copy = service.post(JOBS, json={**SMALL, "seed": 61}).json()["id"]
    service.post(f"{JOBS}/{copy}/cancel")
    assert service.delete(f"{JOBS}/{copy}").status_code == 204
    assert service.get("/api/v1/rules").json()["items"] == before


def test_replicates_make_a_study(service):
    answer = service.post(JOBS, json={**SMALL, "seed": 70, "replicates": 3, "name": "three"})
    assert answer.status_code == 202
    study = answer.json()
    assert answer.headers["location"] == f"/api/v1/studies/{study['study']}"
    assert (study["name"], study["state"]) == ("three", "queued")
    assert [job["seed"] for job in study["jobs"]] == [70, 71, 72]
    assert study["rows"][0]["n"] == 3
    assert service.get(answer.headers["location"]).json() == study
    for job in study["jobs"]:
        assert service.get(f"{JOBS}/{job['job']}").json()["spec"]["replicates"] == 1
