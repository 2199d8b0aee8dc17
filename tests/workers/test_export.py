"""Rules in the forms that other programs read; the Python file is run by a process that has numpy alone."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "ruleforge" / "helpers"))
from random_expressions import EXACT, SPECIAL, expressions, same_bits, values

from ruleforge.errors import InputError
from ruleforge.family import family_class, family_names
from ruleforge.language import Rule, Signal, Slot
from ruleforge.language.primitives import PRIMITIVES
from workers.export import FORMATS, export_rule
from workers.export.description import described
from workers.export.python import python_file
from workers.interface import FoundRule, as_result
from workers.scoring import rule_object

REPRODUCIBLE = settings(derandomize=True, deadline=None, database=None, max_examples=50)

# Loads files from a folder by their names, calls their functions, and writes the bits of what they return.
READER = """
import importlib.util, json, sys
from pathlib import Path
import numpy as np
answers = []
for question in json.load(sys.stdin):
    specification = importlib.util.spec_from_file_location("exported", question["file"])
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    signals = {name: np.array(bits, dtype=np.uint64).view(np.float64) for name, bits in question["signals"].items()}
    result = getattr(module, question["function"])(**signals)
    assert result.dtype == np.float64 and result.shape == next(iter(signals.values())).shape
    answers.append(result.view(np.uint64).tolist())
foreign = {"ruleforge", "sympy", "numba", "scipy", "deap"} & {name.partition(".")[0] for name in sys.modules}
assert not foreign, foreign
json.dump(answers, sys.stdout)
"""


def run_bare(folder, rules, inputs):
    """Export each rule and call its functions in a bare process: one list of (n_values,) arrays per rule."""
    questions = []
    for number, (rule, signals) in enumerate(zip(rules, inputs, strict=True)):
        file = folder / f"rule_{number}.py"
        file.write_text(export_rule(rule, "python"), encoding="utf-8")
        for slot in rule.slots:
            bits = {symbol: signals[symbol].view(np.uint64).tolist() for symbol in slot.symbols}
            questions.append({"file": str(file), "function": slot.name, "signals": bits})
    command = [sys.executable, "-I", "-W", "error", "-c", READER]
    done = subprocess.run(
        command, input=json.dumps(questions), cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    answers = iter(json.loads(done.stdout))
    return [[np.array(next(answers), dtype=np.uint64).view(np.float64) for _ in rule.slots] for rule in rules]


@st.composite
def rules_with_inputs(draw, operators):
    family = family_class(draw(st.sampled_from(family_names())))
    trees = [draw(expressions(slot.symbols, operators, max_leaves=30)) for slot in family.slots]
    symbols = list(dict.fromkeys(symbol for slot in family.slots for symbol in slot.symbols))
    return Rule(family.name, family.slots, tuple(trees)), dict(
        zip(symbols, draw(values(len(symbols), 12)), strict=True)
    )


@settings(REPRODUCIBLE, max_examples=8, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(given=st.lists(rules_with_inputs(EXACT), min_size=10, max_size=30))
def test_arithmetic_in_the_python_file_is_ours_bit_for_bit(tmp_path_factory, given):
    rules, inputs = zip(*given, strict=True)
    found = run_bare(tmp_path_factory.mktemp("files"), rules, inputs)
    for rule, signals, results in zip(rules, inputs, found, strict=True):
        for slot, result in zip(rule.slots, results, strict=True):
            ours = rule.to_numpy(slot.name)(**{symbol: signals[symbol] for symbol in slot.symbols})
            assert same_bits(result, ours).all(), rule.text


def test_each_elementary_function_in_the_python_file_is_ours_within_two_units_of_the_last_place(tmp_path):
    generator = np.random.Generator(np.random.PCG64(7))
    texts = (
        "exp(v)",
        "log(v)",
        "tanh(v)",
        "v**u",
        "v**2",
        "v**0.5",
        "v**-1",
        "2**v",
        "(-v)**3",
        "exp(2)*v/v",
        "2**0.5",
    )
    rules = [Rule.parse(text, "supervised") for text in texts]
    special = np.array(np.meshgrid(SPECIAL, SPECIAL)).reshape(2, -1)
    random = np.concatenate([generator.uniform(-8, 8, (2, 800)), np.exp(generator.uniform(-6, 6, (2, 800)))], axis=1)
    v, u = np.concatenate([special, random], axis=1)
    signals = {"v": v.copy(), "u": u.copy(), "s": np.zeros(len(v))}
    for rule, (result,) in zip(rules, run_bare(tmp_path, rules, [signals] * len(rules)), strict=True):
        ours = rule.to_numpy()(**signals)
        regular = np.isfinite(ours)
        assert same_bits(result[~regular], ours[~regular]).all(), rule.text
        distance = np.abs(result[regular] - ours[regular]) / np.spacing(np.abs(ours[regular]))
        assert distance.max(initial=0.0) <= 2.0, rule.text


def test_known_rules_of_every_family_in_their_own_ranges(tmp_path):
    rules = [known.rule for name in family_names() for known in family_class(name).known_rules().values()]
    inputs = [
        {signal.symbol: np.linspace(*signal.range, 50) for slot in rule.slots for signal in slot.signals}
        for rule in rules
    ]
    for rule, signals, results in zip(rules, inputs, run_bare(tmp_path, rules, inputs), strict=True):
        for slot, result in zip(rule.slots, results, strict=True):
            ours = rule.to_numpy(slot.name)(**{symbol: signals[symbol] for symbol in slot.symbols})
            assert same_bits(result, ours).all(), rule.text


def loaded(text):
    """The functions of an exported file."""
    namespace: dict = {}
    exec(compile(text, "exported", "exec"), namespace)  # noqa: S102 - our own text, in a test
    return namespace


def test_functions_broadcast_and_take_what_they_do_not_read(tmp_path):
    dw = loaded(export_rule(Rule.parse("(R - 1)*E", "reward"), "python"))["dw"]
    E = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(dw(R=-1, E=E), -2 * E)
    np.testing.assert_array_equal(dw(R=[[1], [-1]], E=E, R_mean=0.3), [[0, 0, 0], [-6, -8, -10]])
    assert dw(R=1.0, E=2).shape == ()
    with pytest.raises(TypeError, match="E"):
        dw(R=1.0)
    zero = loaded(export_rule(Rule.parse("depress: 0; facilitate: x - 0.15", "correlation"), "python"))
    np.testing.assert_array_equal(zero["depress"](w=np.ones(3), x=1.0), np.zeros(3))


def test_the_python_file_says_what_it_is():
    rule = Rule.parse("(R - 1)*E", "reward")
    text = export_rule(rule, "python", parameters={"learning_rate": 5})
    for part in (
        "rule: (R - 1)*E\n",
        "known as: punishment-gated eligibility\n",
        f"rule id: {rule.id}\n",
        "task: reward, version",
        "eLife 10:e66273",
        "learning_rate = 5.0 pA: ",
        "threshold = -55.0 mV: ",
        "R (dimensionless, -1, 1): reward",
        "E (dimensionless, -20 to 20): ",
        "return (R - 1.0) * E\n",
    ):
        assert part in text
    assert "training fitness" not in text
    assert "real_power" not in text, "no helper that the rule does not need"
    assert max(map(len, text.splitlines())) <= 120


def test_names_that_python_keeps_for_itself(tmp_path):
    signals = tuple(
        Signal(name, "1", 'a "trace" of \\mu """', (0.0, 1.0)) for name in ("lambda", "np", "power", "class")
    )
    slots = (Slot("elementwise", signals, updates="w", when="step"), Slot("if", signals, updates="w", when="step"))
    trees = (("**", "lambda", "np"), ("-", "power", "class"))
    named = type("Named", (family_class("reward"),), {"slots": slots, "literature": ()})
    exported = described(Rule.parse("R", "reward"), None)
    exported = dataclasses.replace(exported, family=named, rule=Rule("made", slots, trees))
    functions = loaded(python_file(exported))
    assert functions["elementwise_"](lambda_=3.0, np_=2.0) == 9.0
    assert functions["if_"](power_=3.0, class_=2.0) == 1.0
    assert 'a "trace" of \\mu """' in functions["if_"].__wrapped__.__doc__


@given(st.lists(rules_with_inputs(tuple(PRIMITIVES)), min_size=1, max_size=1))
@REPRODUCIBLE
def test_text_and_json_rebuild_the_rule(given):
    ((rule, _),) = given
    content = json.loads(export_rule(rule, "json"))
    for again in (Rule.from_tokens(content["tokens"], content["task"]), Rule.parse(content["rule"], content["task"])):
        assert again.id == rule.id == content["id"]
        assert again.text == rule.text
    assert export_rule(rule, "text") == f"{rule.text}\n"
    assert (
        family_class(content["task"])(content["parameters"]).parameters.model_dump(mode="json") == content["parameters"]
    )


@given(st.lists(rules_with_inputs(tuple(PRIMITIVES)), min_size=1, max_size=1))
@REPRODUCIBLE
def test_latex_stands_alone(given):
    ((rule, _),) = given
    lines = export_rule(rule, "latex").splitlines()
    comments, formula = [line for line in lines if line.startswith("%")], [line for line in lines if line[0] != "%"]
    assert lines == comments + formula
    assert (formula[0], formula[-1]) == (r"\[", r"\]")
    body = "\n".join(formula[1:-1])
    assert body == rule.latex
    depth = 0
    for brace in re.findall(r"[{}]", body):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    assert "\n\n" not in body, "an empty line ends a displayed formula"
    assert body.count(r"\begin{aligned}") == body.count(r"\end{aligned}") == (len(rule.slots) > 1)
    assert not re.search(r"[#$%~]", body)


def test_a_rule_with_its_scores():
    rule = Rule.parse("(R - 1)*E", "reward")
    validation = {"aggregate": 210.5, "mean": 210.5, "standard_error": 3.25, "n": 40}
    found = FoundRule(rule, 204.0, validation, "punishment-gated eligibility")
    content = json.loads(export_rule(found, "json"))
    assert (content["fitness"], content["validation_fitness"]) == (204.0, validation)
    text = export_rule(found, "python")
    assert "training fitness: 204\n" in text
    assert "validation fitness: 210.5 on 40 instances, standard error 3.2\n" in text


def test_a_rule_of_a_job_and_of_its_record(store, jobs):
    result = jobs.run(store)
    of_result, of_record = as_result(result).champion, store.rule(result["champion"]["id"])
    first, second = (
        json.loads(export_rule(item, "json", parameters={"n_trials": 20})) for item in (of_result, of_record)
    )
    assert first["id"] == second["id"] == result["champion"]["id"]
    assert first["validation_fitness"] == result["champion"]["validation_fitness"]
    assert second["validation_fitness"] == first["validation_fitness"]
    assert second["outcome"] == "ok"
    assert first["parameters"]["n_trials"] == 20
    assert rule_object(of_record.rule, 0.0, "ok", None)["behaviour"] == first["behaviour"]


def test_mathml_is_well_formed():
    assert ElementTree.fromstring(export_rule(Rule.parse("(R - 1)*E", "reward"), "mathml")).tag.endswith("}math")


def test_formats_differ_in_everything_that_tells_them_apart():
    for what in ("suffix", "media_type", "meaning"):
        assert len({getattr(each, what) for each in FORMATS.values()}) == len(FORMATS)
    assert {"text", "latex", "python", "json"} <= FORMATS.keys()


def test_refusals():
    rule = Rule.parse("R", "reward")
    with pytest.raises(InputError, match=r"unknown format 'pyton': expected one of text, .*Did you mean 'python'\?"):
        export_rule(rule, "pyton")
    with pytest.raises(InputError, match="unknown parameter 'n_trails'"):
        export_rule(rule, "json", parameters={"n_trails": 3})
