"""The conformance check passes a family that keeps the contract, and names the promise that another breaks."""

from __future__ import annotations

import re

import numpy as np
import pytest
from broken_families import (
    Aggregates,
    Approximate,
    BareTrace,
    Careless,
    CentredKeys,
    CrookedChart,
    Demanding,
    DrawsFiniteOnly,
    DrawsNothing,
    EmptyTrace,
    FewKeys,
    FirstOfTwenty,
    Fit,
    ForgetfulKeys,
    ForgetsAChart,
    HastyTogether,
    HidesInfinity,
    HighHurdle,
    Impatient,
    ImpatientTogether,
    Infectious,
    LeakyKeys,
    Learns,
    Lenient,
    ListedOutcome,
    Marks,
    NoHurdle,
    NoUnit,
    Opaque,
    Protected,
    Raises,
    Ranked,
    SameKeys,
    ScalarMetric,
    SharedMemory,
    ShortSum,
    SinglePrecision,
    Summed,
    Together,
    Unbuildable,
    Unexplained,
    Unsplit,
    X,
    with_signal,
)

from ruleforge import family as families
from ruleforge.conformance import ConformanceError, check_family
from ruleforge.conformance.__main__ import main
from ruleforge.errors import RuleforgeError
from ruleforge.family import (
    SearchDefaults,
    TaskFamily,
)
from ruleforge.language import Signal


def test_a_family_that_keeps_the_contract_passes():
    check_family(Fit)
    check_family(Fit, {"n_points": 3})
    check_family(NoHurdle)
    check_family(Together)


def test_the_error_is_ours_and_an_assertion():
    assert issubclass(ConformanceError, RuleforgeError)
    assert issubclass(ConformanceError, AssertionError)


@pytest.mark.parametrize(
    ("attribute", "value", "sentence"),
    [
        ("name", "", "a family declares its name as a text, and '' came"),
        ("citation", None, "a family declares its citation as a text, and None came"),
        ("version", 0, "declares its version as an integer of 1 or more, and 0 came"),
        ("rules_per_batch", True, "declares its rules_per_batch as an integer of 1 or more, and True came"),
        ("rules_per_unit", 0, "rules_per_unit is an integer of 1 or more, or None, and 0 came"),
        ("rules_share_work", 1, "rules_share_work is True or False, and 1 came"),
        ("Parameters", dict, "Parameters is a subclass of FamilyParameters"),
        ("Parameters", Unexplained, "every parameter has a meaning, and 'n_points' has none"),
        ("Parameters", Demanding, "every parameter has a default, and 'n_points' has none"),
        ("Parameters", Lenient, "parameters are immutable and refuse unknown names"),
        ("slots", (), "a family declares its slots as a tuple of Slot, and () came"),
        ("slots", with_signal(X) * 2, "slots have different names, and dw, dw came"),
        ("slots", with_signal(X, X), "signals of 'dw' differ in symbol"),
        ("slots", with_signal(X, when="sometimes"), "acts at one of trial_end, step, pre_spike, post_spike, and 'some"),
        ("slots", with_signal(X, updates=""), "slot 'dw' says what it updates"),
        ("slots", with_signal(Signal("x", "", "m", (0, 1))), "'x' of slot 'dw' has a unit"),
        ("slots", with_signal(Signal("x", "1", " ", (0, 1))), "'x' of slot 'dw' has a meaning"),
        ("slots", with_signal(Signal("x", "1", "m", (1, 0))), "has a finite range, lowest value first, and (1, 0)"),
        (
            "slots",
            with_signal(Signal("x", "1", "m", (0, 1), values=(0, 2))),
            "discrete values in its range 0 … 1, and 2",
        ),
        (
            "slots",
            with_signal(Signal("x", "1", "m", (0, 1), special=(3,))),
            "special values in or near its range 0 … 1",
        ),
        ("slots", with_signal(Signal("exp", "1", "m", (0, 1))), "'exp' of slot 'dw' can be written in a rule"),
        ("slots", with_signal(Signal("x", "1", "m", (0, 1), default=False)), "offers a signal to a search by default"),
        ("search_defaults", None, "search_defaults are SearchDefaults, and None came"),
        ("search_defaults", SearchDefaults(("+", "%"), (), None, 1, 1), "search_defaults name operators of + - *"),
        ("search_defaults", SearchDefaults(("+",), (), None, 0, 1), "search_defaults.training is an integer of 1"),
        ("search_defaults", SearchDefaults(("+",), (), None, 1, 1, test=-1), "search_defaults.test is an integer of 1"),
        ("statistic", "mean", "statistic is a Statistic of ruleforge.statistics, and 'mean' came"),
        ("failure_below", np.nan, "failure_below is a fitness, a finite float, or None, and nan came"),
        (
            "literature",
            (("line", "2*x", "", None),),
            "a known rule is (name, text, citation, published fitness or None)",
        ),
        ("literature", (("line", "2*y", "me", None),), "the known rule 'line' can be read, and RuleSyntaxError"),
        ("literature", (("line", "2*x", "me", np.inf),), "the published fitness of 'line' is a finite number or None"),
        ("literature", (("line", "x", "me", None),) * 2, "known rules have different names, and line, line came"),
        (
            "literature",
            (("a", "x + x", "me", None), ("b", "2*x", "me", None)),
            "rule 'b' is recognised as itself, and it",
        ),
    ],
)
def test_what_a_family_says_of_itself(attribute, value, sentence):
    broken = type("Broken", (Fit,), {attribute: value})
    with pytest.raises(ConformanceError, match=re.escape(sentence)):
        check_family(broken)


def test_what_is_no_family():
    with pytest.raises(ConformanceError, match="a family is a TaskFamily, and int came"):
        check_family(int)

    class Unfinished(TaskFamily):
        pass

    with pytest.raises(
        ConformanceError, match="methods build, evaluate and trace, and build, evaluate, trace is missing"
    ):
        check_family(Unfinished)


@pytest.mark.parametrize(
    ("broken", "sentence"),
    [
        (SameKeys, "keys of splits, seeds and indices differ, and sampled/training/0/0 is"),
        (ForgetfulKeys, "keys are stable for split 'training' and seed 0, and a second call differs"),
        (CentredKeys, "more instances begin with the same keys"),
        (FewKeys, "keys(split, n, seed) is a list of n InstanceKey for split 'training' and seed 0"),
        (LeakyKeys, "a key carries its split for split 'validation' and seed 0, and sampled/training/1/0 came"),
        (Careless, "build depends on nothing but parameters and key, and a second build of"),
        (Unsplit, "different keys are different problems, and sampled/training/1/0 and sampled/validation/1/0 are the"),
        (Opaque, "an instance is an object of plain arrays, and it holds a function"),
        (Unbuildable, "build makes an instance of each key, and ZeroDivisionError (of all things) came for sampled/"),
        (SinglePrecision, "fitness for '2*x' is float64 of shape (1,), and float32 of (1,) came"),
        (ScalarMetric, "spikes for '2*x' is float64 of shape (1,), and float64 of (1, 2) came"),
        (ListedOutcome, "outcome for '2*x' is a tuple of 1 Outcome"),
        (
            HidesInfinity,
            "fitness is finite where the outcome is ok, and −∞ elsewhere, and 'sqrt(z)' has fitness -inf",
        ),
        (Protected, "a rule that leaves the finite numbers has outcome non_finite, and none of 1/0, -1/0"),
        (Raises, "evaluate never raises because of a rule, and FloatingPointError (overflow) came for"),
        (Ranked, "a rule has the same score to the bit whatever else is in its batch, and '2*x' has fitness"),
        (Infectious, "a rule has the same score to the bit whatever else is in its batch"),
        (FirstOfTwenty, "a rule has the same score to the bit whatever else is in its batch"),
        (Learns, "a rule has the same score to the bit whatever else is in its batch"),
        (Marks, "evaluate leaves an instance as it is, and an instance has changed"),
        (SharedMemory, "a rule has the same score in every thread"),
        (Summed, "evaluate_many gives what evaluate gives, and '2*x' has fitness"),
        (ShortSum, "evaluate_many gives one Scores for each of 4 instances, and 1 came"),
        (Impatient, "give_up_below never stops a rule that ends above it"),
        (ImpatientTogether, "give_up_below never stops a rule that ends above it"),
        (HastyTogether, "give_up_below never stops a rule that ends above it"),
        (HighHurdle, "a rule below the hurdle on every instance ends below every survivor"),
        (Approximate, "give_up_below changes no score but by rejecting a rule"),
        (Aggregates, "aggregate makes one finite float of finite ones"),
        (BareTrace, "'value' of a trace is a Quantity: array, unit, meaning"),
        (NoUnit, "'value' of a trace is a Quantity: array, unit, meaning"),
        (EmptyTrace, "a trace holds quantities by name, and {} came"),
        (ForgetsAChart, "charts gives the charts of chart_kinds, in their order, and [] came for ['curve']"),
        (CrookedChart, "x, y and the band of a series are arrays of one length, and 'value' of 'curve' came"),
        (DrawsNothing, "draw fills the figure that it is given, and the figure is empty"),
        (
            DrawsFiniteOnly,
            "draw draws the traces of any rule, and ValueError (axis limits cannot be NaN) came for '10**308",
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_what_a_family_does(broken, sentence):
    with pytest.raises(ConformanceError, match=re.escape(sentence)):
        check_family(broken)


@pytest.fixture
def installed(monkeypatch):
    """Families under names, as if entry points had brought them."""

    def install(**by_name):
        real = families.family_class
        monkeypatch.setattr("ruleforge.conformance.__main__.family_class", lambda name: by_name.get(name) or real(name))
        monkeypatch.setattr("ruleforge.conformance.__main__.family", lambda name, given: by_name[name](given))

    return install


def test_the_command_line_passes_an_installed_family(capsys):
    assert main(["reward", "--set", "n_trials=5", "--set", "n_inputs=5", "--set", "trial_duration=50"]) == 0
    assert capsys.readouterr().out == "reward keeps the contract of task families\n"


def test_the_command_line_says_which_promise_is_broken(installed, capsys):
    installed(fit=EmptyTrace, other=Fit)
    assert main(["fit"]) == 1
    told = capsys.readouterr().err
    assert told == "fit breaks the contract of task families: a trace holds quantities by name, and {} came\n"
    assert main(["other"]) == 1
    assert "a family's name is that of its entry point, and 'fit' is installed as 'other'" in capsys.readouterr().err


def test_scores_that_differ_between_processes_are_told(installed, capsys, monkeypatch):
    installed(fit=Fit)
    monkeypatch.setattr("ruleforge.conformance.__main__.check_family", lambda *_: None)
    assert main(["fit"]) == 1  # no other process knows this family
    assert "the same to the bit in every process, and another process says" in capsys.readouterr().err


def test_bad_input_of_the_command_line(capsys):
    assert main(["rewad"]) == 2
    assert "Did you mean 'reward'" in capsys.readouterr().err
    assert main(["reward", "--set", "n_trails=5"]) == 2
    assert "Did you mean 'n_trials'" in capsys.readouterr().err
