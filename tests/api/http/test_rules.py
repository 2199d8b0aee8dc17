"""Rules over HTTP: searched, shown, drawn, exported, evaluated."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

import ruleforge
from tests.api.http.conftest import SMALL
from workers.export import FORMATS

RULES = "/api/v1/rules"


def listed(service, **query):
    return service.get(RULES, params=query).json()["items"]


def test_one_entry_for_each_behaviour_best_first(service, done):
    items = listed(service, limit=200)
    assert len({item["behaviour"] for item in items}) == len(items)
    best = done["result"]["best_validated"]
    scored = [item["library_fitness"]["aggregate"] for item in items if item["library_fitness"] is not None]
    assert scored == sorted(scored, reverse=True)
    assert all(item["library_fitness"] is None for item in items[len(scored) :])  # after those that have one
    assert {rule["behaviour"] for rule in done["result"]["front"]} <= {
        item["behaviour"] for item in items[: len(scored)]
    }
    (same,) = [item for item in items if item["behaviour"] == best["behaviour"]]
    kept = ("aggregate", "mean", "standard_error", "n")
    assert {name: same["validation_fitness"][name] for name in kept} == {
        name: best["validation_fitness"][name] for name in kept
    }
    assert {item["context"] for item in items} == {best["context"], done["context"]}
    contexts = service.get("/api/v1/contexts").json()["items"]  # of other tests' jobs too
    (context,) = [each for each in contexts if each["context"] == done["context"]]
    assert context["parameters"] == done["spec"]["parameters"]
    assert listed(service, parameters=done["context"][:6], limit=200) == items
    found = listed(service, parameters=done["context"][:6], job=done["id"], limit=200)
    assert found == [item for item in items if item["found"]]
    assert all(item["found"] == 1 and item["jobs"] == [done["id"]] for item in found)
    # The others are the known rules, to compare with.
    others = [item for item in items if not item["found"]]
    assert others
    assert all(
        item["known_as"] and item["library_fitness"] and not item["jobs"] and item["outcome"] is None for item in others
    )


def test_searching(service):
    every = listed(service, limit=200)
    short = listed(service, max_complexity=3, limit=200)
    assert {item["id"] for item in short} == {item["id"] for item in every if item["complexity"] <= 3}
    text = listed(service, text="r*E", limit=200)
    assert text
    assert {item["id"] for item in text} == {
        item["id"] for item in every if "r*e" in item["rule"].replace(" ", "").lower()
    }
    known = listed(service, known="any", limit=200)
    assert {item["id"] for item in known} == {item["id"] for item in every if item["known_as"]}
    least = sorted(item["fitness"] for item in every if item["fitness"] is not None)[-3]
    good = listed(service, min_fitness=least, limit=200)
    assert {item["id"] for item in good} == {item["id"] for item in every if (item["fitness"] or -1e9) >= least}
    assert [item["complexity"] for item in listed(service, sort="complexity", limit=200)] == sorted(
        item["complexity"] for item in every
    )
    assert listed(service, task="supervised") == []


def test_pages_of_rules(service):
    every = [item["id"] for item in listed(service, limit=200)]
    found, cursor = [], None
    while True:
        page = service.get(RULES, params={"limit": 4, **({"cursor": cursor} if cursor else {})}).json()
        found += [item["id"] for item in page["items"]]
        if (cursor := page["next"]) is None:
            break
    assert found == every
    page = service.get(RULES, params={"limit": 4}).json()
    foreign = service.get(RULES, params={"cursor": page["next"], "sort": "found"})
    assert foreign.json()["errors"][0]["pointer"] == "/cursor", "a cursor belongs to its list"


def test_one_rule_in_every_writing(service, done):
    champion = done["result"]["champion"]
    rule = service.get(f"{RULES}/{champion['id']}").json()
    assert {name: rule[name] for name in champion} == champion
    parsed = ruleforge.Rule.parse(champion["rule"], "reward")
    assert rule["latex"] == parsed.latex
    assert ElementTree.fromstring(rule["mathml"]).tag.endswith("math")
    assert rule["tokens"] == parsed.to_tokens()
    assert service.get(f"{RULES}/{champion['id'][:8]}").json() == rule
    simple = service.get(rule["links"]["simplified"]).json()
    assert simple["rule"] == champion["rule"]
    if simple["simplified"] is not None:
        assert simple["simplified"]["largest_relative_difference"] < 1e-6


def test_traces_and_pictures(service, done):
    links = service.get(f"{RULES}/{done['result']['champion']['id']}").json()["links"]
    trace = service.get(links["trace"])
    assert trace.json()["parameters"]["n_trials"] == SMALL["parameters"]["n_trials"], "as the job had them"
    kinds = [chart["kind"] for chart in trace.json()["charts"]]
    task = service.get("/api/v1/tasks/reward").json()
    assert set(kinds) <= set(task["figures"])
    for kind in (None, kinds[0]):
        picture = service.get(links["figure.svg"], params={"kind": kind} if kind else {})
        assert picture.headers["content-type"] == "image/svg+xml"
        assert ElementTree.fromstring(picture.content).tag == "{http://www.w3.org/2000/svg}svg"
        kept = service.get(
            links["figure.svg"],
            params={"kind": kind} if kind else {},
            headers={"if-none-match": picture.headers["etag"]},
        )
        assert kept.status_code == 304
    refused = service.get(links["figure.svg"], params={"kind": "nonsense"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/kind"


@pytest.mark.parametrize("name", FORMATS)
def test_exports(service, done, name):
    champion = done["result"]["champion"]
    answer = service.get(f"{RULES}/{champion['id']}/export", params={"format": name})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(FORMATS[name].media_type)
    assert FORMATS[name].suffix in answer.headers["content-disposition"]
    assert (name == "mathml") != (champion["rule"] in answer.text) or name in ("python", "latex", "json")
    if name == "json":
        assert json.loads(answer.text)["parameters"]["n_trials"] == SMALL["parameters"]["n_trials"]


def test_a_lineage(service, done):
    champion = done["result"]["champion"]
    lineage = service.get(f"{RULES}/{champion['id']}/lineage").json()
    assert lineage["job"] == done["id"]
    assert lineage["nodes"][0]["id"] == champion["id"]
    ids = {node["id"] for node in lineage["nodes"]}
    assert all({edge["parent"], edge["child"]} <= ids for edge in lineage["edges"])


@pytest.mark.timeout(200)
def test_a_rule_of_one_s_own_is_evaluated(with_runner):
    asked = {"task": "reward", "rule": "0.5*(R - 1)*E", "parameters": {"n_trials": 20}, "n": 3}
    # An evolution is running, and another waits: the evaluation goes ahead.
    busy = with_runner.submit(budget={"generations": 100_000})
    with_runner.until(busy, lambda job: job["generation"] > 0)
    answer = with_runner.post("/api/v1/rules:evaluate", json=asked)
    assert answer.status_code == 202
    assert answer.json()["kind"] == "evaluation"
    job = with_runner.until(answer.json()["id"], lambda job: job["state"] not in ("queued", "running"))
    assert job["state"] == "succeeded"
    result = job["result"]
    expected = ruleforge.evaluate("reward", asked["rule"], n=3, n_trials=20)
    assert (tuple(result["fitness"]), result["aggregate"]) == (expected.fitness, expected.aggregate)
    assert (result["known_as"], result["n"], result["outcome"]) == (expected.known_as, 3, "ok")
    trace = with_runner.get(result["links"]["trace"]).json()
    assert (trace["rule"], trace["parameters"]["n_trials"]) == (result["rule"], 20)
    assert with_runner.job(busy)["state"] == "running"
    assert [job["id"] for job in with_runner.get("/api/v1/jobs?kind=evaluation").json()["items"]] == [job["id"]]
    events = with_runner.get(f"/api/v1/jobs/{job['id']}/events").text
    assert '"state": "succeeded"' in events
