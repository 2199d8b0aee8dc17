"""The job specification: defaults, hash, refusals, files, settings."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ruleforge.errors import InputError, SpecificationError
from ruleforge.family import family_class
from ruleforge.search_settings import SearchSettings, methods_of
from ruleforge.spec import DEFAULT_EVALUATIONS, JobSpec, apply_setting, job_spec, read_toml

pytestmark = pytest.mark.usefixtures("toy_tasks")

EVERYTHING = {
    "task": "toy",
    "seed": 3,
    "parameters": {"gain": 3.0},
    "instances": {"source": "sampled", "training": 4, "validation": 9, "test": 8},
    "grammar": {
        "operators": ["+", "sqrt"],
        "constants": [2.0],
        "signals": {"dw": ["E"]},
        "max_complexity": 11,
        "max_depth": 5,
        "slot_operators": {"dw": ["*", "+"]},
        "random_constants": [0.1, 10.0],
        "nesting": {"sqrt": {"sqrt": 0}},
        "units": "strict",
        "zero_when": {"E": 0.0},
        "sign": {"dw": "non_negative"},
        "bounded": {"dw": 100.0},
        "templates": {"dw": "E * ?"},
        "seed_rules": ["E*E"],
    },
    "search": {
        "method": "mu_plus_lambda",
        "population": 7,
        "offspring": 8,
        "crossover": 0.5,
        "small_rules": 0.25,
        "tournament": 4,
        "tuned": 0.1,
        "tuned_rules": 3,
        "tuned_gain": True,
        "islands": 2,
        "migration_interval": 5,
        "migrants": 2,
        "stagnation": 9,
    },
    "budget": {"generations": 5, "evaluations": 50, "seconds": 60.0, "target": 1.5},
    "evaluator": {"fingerprints": False},
}


def refusals(given):
    with pytest.raises(SpecificationError) as caught:
        job_spec(given)
    return dict(caught.value.errors)


def test_the_family_fills_in_what_is_left_out():
    spec = job_spec({"task": "toy"})
    assert spec.seed == 0
    assert spec.parameters == {"gain": 2.0, "n_steps": 10}
    assert (spec.instances.training, spec.instances.validation, spec.instances.source) == (3, 7, "sampled")
    assert spec.grammar.operators == ("+", "-", "*", "/")
    assert spec.grammar.constants == (0.1, 1.0, 10.0)
    assert spec.grammar.signals == {"dw": ("R", "E")}
    assert (spec.budget.evaluations, spec.budget.target) == (DEFAULT_EVALUATIONS, 5.0)
    assert spec.family().parameters.gain == 2.0
    two = job_spec({"task": "twin"})
    assert two.grammar.signals == {"depress": ("w", "x"), "facilitate": ("w", "x")}
    assert two.budget.target is None


@pytest.mark.parametrize("limit", [{"generations": 5}, {"seconds": 1.0}, {"target": 3.0}, {"evaluations": 5}])
def test_a_limit_given_replaces_the_defaults(limit):
    budget = job_spec({"task": "toy", "budget": limit}).budget
    assert {name: value for name, value in budget.model_dump().items() if value is not None} == limit


def test_signals_may_be_given_for_all_slots_or_by_slot():
    def signals(given, task="twin"):
        return job_spec({"task": task, "grammar": {"signals": given}}).grammar.signals

    assert signals(["w"]) == {"depress": ("w",), "facilitate": ("w",)}
    assert signals({"depress": ["x"]}) == {"depress": ("x",), "facilitate": ("w", "x")}
    assert signals({"*": ["x"], "facilitate": ["w"]}) == {"depress": ("x",), "facilitate": ("w",)}
    assert signals(["R_mean", "R_mean", "E"], "toy") == {"dw": ("R_mean", "E")}


def test_operators_may_be_written_as_in_rules_and_repeats_are_one():
    given = {"task": "toy", "grammar": {"operators": ["×", "mul", "^", "pow", "sqrt"], "constants": [1, 1.0, 2]}}
    grammar = job_spec(given).grammar
    assert grammar.operators == ("*", "**", "sqrt")
    assert grammar.constants == (1.0, 2.0)


def test_a_complete_specification_is_its_own_completion():
    spec = job_spec(EVERYTHING)
    assert job_spec(spec.model_dump(mode="json")) == spec
    assert job_spec(spec.model_dump()).hash == spec.hash
    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec
    plain = job_spec({"task": "toy"})
    assert job_spec(plain.model_dump(mode="json")).hash == plain.hash


def test_hash_does_not_see_name_notes_and_tags():
    bare = job_spec(EVERYTHING)
    named = job_spec(EVERYTHING | {"name": "first", "notes": "try", "tags": ["a", "b"]})
    assert named.name == "first"
    assert named.hash == bare.hash
    assert named != bare


# Keys whose value is a table as a whole.
TABLES = ("signals", "slot_operators", "nesting", "zero_when", "sign", "bounded", "templates")


def leaves(table, path=()):
    for key, value in table.items():
        if isinstance(value, dict) and key not in TABLES:
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


OTHER_VALUES = {
    "task": "other",
    "seed": 4,
    "gain": 3.5,
    "n_steps": 11,
    "source": "published",
    "training": 5,
    "validation": 10,
    "test": 11,
    "operators": ["+"],
    "constants": [2.5],
    "signals": {"dw": ["R"]},
    "max_complexity": 12,
    "max_depth": 6,
    "slot_operators": {},
    "random_constants": None,
    "nesting": {"sqrt": {"sqrt": 1}},
    "units": "ignored",
    "zero_when": {},
    "sign": {"dw": "non_positive"},
    "bounded": {"dw": 90.0},
    "templates": {},
    "seed_rules": [],
    "method": "nsga2",
    "population": 6,
    "offspring": 9,
    "crossover": 0.4,
    "small_rules": 0.3,
    "tournament": 3,
    "tuned": 0.2,
    "tuned_rules": 5,
    "tuned_gain": False,
    "islands": 3,
    "migration_interval": 6,
    "migrants": 1,
    "stagnation": 0,
    "generations": 6,
    "evaluations": 51,
    "seconds": 61.0,
    "target": 1.6,
    "racing": False,
    "fingerprints": True,
    "replicates": 4,
}


def test_hash_sees_everything_else():
    spec = job_spec(EVERYTHING).model_dump(mode="json")
    seen = {JobSpec.model_validate(spec).hash}
    paths = [path for path in leaves(spec) if path[-1] not in ("name", "notes", "tags")]
    cartesian = [name for name in SearchSettings.model_fields if "mu_plus_lambda" not in methods_of(name)]
    assert {path[-1] for path in paths} == {*OTHER_VALUES, *cartesian}, "a new key needs another value here"
    for path in paths:
        if path[-1] in cartesian:
            continue
        changed = JobSpec.model_validate(with_value(spec, path, OTHER_VALUES[path[-1]]))
        assert changed.hash not in seen, f"{'.'.join(path)} is not part of the hash"
        seen.add(changed.hash)


def with_value(table, path, value):
    head, *rest = path
    return table | {head: with_value(table[head], rest, value) if rest else value}


def test_hash_does_not_depend_on_order_or_spelling():
    turned = {key: EVERYTHING[key] for key in reversed(EVERYTHING)}
    turned["seed"], turned["parameters"] = 3.0, {"n_steps": 10, "gain": 3}
    turned["grammar"] = EVERYTHING["grammar"] | {"signals": ["E"], "operators": ["add", "sqrt"]}
    assert job_spec(turned).hash == job_spec(EVERYTHING).hash


def test_frozen():
    spec = job_spec(EVERYTHING)
    with pytest.raises(ValueError, match="frozen"):
        spec.seed = 4


@pytest.mark.parametrize(
    ("given", "pointer", "sentence"),
    [
        ({"sede": 1}, "/sede", "unknown key 'sede': .*Did you mean 'seed'"),
        ({"search": {"populaton": 3}}, "/search/populaton", "Did you mean 'population'"),
        ({"budget": {"secs": 3}}, "/budget/secs", "unknown key 'secs': expected one of generations, evaluations"),
        ({"parameters": {"gian": 1.0}}, "/parameters/gian", "unknown parameter 'gian': .*Did you mean 'gain'"),
        ({"a/b~c": 1}, "/a~1b~0c", "unknown key 'a/b~c'"),
        ({"parameters": {"gain": 0}}, "/parameters/gain", "greater than 0, and 0 came"),
        ({"parameters": {"gain": float("nan")}}, "/parameters/gain", "finite number, and nan came"),
        ({"parameters": {"gain": "much"}}, "/parameters/gain", "and 'much' came"),
        ({"parameters": {"n_steps": 1000}}, "/parameters/n_steps", "less than or equal to 100, and 1000 came"),
        ({"seed": -1}, "/seed", "greater than or equal to 0, and -1 came"),
        ({"seed": 2**63}, "/seed", "less than"),
        ({"seed": "x" * 5000}, "/seed", "xxx…"),
        ({"search": {"population": 0}}, "/search/population", "and 0 came"),
        ({"search": {"crossover": 1.5}}, "/search/crossover", "less than or equal to 1, and 1.5 came"),
        ({"search": {"method": "magic"}}, "/search/method", "mu_plus_lambda.*and 'magic' came"),
        ({"search": {"population": 2}}, "/search", r"search.tournament \(3\) is larger than search.population \(2\)"),
        ({"search": {"columns": 7}}, "/search", "columns is a setting of jordan2021, and the method is nsga2"),
        (
            {"search": {"method": "lexicase", "tournament": 2}},
            "/search",
            "tournament is a setting of mu_plus_lambda",
        ),
        ({"search": {"islands": 2, "migrants": 17}}, "/search", r"search.migrants \(17\) is larger than search.popul"),
        ({"search": {"method": "jordan2021"}, "grammar": {"seed_rules": ["R"]}}, "/grammar/seed_rules", "cannot start"),
        ({"grammar": {"slot_operators": {"dw": ["sqr"]}}}, "/grammar/slot_operators", "Did you mean 'sqrt'"),
        ({"grammar": {"slot_operators": {"dv": ["+"]}}}, "/grammar/slot_operators", "unknown slot 'dv'"),
        ({"grammar": {"random_constants": [3.0, 1.0]}}, "/grammar/random_constants", "the smaller one first"),
        ({"grammar": {"random_constants": [0.0, 1.0]}}, "/grammar/random_constants", "two positive magnitudes"),
        ({"grammar": {"nesting": {"exp": {"ex": 0}}}}, "/grammar/nesting", "unknown operator 'ex'"),
        ({"grammar": {"nesting": {"exp": {"exp": -1}}}}, "/grammar/nesting", "0 or more"),
        ({"grammar": {"units": "loose"}}, "/grammar/units", "'strict', and 'loose' came"),
        ({"grammar": {"zero_when": {"Q": 0}}}, "/grammar/zero_when", "unknown signal 'Q'"),
        ({"grammar": {"sign": {"dw": "good"}}}, "/grammar/sign/dw", "non_positive"),
        ({"grammar": {"sign": {"dv": "non_negative"}}}, "/grammar/sign", "unknown slot 'dv'"),
        ({"grammar": {"bounded": {"dw": 0}}}, "/grammar/bounded", "positive bound"),
        ({"grammar": {"templates": {"dw": "E*R"}}}, "/grammar/templates/dw", "has no hole: write \\?"),
        ({"grammar": {"templates": {"dw": "E*(?"}}}, "/grammar/templates/dw", "expected"),
        ({"grammar": {"templates": {"dv": "?"}}}, "/grammar/templates", "unknown slot 'dv'"),
        (
            {"grammar": {"templates": {"dw": "E*?"}, "seed_rules": ["E*R", "R*E"]}},
            "/grammar/seed_rules/1",
            "does not follow the template",
        ),
        ({"search": 3}, "/search", "and 3 came"),
        ({"budget": {"generations": 2.5}}, "/budget/generations", "and 2.5 came"),
        ({"budget": {"seconds": 0}}, "/budget/seconds", "greater than 0"),
        ({"budget": {"target": float("inf")}}, "/budget/target", "finite"),
        ({"instances": {"training": 0}}, "/instances/training", "greater than or equal to 1"),
        ({"instances": {"source": "stolen"}}, "/instances/source", "'sampled' or 'published', and 'stolen' came"),
        ({"grammar": {"operators": []}}, "/grammar/operators", "at least 1"),
        ({"grammar": {"operators": ["sqr"]}}, "/grammar/operators", "unknown operator 'sqr': .*Did you mean 'sqrt'"),
        ({"grammar": {"signals": ["Q"]}}, "/grammar/signals/dw", "unknown signal 'Q': expected one of R, E, R_mean"),
        ({"grammar": {"signals": {"dv": ["R"]}}}, "/grammar/signals", "unknown slot 'dv': expected one of dw"),
        ({"grammar": {"signals": "R"}}, "/grammar/signals", "dictionary"),
        ({"grammar": {"signals": [], "constants": []}}, "/grammar/signals/dw", "at least one signal or constant"),
        ({"grammar": {"seed_rules": ["R", "R*"]}}, "/grammar/seed_rules/1", r"and the end came\n  R\*\n    \^"),
        ({"grammar": {"constants": [float("inf")]}}, "/grammar/constants/0", "finite"),
        ({"grammar": {"max_depth": 33}}, "/grammar/max_depth", "less than or equal to 32"),
        ({"grammar": {"max_complexity": 201}}, "/grammar/max_complexity", "less than or equal to 200"),
        ({"tags": "one"}, "/tags", "and 'one' came"),
    ],
)
def test_refused_with_pointer_and_sentence(given, pointer, sentence):
    errors = refusals({"task": "toy"} | given)
    found = errors.get(pointer) or errors.get("")
    assert found is not None, errors
    assert re.search(sentence, found, re.DOTALL), found
    assert len(found) < 600


def test_every_fault_is_told_at_once():
    errors = refusals({"task": "toy", "seed": -1, "budget": {"generations": 0}, "colour": "red"})
    assert errors.keys() == {"/seed", "/budget/generations", "/colour"}
    with pytest.raises(SpecificationError) as caught:
        job_spec({"task": "toy", "seed": -1, "budget": {"generations": 0}})
    assert str(caught.value).startswith("seed: ")
    assert "\nbudget.generations: " in str(caught.value)


def test_the_task_is_required_and_must_exist():
    assert refusals({}).keys() == {"/task"}
    with pytest.raises(InputError, match=r"unknown task 'toi': .*Did you mean 'toy'") as caught:
        job_spec({"task": "toi"})
    assert caught.value.pointer == "/task"


@pytest.mark.parametrize("given", [None, [], [1], "toy", 3])
def test_what_is_no_table_is_refused(given):
    with pytest.raises(SpecificationError):
        job_spec(given)


def test_a_family_without_published_instances_says_so():
    with pytest.raises(InputError, match=r"toy has no .*instances from 'published'") as caught:
        job_spec({"task": "toy", "instances": {"source": "published"}})
    assert caught.value.pointer == "/instances/source"


def test_toml_files(tmp_path):
    file = tmp_path / "job.toml"
    file.write_text('task = "toy"\nseed = 5\n[search]\npopulation = 16\n[parameters]\ngain = 4.0\n')
    spec = job_spec(read_toml(file))
    assert (spec.task, spec.seed, spec.search.population, spec.parameters["gain"]) == ("toy", 5, 16, 4.0)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'task = "toy"\nseed = = 5\n', r"not valid TOML: .*\(at line 2, column 8\)"),
        (b'task = "toy"\ntask = "twin"\n', r"not valid TOML: .*line 2"),
        (b'task = "t\xff"\n', "not UTF-8 text: .* at byte 9"),
        (b"seed = " + b"9" * 5000, "not valid TOML"),
        (b"seed = " + b"[" * 5000, "not valid TOML"),
    ],
)
def test_files_that_do_not_parse(tmp_path, content, sentence):
    file = tmp_path / "job.toml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        read_toml(file)
    assert "job.toml" in str(caught.value)


@pytest.mark.parametrize("number", [1000, 1000.0, np.int64(1000), np.float64(1000)])
def test_a_number_alone_as_budget_is_one_of_evaluations(number):
    asked, stated = (job_spec({"task": "toy", "budget": given}) for given in (number, {"evaluations": 1000}))
    assert asked == stated
    assert asked.hash == stated.hash
    assert asked.budget.target is None  # a limit given replaces the defaults


@pytest.mark.parametrize(
    ("budget", "pointer", "sentence"),
    [
        (0, "/budget/evaluations", "greater than or equal to 1, and 0 came"),
        (-3, "/budget/evaluations", "and -3 came"),
        (2.5, "/budget/evaluations", "and 2.5 came"),
        (float("nan"), "/budget/evaluations", "finite number, and nan came"),
        (float("inf"), "/budget/evaluations", "finite number, and inf came"),
        *(
            (given, "/budget", f"expected a number of evaluations, or a table of .*, and {re.escape(repr(given))} came")
            for given in (True, False, None, "1000", "10 s", [1000], (1,), 1j, b"1")
        ),
        ({"time": 3}, "/budget/time", "unknown key 'time': expected one of generations, evaluations, seconds, target"),
    ],
)
def test_budgets_that_are_refused(budget, pointer, sentence):
    with pytest.raises(SpecificationError, match=sentence) as caught:
        job_spec({"task": "toy", "budget": budget})
    assert [found for found, _ in caught.value.errors] == [pointer]


def test_a_number_as_budget_in_a_file(tmp_path):
    (tmp_path / "job.toml").write_text('task = "toy"\nbudget = 1000\n', encoding="utf-8")
    assert job_spec(read_toml(tmp_path / "job.toml")).budget.evaluations == 1000


@pytest.mark.parametrize("key", ["name", "notes"])
@pytest.mark.parametrize("value", [2024, 1.5, True, ["a"]])
def test_what_should_be_a_text_says_that_it_is_put_in_quotes(key, value):
    with pytest.raises(
        SpecificationError, match=f"{key}: expected a string in quotes, and {re.escape(repr(value))} came"
    ):
        job_spec({"task": "toy", key: value})


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match=r"nowhere.toml cannot be read: No such file"):
        read_toml(tmp_path / "nowhere.toml")
    with pytest.raises(InputError, match="cannot be read"):
        read_toml(tmp_path)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("gain=0.5", {"parameters": {"gain": 0.5}}),
        (" gain = 0.5", {"parameters": {"gain": 0.5}}),
        ("parameters.n_steps=7", {"parameters": {"n_steps": 7}}),
        ("search.population=64", {"search": {"population": 64}}),
        ("budget.seconds=1e3", {"budget": {"seconds": 1000.0}}),
        ("evaluator.fingerprints=false", {"evaluator": {"fingerprints": False}}),
        ("seed=12", {"seed": 12}),
        ("name=my first job", {"name": "my first job"}),
        ("notes=a=b", {"notes": "a=b"}),
        ("notes=", {"notes": ""}),
        ("tags=['a', 'b']", {"tags": ["a", "b"]}),
        ("instances.source=published", {"instances": {"source": "published"}}),
        ("grammar.operators=['+', '*']", {"grammar": {"operators": ["+", "*"]}}),
        ("grammar.signals=['E']", {"grammar": {"signals": ["E"]}}),
        ("grammar.signals.dw=['E']", {"grammar": {"signals": {"dw": ["E"]}}}),
        ("grammar.seed_rules=['(R - 1)*E']", {"grammar": {"seed_rules": ["(R - 1)*E"]}}),
        ("name=2024", {"name": "2024"}),
        ("name=2024-01-01", {"name": "2024-01-01"}),
        ("name=1e3", {"name": "1e3"}),
        ("name='2024'", {"name": "2024"}),
        ("notes=true", {"notes": "true"}),
        ("notes=[1, 2]", {"notes": "[1, 2]"}),
        ("budget=1000", {"budget": 1000}),
        ("budget={seconds = 10}", {"budget": {"seconds": 10}}),
        ("name=[[[", {"name": "[[["}),
        ("name=" + "[" * 5000, {"name": "[" * 5000}),
        ("name=" + "9" * 5000, {"name": "9" * 5000}),
    ],
)
def test_settings_from_the_command_line(setting, expected):
    given = {}
    apply_setting(given, setting, family_class("toy"))
    assert given == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (("budget=1000", "budget.target=5"), {"evaluations": 1000, "target": 5}),
        (("budget.target=5", "budget=1000"), 1000),
        (("budget.target=5", "budget.seconds=9"), {"target": 5, "seconds": 9}),
    ],
)
def test_a_number_as_budget_and_single_limits_in_turn(settings, expected):
    given = {}
    for setting in settings:
        apply_setting(given, setting, family_class("toy"))
    assert given == {"budget": expected}


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("gain", "expected KEY=VALUE after --set, and 'gain' came"),
        ("=3", "expected KEY=VALUE"),
        ("", "expected KEY=VALUE"),
        ("gian=3", "unknown key 'gian': .*Did you mean 'gain'"),
        ("population=3", "Did you mean 'search.population'"),
        ("search.populaton=3", "Did you mean 'search.population'"),
        ("parameters.gian=3", "unknown key"),
        ("task=twin", "unknown key 'task'"),
        ("parameters=3", "unknown key 'parameters'"),
        ("__class__=3", "unknown key"),
    ],
)
def test_settings_that_are_refused(setting, sentence):
    given = {"seed": 1}
    with pytest.raises(InputError, match=sentence):
        apply_setting(given, setting, family_class("toy"))
    assert given == {"seed": 1}


def test_settings_go_over_a_file_and_what_is_no_table_is_not_overwritten():
    given = {"search": {"population": 5}, "parameters": {"gain": 1.0}}
    apply_setting(given, "search.offspring=6", family_class("toy"))
    apply_setting(given, "gain=3.0", family_class("toy"))
    assert given == {"search": {"population": 5, "offspring": 6}, "parameters": {"gain": 3.0}}
    for setting in ("search.offspring=6", "gain=2.0"):
        with pytest.raises(InputError, match=r"cannot be set: .* is given as 3"):
            apply_setting({"search": 3, "parameters": 3}, setting, family_class("toy"))
