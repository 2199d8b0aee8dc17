"""Families that keep the contract, and families that each break one promise of it."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ruleforge.charts import Axis, Chart, Series
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


class Together(Fit):
    """Stops a rule on all instances once their aggregate is below the hurdle: that is allowed."""

    margin = 0.0

    def evaluate_many(self, rules, instances, *, give_up_below=None):
        many = super().evaluate_many(rules, instances)
        if give_up_below is None:
            return many
        joined = [self.aggregate(np.array([scores.fitness[row] for scores in many])) for row in range(len(rules))]
        late = np.array(joined) < give_up_below + self.margin
        return [
            changed(
                scores,
                fitness=np.where(late, -np.inf, scores.fitness),
                outcome=tuple(
                    Outcome.rejected_at_hurdle if slow else given
                    for slow, given in zip(late, scores.outcome, strict=True)
                ),
                metrics={name: np.where(late, np.nan, values) for name, values in scores.metrics.items()},
            )
            for scores in many
        ]


class HastyTogether(Together):
    margin = 0.5


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


class ForgetsAChart(Fit):
    chart_kinds = ("curve",)


class CrookedChart(Fit):
    chart_kinds = ("curve",)

    def charts(self, rule, traces):
        line = Series("value", np.zeros(3), np.zeros(4))
        return {"curve": Chart("curve", Axis("x", "1"), Axis("y", "1"), (line,))}


class DrawsNothing(Fit):
    def draw(self, rule, traces, figure):
        pass


class DrawsFiniteOnly(Fit):
    def draw(self, rule, traces, figure):
        super().draw(rule, traces, figure)
        if not np.isfinite(traces[0]["value"].values).all():
            raise ValueError("axis limits cannot be NaN")
