"""The conformance check passes a family that keeps the contract, and names the promise that another breaks."""

from __future__ import annotations

import itertools
import re
import threading
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from ruleforge import family as families
from ruleforge.conformance import ConformanceError, check_family
from ruleforge.conformance.__main__ import main
from ruleforge.errors import RuleforgeError
from ruleforge.family import (
    SPLITS,
    FamilyParameters,
    InstanceKey,
    Outcome,
    Quantity,
    Scores,
    SearchDefaults,
    TaskFamily,
    parameter,
)
from ruleforge.kernel.interpreter import run_program
from ruleforge.kernel.program import compile_programs
from ruleforge.language import Signal, Slot


class Parameters(FamilyParameters):
    n_points: int = parameter(7, unit="1", meaning="points of the curve", source="made up", ge=1)


@dataclass
class Curve:
    x: np.ndarray
    wanted: np.ndarray


X = Signal("x", "1", "abscissa", (-1.0, 1.0), special=(0.0,))
Z = Signal("z", "1", "its sign", (-1.0, 1.0), values=(-1.0, 1.0))


class Fit(TaskFamily):
    """How near a rule comes to a curve: a family that keeps the contract."""

    name: ClassVar = "fit"
    version: ClassVar = 1
    title: ClassVar = "fitting a curve"
    citation: ClassVar = "nobody"
    fitness_meaning: ClassVar = "minus the largest distance"
    Parameters: ClassVar = Parameters
    slots: ClassVar = (Slot("dw", (X, Z), updates="nothing", when="step"),)
    search_defaults: ClassVar = SearchDefaults(("+", "*"), (1.0,), None, training=2, validation=2)
    literature: ClassVar = (("line", "2*x", "nobody", -1.0), ("modulus", "x*z", "nobody", None))

    def build(self, key):
        random = np.random.Generator(np.random.PCG64(key.seed_sequence()))
        x = random.uniform(-1, 1, self.parameters.n_points)
        return Curve(x, random.normal(size=3) @ np.stack([x, x**2, x**3]))

    def curve(self, rule, instance):
        programs = compile_programs([rule.expressions[0]], self.slots[0].symbols)
        return run_program(programs, 0, np.stack([instance.x, np.sign(instance.x)]))

    def evaluate(self, rules, instance, *, give_up_below=None):
        with np.errstate(all="ignore"):
            error = np.array([np.abs(self.curve(rule, instance) - instance.wanted).max() for rule in rules])
        ok = np.isfinite(error)
        outcome = [Outcome.ok if fine else Outcome.non_finite for fine in ok]
        fitness = np.where(ok, -error, -np.inf)
        if give_up_below is not None:
            late = ok & (fitness < give_up_below)
            outcome = [Outcome.rejected_at_hurdle if slow else given for slow, given in zip(late, outcome, strict=True)]
            fitness = np.where(late, -np.inf, fitness)
        return Scores(fitness, tuple(outcome), {"error": np.where(fitness > -np.inf, error, np.nan)})

    def trace(self, rule, instance):
        return {"value": Quantity(self.curve(rule, instance), "1", "value of the rule")}

    def draw(self, rule, traces, figure):
        axes = figure.subplots()
        for trace in traces:
            axes.plot(np.nan_to_num(trace["value"].values))


def changed(scores, **changes):
    return Scores(**{"fitness": scores.fitness, "outcome": scores.outcome, "metrics": scores.metrics, **changes})


def with_signal(*signals, name="dw", when="step", updates="nothing"):
    return (Slot(name, signals, updates=updates, when=when),)


class Unexplained(FamilyParameters):
    n_points: int = 7


class Demanding(FamilyParameters):
    n_points: int = parameter(..., unit="1", meaning="points", source="made up")


class Lenient(Parameters):
    model_config: ClassVar = {"extra": "ignore"}


def test_a_family_that_keeps_the_contract_passes():
    check_family(Fit)
    check_family(Fit, {"n_points": 3})
    check_family(NoHurdle)


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


class SameKeys(Fit):
    def keys(self, split, n, seed, source="sampled"):
        return [InstanceKey(source, split, seed, 0)] * n


class ForgetfulKeys(Fit):
    counter = itertools.count()

    def keys(self, split, n, seed, source="sampled"):
        return super().keys(split, n, seed + next(self.counter), source)


class CentredKeys(Fit):
    """A longer list numbers its keys differently."""

    def keys(self, split, n, seed, source="sampled"):
        return [InstanceKey(source, split, seed, 100 * n + index) for index in range(n)]


class FewKeys(Fit):
    def keys(self, split, n, seed, source="sampled"):
        return super().keys(split, min(n, 2), seed, source)


class LeakyKeys(Fit):
    def keys(self, split, n, seed, source="sampled"):
        return super().keys("training", n, 1000 * seed + SPLITS.index(split), source)


class Careless(Fit):
    """Draws from a generator that goes on from instance to instance."""

    def __init__(self, parameters=None):
        super().__init__(parameters)
        self.generator = np.random.default_rng(0)

    def build(self, key):
        curve = super().build(key)
        curve.wanted += self.generator.normal()
        return curve


class Unsplit(Fit):
    def build(self, key):
        return super().build(InstanceKey(key.source, "training", key.seed, key.index))


class Opaque(Fit):
    def build(self, key):
        return lambda: key


class Unbuildable(Fit):
    def build(self, key):
        raise ZeroDivisionError("of all things")


class SinglePrecision(Fit):
    def evaluate(self, rules, instance, *, give_up_below=None):
        scores = super().evaluate(rules, instance, give_up_below=give_up_below)
        return changed(scores, fitness=scores.fitness.astype(np.float32))


class ScalarMetric(Fit):
    def evaluate(self, rules, instance, *, give_up_below=None):
        scores = super().evaluate(rules, instance, give_up_below=give_up_below)
        return changed(scores, metrics={"error": np.zeros(1), "spikes": np.zeros((len(rules), 2))})


class ListedOutcome(Fit):
    def evaluate(self, rules, instance, *, give_up_below=None):
        scores = super().evaluate(rules, instance, give_up_below=give_up_below)
        return changed(scores, outcome=list(scores.outcome))


class HidesInfinity(Fit):
    def evaluate(self, rules, instance, *, give_up_below=None):
        scores = super().evaluate(rules, instance, give_up_below=give_up_below)
        return changed(scores, outcome=(Outcome.ok,) * len(rules))


class Protected(Fit):
    """Replaces what is not finite by zero."""

    def curve(self, rule, instance):
        return np.nan_to_num(super().curve(rule, instance), posinf=0.0, neginf=0.0)


class Raises(Fit):
    def curve(self, rule, instance):
        values = super().curve(rule, instance)
        if not np.isfinite(values).all():
            raise FloatingPointError("overflow")
        return values


class Ranked(Fit):
    """Fitness relative to the best of the batch."""

    def evaluate(self, rules, instance, *, give_up_below=None):
        scores = super().evaluate(rules, instance)
        return changed(scores, fitness=scores.fitness - scores.fitness.max() if len(rules) > 1 else scores.fitness)


class Infectious(Fit):
    """One rule that is not finite changes those after it."""

    def evaluate(self, rules, instance, *, give_up_below=None):
        scores = super().evaluate(rules, instance)
        ill = np.cumsum([outcome is not Outcome.ok for outcome in scores.outcome]) > 0
        return changed(scores, fitness=np.where(ill, scores.fitness + 1e-12, scores.fitness))


class FirstOfTwenty(Fit):
    """Counts wrongly where a batch is longer than a kernel's lanes."""

    def evaluate(self, rules, instance, *, give_up_below=None):
        scores = super().evaluate(rules, instance)
        return changed(scores, fitness=scores.fitness * np.where(np.arange(len(rules)) > 25, 1 + 1e-15, 1.0))


class Learns(Fit):
    """Goes on where the last call stopped."""

    def evaluate(self, rules, instance, *, give_up_below=None):
        scores = super().evaluate(rules, instance)
        instance.wanted *= 1.001
        return scores


class Marks(Fit):
    """Scores alike but leaves a mark in the instance."""

    def evaluate(self, rules, instance, *, give_up_below=None):
        instance.seen = True
        instance.x[0] = np.nextafter(instance.x[0], 2.0)
        instance.wanted[0] += 0.0
        return Scores(np.full(len(rules), -np.inf), (Outcome.non_finite,) * len(rules))


class SharedMemory(Fit):
    """Two threads write into one buffer."""

    def evaluate(self, rules, instance, *, give_up_below=None):
        self.buffer = super().evaluate(rules, instance)
        self.owner = threading.get_ident()
        time.sleep(0.001)
        mine = self.owner == threading.get_ident()
        return self.buffer if mine else changed(self.buffer, fitness=self.buffer.fitness * 0.5)


class Summed(Fit):
    def evaluate_many(self, rules, instances, *, give_up_below=None):
        together = super().evaluate_many(rules, instances)
        return [together[0]] * len(instances)


class ShortSum(Fit):
    def evaluate_many(self, rules, instances, *, give_up_below=None):
        return super().evaluate_many(rules, instances[:1])


class Impatient(Fit):
    def evaluate(self, rules, instance, *, give_up_below=None):
        above = None if give_up_below is None else give_up_below + 0.1
        return super().evaluate(rules, instance, give_up_below=above)


class Approximate(Fit):
    """Does not compute to the end what lies below the hurdle, and says that it did."""

    def evaluate(self, rules, instance, *, give_up_below=None):
        scores = super().evaluate(rules, instance)
        if give_up_below is None:
            return scores
        low = np.isfinite(scores.fitness) & (scores.fitness < give_up_below)
        return changed(scores, fitness=np.where(low, scores.fitness - 1.0, scores.fitness))


class ImpatientTogether(Fit):
    def evaluate_many(self, rules, instances, *, give_up_below=None):
        above = None if give_up_below is None else give_up_below + 0.1
        return super().evaluate_many(rules, instances, give_up_below=above)


class HighHurdle(Fit):
    def hurdle(self, survivors):
        return float(survivors.max())


class NoHurdle(Fit):
    def hurdle(self, survivors):
        return None


class Aggregates(Fit):
    def aggregate(self, fitness):
        return fitness


class BareTrace(Fit):
    def trace(self, rule, instance):
        return {"value": self.curve(rule, instance)}


class NoUnit(Fit):
    def trace(self, rule, instance):
        return {"value": Quantity(self.curve(rule, instance), "", "value")}


class EmptyTrace(Fit):
    def trace(self, rule, instance):
        return {}


class DrawsNothing(Fit):
    def draw(self, rule, traces, figure):
        pass


class DrawsFiniteOnly(Fit):
    def draw(self, rule, traces, figure):
        super().draw(rule, traces, figure)
        if not np.isfinite(traces[0]["value"].values).all():
            raise ValueError("axis limits cannot be NaN")


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
        (HighHurdle, "a rule below the hurdle on every instance ends below every survivor"),
        (Approximate, "give_up_below changes no score but by rejecting a rule"),
        (Aggregates, "aggregate makes one finite float of finite ones"),
        (BareTrace, "'value' of a trace is a Quantity: array, unit, meaning"),
        (NoUnit, "'value' of a trace is a Quantity: array, unit, meaning"),
        (EmptyTrace, "a trace holds quantities by name, and {} came"),
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
