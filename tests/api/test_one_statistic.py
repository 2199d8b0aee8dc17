"""All that is shown, sorted, compared and chosen goes by the statistic that a family declares, here no mean.

In the family `disagreeing` the mean says the opposite of the declared statistic, whichever rules are compared.
"""

from __future__ import annotations

import csv
import io
import shutil
import sys
from pathlib import Path

import pytest

from ruleforge.statistics import EXPECTED_MINIMUM_OF_8
from tests.api.http.conftest import serving

HELPER = Path(__file__).parents[1] / "workers" / "helpers" / "disagreeing_family.py"
GRAMMAR = ("--set", "grammar.max_complexity=5", "--set", "evaluator.racing=false", "--set", "search.population=8")
STUDY = """
task = "disagreeing"
replicates = 2
seed = 5
[budget]
generations = 6
[grammar]
max_complexity = 5
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the family is installed from, with the record of one job and of one study."""
    where = tmp_path_factory.mktemp("disagreeing")
    shutil.copy(HELPER, where)
    information = where / "disagreeing_family-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: disagreeing_family\nVersion: 1.0\n", "utf-8")
    entry = "[ruleforge.tasks]\ndisagreeing = disagreeing_family:Disagreeing\n"
    (information / "entry_points.txt").write_text(entry, "utf-8")
    (where / "study.toml").write_text(STUDY, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(where))
        patch.setattr(sys, "path", [*sys.path, str(where)])
        yield where


@pytest.fixture(scope="module")
def evolved(command_line, folder):
    return command_line.run(
        folder, "evolve", "disagreeing", "--seed", "3", "--generations", "6", *GRAMMAR, "--workers", "1", "--json"
    ).json


def tails(items, split="validation"):
    return [item[f"{split}_fitness"]["aggregate"] for item in items]


def means(items, split="validation"):
    return [item[f"{split}_fitness"]["mean"] for item in items]


def test_mean_and_declared_statistic_disagree_here(evolved):
    """Or the tests below would show nothing."""
    front = [item for item in evolved["front"] if item["validation_fitness"]["aggregate"] is not None]
    assert len(front) >= 2
    assert max(front, key=lambda item: item["validation_fitness"]["mean"])["id"] != evolved["reported"]["id"]
    for item in front:
        seen = item["validation_fitness"]
        assert seen["statistic"] == EXPECTED_MINIMUM_OF_8.name
        assert seen["aggregate"] < seen["mean"]
        assert seen["interval"][0] <= seen["aggregate"] <= seen["interval"][1]
        assert (seen["n"], len(seen["quartiles"])) == (40, 3)
        assert 0 <= seen["failures"] <= 40


def test_the_reported_rule_is_chosen_by_the_declared_statistic_and_champion_by_training(evolved):
    front = evolved["front"]
    best = max(tails(front))
    assert evolved["reported"]["validation_fitness"]["aggregate"] == best
    simplest = next(item for item in front if item["validation_fitness"]["aggregate"] == best)
    assert evolved["reported"]["id"] == simplest["id"]
    assert evolved["champion"]["fitness"] == max(item["fitness"] for item in front)
    assert evolved["champion"]["id"] != evolved["reported"]["id"]


def test_verdicts_say_what_the_declared_statistic_says(evolved):
    rows = {row["against"]: row for row in evolved["verdicts"] if row["statistic"] == EXPECTED_MINIMUM_OF_8.name}
    assert set(rows) == {"steady", "bold", "no learning"}
    assert rows["bold"]["verdict"] == "better"  # of which the mean is higher
    failures = {row["against"]: row for row in evolved["verdicts"] if row["statistic"] == "failures"}
    assert set(failures) == set(rows)
    assert failures["no learning"]["verdict"] == "better"


def test_compared_with_is_the_champion_beside_the_best_known_rule_by_the_same_statistic(evolved):
    compared = evolved["compared_with"]
    assert set(compared) == {"known_as", "rule", "validation_fitness", "champion_minus_known", "standard_error"}
    assert (compared["known_as"], compared["rule"]) == ("steady", "x")
    champion, known = evolved["champion"]["validation_fitness"], compared["validation_fitness"]
    assert known["statistic"] == EXPECTED_MINIMUM_OF_8.name
    assert compared["champion_minus_known"] == champion["aggregate"] - known["aggregate"] < 0
    assert champion["mean"] > known["mean"]
    assert compared["standard_error"] >= 0


def test_tables_and_sentences_of_the_command_line(command_line, folder, evolved):
    again = _one_line(command_line.run(folder, "resume", evolved["job"]))
    for part in ("validation (unseen),", "expected minimum of 8", "[95 % interval]", "mean ± s.e."):
        assert part in again
    for item in evolved["front"]:
        low, high = item["validation_fitness"]["interval"]
        assert f"{item['validation_fitness']['aggregate']:.3f} [{low:.3f}, {high:.3f}]" in again
    assert f"Reported (chosen on unseen instances): {evolved['reported']['rule']}" in again
    assert "It fails (fitness below 2) on" in again
    assert "It is better than bold, the other known rule." in again
    shown = _one_line(command_line.run(folder, "show", evolved["champion"]["id"]))
    seen = evolved["champion"]["validation_fitness"]
    assert f"[{seen['interval'][0]:.3f}, {seen['interval'][1]:.3f}] (n=40)" in shown
    assert "expected minimum of 8 [95 % interval]; mean" in shown
    assert f"failures {seen['failures']}" in shown


def test_lists_are_ranked_by_it(command_line, folder, evolved):
    found = command_line.run(folder, "rules", "--json").json["rules"]
    ranked = [item for item in found if item["library_fitness"]]
    assert tails(ranked, "library") == sorted(tails(ranked, "library"), reverse=True)
    assert means(ranked, "library") != sorted(means(ranked, "library"), reverse=True)
    assert all(item["library_fitness"]["interval"] for item in ranked)
    assert "expected minimum of 8 [95 % interval]" in _one_line(command_line.run(folder, "rules"))


def test_one_instance_has_no_spread(command_line, folder):
    command = ("evaluate", "disagreeing", "--rule", "x*x", "--split", "validation", "--n", "1")
    assert "±" not in command_line.run(folder, *command).out.replace("mean ± s.e.", "")
    found = command_line.run(folder, *command, "--json").json
    assert (found["interval"], found["standard_error"]) == (None, None)
    assert "expected minimum of 8 [95 % interval]" in _one_line(command_line.run(folder, *command[:-1], "20"))


def test_the_service_says_the_same_and_its_study_chooses_by_it(command_line, folder, evolved):
    with serving(f"sqlite:///{folder}/ruleforge.db") as service:
        front = service.get(f"/api/v1/jobs/{evolved['job']}/front")
        items = front.json()["items"]
        assert tails(items) == tails(evolved["front"])
        table = list(csv.DictReader(io.StringIO(_as(service, evolved["job"], "text/csv"))))
        for row, item in zip(table, evolved["front"], strict=True):
            seen = item["validation_fitness"]
            assert row["validation_statistic"] == EXPECTED_MINIMUM_OF_8.name
            assert float(row["validation_aggregate"]) == seen["aggregate"]
            assert [float(row["validation_low"]), float(row["validation_high"])] == seen["interval"]
        latex = _as(service, evolved["job"], "application/x-latex")
        assert r"expected minimum of 8 [95 \% interval]" in latex
        assert r"\pm" not in latex
        rules = service.get("/api/v1/rules?task=disagreeing&limit=100").json()["items"]
        ranked = tails([item for item in rules if item["library_fitness"]], "library")
        assert ranked == sorted(ranked, reverse=True)
        address = service.address
        result = command_line.run(folder, "study", "study.toml", "--server", address, "--json").json
        (winner,) = result["winners"]
        reported = [job["reported"] for job in result["jobs"]]
        assert winner["reported"]["validation_fitness"]["aggregate"] == max(tails(reported))
        assert winner["reported"]["test_fitness"]["statistic"] == EXPECTED_MINIMUM_OF_8.name
        assert "test_fitness" in winner["reported"]
        assert winner["verdicts"]
        assert service.get(f"/api/v1/studies/{result['study']}").json()["winners"] == result["winners"]
        said = command_line.run(folder, "study", "study.toml", "--server", address).out
        assert "Winner, chosen by validation: " in said
        assert "[" in said.split("a fresh stream of the study:")[1].split(".\n")[0]


def _one_line(done):
    """What a command said, wherever its lines are broken."""
    return " ".join(done.out.split())


def _as(service, job, media_type):
    answer = service.get(f"/api/v1/jobs/{job}/front", headers={"accept": media_type})
    assert answer.status_code == 200, answer.text
    return answer.text
