"""Every command, as people and as scripts call it."""

from __future__ import annotations

import pytest

from ruleforge.store import open_store

COMMANDS = (
    *("evolve", "resume", "evaluate", "tasks", "jobs", "rules", "show"),
    *("pause", "cancel", "runner", "study"),
)
WITH_RECORD = ("evolve", "resume", "evaluate", "jobs", "rules", "show", "pause", "cancel", "runner", "study")
RULE_OBJECT = {"id", "behaviour", "rule", "complexity", "fitness", "validation_fitness", "outcome", "known_as"}
RESULT = {
    *("job", "state", "champion", "front", "generations", "evaluations", "seconds", "history", "stopped_by"),
}


@pytest.fixture(scope="module")
def evolved(command_line, tmp_path_factory):
    """A job that was run by the installed script: its folder and what the script left behind."""
    folder = tmp_path_factory.mktemp("evolved")
    seeds = 'grammar.seed_rules=["(R - 1)*E"]'
    options = ("--seed", "1", "--generations", "4", "--set", seeds, "--workers", "2", "--json")
    return folder, command_line.run(folder, "evolve", "reward", *options, *command_line.small)


@pytest.fixture
def record(evolved):
    return f"sqlite:///{evolved[0]}/ruleforge.db"


def test_evolve_gives_one_object_on_standard_output_and_progress_on_standard_error(evolved):
    folder, done = evolved
    assert done.code == 0, done.err
    result = done.json
    assert result.keys() >= RESULT
    assert (result["state"], result["stopped_by"], result["generations"]) == ("succeeded", "generations", 4)
    assert result["front"][-1] == result["champion"]
    for item in result["front"]:
        assert item.keys() >= RULE_OBJECT
        assert item["validation_fitness"].keys() == {
            *("statistic", "aggregate", "interval", "mean", "standard_error", "n", "quartiles", "failures", "metrics"),
        }
        assert item["validation_fitness"]["n"] == 3
    assert f"Job {result['job']} started: reward, seed 1, until generations 4" in done.err
    assert "generation 0  best" in done.err
    assert "Validating the front" in done.err
    assert [path.name for path in folder.iterdir()] == ["ruleforge.db"]


def test_the_script_and_the_python_interface_are_one(evolved, tmp_path):
    import ruleforge

    result = ruleforge.evolve(
        "reward",
        db=f"sqlite:///{tmp_path}/other.db",
        seed=1,
        budget={"generations": 4},
        parameters={"n_trials": 20},
        instances={"training": 2, "validation": 3, "test": 3},
        search={"population": 8, "offspring": 8},
        grammar={"seed_rules": ["(R - 1)*E"]},
    )
    assert {**result.raw, "job": 0, "seconds": 0} == {**evolved[1].json, "job": 0, "seconds": 0}


def test_evolve_for_people(here, command_line):
    done = here("evolve", "reward", "--seed", "1", "--budget", "9", *command_line.small)
    assert done.code == 0
    assert "Front of job" in done.out
    assert "Champion" in done.out
    assert "9 distinct rules in 2 generations" in done.out
    assert "stopped by evaluations" in done.out


def test_settings_go_over_the_options_of_a_file(here, tmp_path, command_line):
    (tmp_path / "job.toml").write_text('seed = 7\nname = "filed"\n[budget]\ntarget = 1e9\n', encoding="utf-8")
    options = ("--config", "job.toml", "--set", "notes=by hand", "--generations", "1", "--json")
    done = here("evolve", "reward", *options, *command_line.small)
    with open_store("sqlite:///ruleforge.db", create=False) as store:
        job = store.job(done.json["job"])
    assert (job.spec["seed"], job.name, job.notes) == (7, "filed", "by hand")
    assert job.spec["budget"] == {"generations": 1, "evaluations": None, "seconds": None, "target": 1e9}
    assert job.spec["parameters"]["n_trials"] == 20


def test_resume_of_a_finished_job(here, evolved, record):
    result = evolved[1].json
    assert here("resume", result["job"][:6], "--db", record, "--json").json == result
    shown = here("resume", result["job"], "--db", record)
    assert shown.code == 0
    assert "this is its stored result" in shown.err
    assert f"History {result['history']}" in shown.out


def test_jobs(here, evolved, record):
    result = evolved[1].json
    (job,) = here("jobs", "--db", record, "--json").json["jobs"]
    assert {"id", "task", "state", "generation", "evaluations", "best", "created"} <= job.keys()
    assert (job["id"], job["task"], job["state"], job["generation"]) == (result["job"], "reward", "succeeded", 4)
    assert (job["evaluations"], job["best"]) == (result["evaluations"], result["champion"]["fitness"])
    shown = here("jobs", "--db", record)
    assert (shown.code, shown.err) == (0, "")
    assert result["job"] in shown.out


def test_the_record_may_come_from_the_environment(here, evolved, record, monkeypatch):
    monkeypatch.setenv("RULEFORGE_DB", record)
    assert here("jobs", "--json").json["jobs"][0]["id"] == evolved[1].json["job"]


def test_jobs_come_newest_first(here, command_line):
    for seed in ("1", "2"):
        assert here("evolve", "reward", "--seed", seed, "--budget", "1", *command_line.small).code == 0
    listed = here("jobs", "--json").json["jobs"]
    assert [job["created"] for job in listed] == sorted((job["created"] for job in listed), reverse=True)
    assert len({job["id"] for job in listed}) == 2


def test_rules(here, evolved, record):
    front = evolved[1].json["front"]
    listed = here("rules", "--db", record, "--task", "reward", "--top", "3", "--json").json["rules"]
    assert len(listed) == 3
    assert all(RULE_OBJECT | {"found", "task"} <= item.keys() for item in listed)
    assert all(item["library_fitness"] for item in listed)
    best = max(front, key=lambda item: item["validation_fitness"]["mean"])
    every = here("rules", "--db", record, "--top", "1000", "--json").json["rules"]
    (same,) = [item for item in every if item["behaviour"] == best["behaviour"]]
    kept = ("aggregate", "mean", "standard_error", "n")
    assert {name: same["validation_fitness"][name] for name in kept} == {
        name: best["validation_fitness"][name] for name in kept
    }
    assert here("rules", "--db", record, "--task", "supervised", "--json").json == {"rules": [], "contexts": []}
    shown = here("rules", "--db", record)
    assert (shown.code, shown.err) == (0, "")
    assert listed[0]["rule"] in shown.out


def test_show(here, evolved, record, tmp_path):
    champion = evolved[1].json["champion"]
    for name in (champion["id"], champion["id"][:8], "champion"):
        item = here("show", name, "--db", record, "--json").json
        assert {key: item[key] for key in ("id", "rule", "fitness", "behaviour")} == {
            key: champion[key] for key in ("id", "rule", "fitness", "behaviour")
        }
        assert item["latex"].startswith(r"\Delta w")
    shown = here("show", champion["id"], "--db", record, "--figure", "out.png")
    assert shown.code == 0
    assert champion["rule"] in shown.out
    assert "out.png" in shown.out
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


def test_show_of_a_known_rule_says_its_name(here, record):
    import ruleforge

    rule = ruleforge.Rule.parse("(R - 1)*E", "reward")
    item = here("show", rule.id, "--db", record, "--json").json
    assert (item["known_as"], item["known_factor"]) == ("punishment-gated eligibility", 1.0)
    assert "punishment-gated eligibility" in here("show", rule.id, "--db", record).out


def test_evaluate_by_the_installed_script(command_line, tmp_path):
    options = ("--split", "validation", "--n", "3", "--seed", "4", "--set", "n_trials=20", "--json")
    done = command_line.run(tmp_path, "evaluate", "reward", "--rule", "(R-1) * E", *options)
    assert (done.code, done.err) == (0, "")
    found = done.json
    keys = {"task", "rule", "id", "split", "fitness", "aggregate", "mean", "standard_error", "n", "outcome"}
    assert keys | {"complexity", "known_as"} <= found.keys()
    assert (found["rule"], found["split"], found["n"]) == ("(R - 1)*E", "validation", 3)
    assert found["mean"] == pytest.approx(sum(found["fitness"]) / 3)
    assert list(tmp_path.iterdir()) == []


def test_evaluate_several_rules_for_scripts_and_people(here):
    options = ("evaluate", "reward", "--rule", "R*E", "--rule", "1/(R*R - 1)", "--n", "2", "--set", "n_trials=20")
    finite, infinite = here(*options, "--json").json["evaluations"]
    assert (finite["outcome"], finite["known_as"]) == ("ok", "policy gradient")
    assert (infinite["outcome"], infinite["fitness"], infinite["mean"]) == ("non_finite", [None, None], None)
    shown = here(*options, "--workers", "1")
    assert shown.code == 0
    assert "policy gradient" in shown.out
    assert "non_finite" in shown.out


def test_evaluate_depends_on_split_seed_and_parameters_only(here):
    def fitness(*options):
        base = ("evaluate", "reward", "--rule", "R*E", "--n", "3", "--set", "n_trials=20", "--json")
        return tuple(here(*base, *options).json["fitness"])

    assert fitness() == fitness("--workers", "3")
    variants = [(), ("--split", "test"), ("--seed", "1"), ("--set", "escape_rate=1"), ("--set", "input_rate=12")]
    assert len({fitness(*options) for options in variants}) == len(variants)


def test_tasks(here):
    described = {item["name"]: item for item in here("tasks", "--json").json["tasks"]}
    assert {"reward", "supervised", "correlation"} <= described.keys()
    (slot,) = described["reward"]["slots"]
    assert slot["name"] == "dw"
    assert {signal["symbol"] for signal in slot["signals"]} >= {"R", "E", "R_mean"}
    assert all(signal["unit"] and signal["meaning"] for signal in slot["signals"])
    parameters = {item["name"]: item for item in described["reward"]["parameters"]}
    assert (parameters["resolution"]["default"], parameters["resolution"]["unit"]) == (0.1, "ms")
    assert all(item["source"] and item["meaning"] for item in parameters.values())
    assert all(item["citation"] for item in described["reward"]["known_rules"])
    shown = here("tasks", "reward")
    assert (shown.code, shown.err) == (0, "")
    assert "supervised" not in shown.out
    for word in ("eligibility_time_constant", "500.0", "ms", "(R - 1)*E", "policy gradient with baseline"):
        assert word in shown.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_json_and_its_record(here, command):
    done = here(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"ruleforge {command}" in done.out
    assert "--json" in done.out
    assert ("--db" in done.out) == (command in WITH_RECORD)


def test_the_list_of_commands(command_line, here, tmp_path):
    done = command_line.run(tmp_path, "--help")
    assert done.code == 0
    assert all(f"\n  {command} " in done.out for command in COMMANDS)
    bare = here()
    assert bare.code == 2
    assert "Usage: " in bare.err
    assert bare.out == ""
