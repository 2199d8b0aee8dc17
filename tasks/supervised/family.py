"""The supervised family: how well does a student neuron follow the potential of a teacher neuron?"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ruleforge.charts import Chart
from ruleforge.cost import Cost
from ruleforge.errors import InputError
from ruleforge.family import (
    InstanceKey,
    Outcome,
    PublishedExperiments,
    Quantity,
    Scores,
    SearchDefaults,
    TaskFamily,
    Trace,
)
from ruleforge.kernel.lanes import LANES, aligned_zeros
from ruleforge.language.rule import Rule
from ruleforge.language.signals import Signal, Slot
from tasks.neuron import JORDAN_2021, propagators
from tasks.supervised.group import GroupCache, side_by_side
from tasks.supervised.instance import SupervisedInstance, instance_from_arrays, potential_of, sampled_instance
from tasks.supervised.kernel import NON_FINITE, REJECTED, RUNNING, simulate
from tasks.supervised.layout import Constants, Experiments, Memory, n_rows
from tasks.supervised.parameters import SupervisedParameters
from tasks.supervised.program import assemble

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Steps that are computed together: long enough for the interpreter, short enough for a rule's blocks to stay in the
# nearest cache.
LONGEST_BLOCK = 20
# Time between two looks at which rules are still running, ms.
CHECK_INTERVAL = 20.0

_OUTCOMES = {RUNNING: Outcome.ok, NON_FINITE: Outcome.non_finite, REJECTED: Outcome.rejected_at_hurdle}
URBANCZIK_2014 = "Urbanczik & Senn, Neuron 81:521 (2014); Widrow & Hoff, IRE WESCON Convention Record 4:96 (1960)"


class Supervised(TaskFamily):
    """A student and a teacher neuron share Poisson inputs; the rule sees the teacher's potential every few ms.

    Equations: exact integration of leaky integrate-and-fire neurons with exponential currents (Rotter & Diesmann 1999);
    I_j ← I_j·e^{−h/τ_I} + (1 − e^{−h/τ_I})·f(v, u, s_j), w_j ← w_j + η·I_j·h in every step. Deterministic.
    """

    name = "supervised"
    version = 1
    title = "Supervised: following the membrane potential of a teacher"
    citation = JORDAN_2021
    fitness_meaning = (
        "minus the root of the summed squared difference between the potentials of student and teacher, in mV; "
        "0 is perfect"
    )
    Parameters = SupervisedParameters
    instances_per_batch = LANES
    rules_per_unit, rules_share_work = 4, True  # the responses s, which take as long as a rule
    slots = (
        Slot(
            "dw",
            (
                Signal(
                    "v", "mV", "the teacher's membrane potential, sampled and held", (-82.0, -62.0), special=(-70.0,)
                ),
                Signal("u", "mV", "the student's membrane potential", (-82.0, -62.0), special=(-70.0,)),
                Signal(
                    "s", "mV/pA", "response of the membrane to this input with unit weight", (0.0, 0.12), special=(0.0,)
                ),
            ),
            "input -> output",
            "step",
        ),
    )
    search_defaults = SearchDefaults(
        operators=("+", "-", "*", "/"),
        constants=(1.0,),
        target=-13.5,
        training=15,
        validation=100,
        test=100,
        # Parameter file of the published runs.
        published_search={"jordan2021": {"columns": 12}},
    )
    chart_kinds = ("potential_start", "potential_end", "error", "weights")
    # The published forms, squares as products: at poles the value of a rule depends on its form.
    literature = (
        ("delta rule (Urbanczik–Senn)", "s*(v - u)", URBANCZIK_2014, -14.74),
        ("Jordan 2021, twice the delta rule", "2*s*(v - u)", JORDAN_2021, -13.44),
        ("Jordan 2021, gain (2u - 1)/v", "s*(v - u)*(2*u - 1)/v", JORDAN_2021, -13.41),
        ("Jordan 2021, gain (v + u)/v", "s*(v + u)*(v*(v - u) - s)/(v*v)", JORDAN_2021, -13.42),
        ("Jordan 2021, gain (u - 1)/v", "v*s*(v - u)*(u - 1)/(v*v - u*s*(u - 1))", JORDAN_2021, -14.25),
        ("Jordan 2021, error without input", "u*(u - v)/(2*(v*s + u*u))", JORDAN_2021, -26.22),
    )

    parameters: SupervisedParameters

    @classmethod
    def published_experiments(cls) -> PublishedExperiments:
        """The experiments of Jordan et al. 2021, from their drawing order."""
        from tasks.published.supervised import EXPERIMENTS

        return EXPERIMENTS

    def build(self, key: InstanceKey) -> SupervisedInstance:
        """The experiment of a key, sampled or published."""
        if key.source == "published":
            from tasks.published.supervised import published_instance

            return published_instance(self.parameters, key)
        if key.source != "sampled":
            raise InputError(f"{self.name} has no instances from {key.source!r}: expected 'sampled' or 'published'")
        return sampled_instance(self.parameters, key.seed_sequence())

    def instance_from_arrays(
        self, spike_times: Sequence[ArrayLike], teacher_weights: ArrayLike, initial_weights: ArrayLike | None = None
    ) -> SupervisedInstance:
        """An experiment from spike times (one array per input, ms) and weights (pA); see the function of that name."""
        return instance_from_arrays(self.parameters, spike_times, teacher_weights, initial_weights)

    def cost(self, complexity: int) -> Cost:
        """Of one rule on sixteen experiments side by side, which take no longer than one."""
        from tasks.supervised.cost import cost

        return cost(self.parameters, complexity, LONGEST_BLOCK)

    def evaluate(
        self, rules: Sequence[Rule], instance: SupervisedInstance, *, give_up_below: float | None = None
    ) -> Scores:
        """Score a batch of rules on one instance."""
        return self.evaluate_many(rules, [instance], give_up_below=give_up_below)[0]

    def evaluate_many(
        self, rules: Sequence[Rule], instances: Sequence[SupervisedInstance], *, give_up_below: float | None = None
    ) -> list[Scores]:
        """Score a batch of rules on several instances: sixteen cost little more than one. The same bits as one by one.

        give_up_below: of sixteen instances a rule is given up on all, when their mean is certain to end below it.
        metrics: weight_error, root-mean-square difference to the teacher's weights at the end, pA (NaN unless ok).
        """
        scores: list[Scores] = []
        for first in range(0, len(instances), LANES):
            group = instances[first : first + LANES]
            fitness, status, weight_error, _, _ = self._simulate(rules, group, give_up_below)
            for lane in range(len(group)):
                outcome = tuple(_OUTCOMES[code] for code in status[lane].tolist())
                scores.append(Scores(fitness[lane], outcome, {"weight_error": weight_error[lane]}))
        return scores

    def hurdle(self, survivors: NDArray[np.float64]) -> float | None:
        """The mean fitness of one group of side-by-side instances under which a rule ends below every survivor.

        No fitness exceeds 0, so that a group that has used up what the worst survivor has in all instances decides.
        """
        n = survivors.shape[1]
        smallest = n % LANES or LANES if n > LANES else n
        worst = survivors.mean(axis=1).min()
        return float(worst * n / smallest)

    def trace(self, rule: Rule, instance: SupervisedInstance) -> Trace:
        """Both potentials, their difference and the weights, recorded once per comparison interval."""
        p = self.parameters
        _, _, _, potential, weights = self._simulate([rule], [instance], None, record=True)
        interval = p.steps(p.comparison_interval)
        teacher = potential_of(p, instance.spike_steps, instance.teacher_weights[instance.spike_inputs])
        teacher = teacher[interval::interval]
        time = np.arange(1, len(potential) + 1, dtype=np.float64) * (interval * p.resolution)
        return {
            "time": Quantity(time, "ms", "time in the experiment"),
            "student": Quantity(potential, "mV", "the student's membrane potential"),
            "teacher": Quantity(teacher, "mV", "the teacher's membrane potential"),
            "error": Quantity(potential - teacher, "mV", "student minus teacher"),
            "weights": Quantity(weights, "pA", "the student's weights, (n_times, n_inputs)"),
            "teacher_weights": Quantity(instance.teacher_weights.copy(), "pA", "the teacher's weights, (n_inputs,)"),
        }

    def charts(self, rule: Rule, traces: Sequence[Trace]) -> Mapping[str, Chart]:
        """Potentials early and late and weights of the first trace, the error over all traces."""
        from tasks.supervised.charts import charts

        return charts(traces)

    def draw(self, rule: Rule, traces: Sequence[Trace], figure: Figure) -> None:
        """Potentials at the start and at the end, the error over time, and the weights against the teacher's."""
        from tasks.supervised.figure import draw

        draw(rule, traces, figure)

    @functools.cached_property
    def _constants(self) -> Constants:
        p = self.parameters
        step = propagators(p)
        delay = p.steps(p.synaptic_delay)
        travel = delay - p.steps(p.weight_reading_delay)
        smoothing = math.exp(-p.resolution / p.plasticity_time_constant)
        return Constants(
            membrane=step.membrane,
            current=step.current,
            coupling=step.coupling,
            rest=p.resting_potential,
            smoothing=smoothing,
            learning=p.learning_rate * p.resolution * (1.0 - smoothing),
            n_inputs=p.n_inputs,
            n_steps=p.n_steps,
            block=math.ceil(travel / math.ceil(travel / LONGEST_BLOCK)),  # all of one length, if they can be
            check=max(1, p.steps(CHECK_INTERVAL)),
            delay=delay,
            travel=travel,
            reading_interval=max(1, p.steps(p.weight_reading_interval)),
            hold_phase=p.steps(p.target_phase),
            hold_interval=p.steps(p.target_interval),
            comparison_start=p.steps(p.comparison_start),
            comparison_interval=p.steps(p.comparison_interval),
        )

    @functools.cached_property
    def _groups(self) -> GroupCache:
        return GroupCache()

    def _experiments(self, instances: Sequence[SupervisedInstance]) -> Experiments:
        def build() -> Experiments:
            for instance in instances:
                self._check(instance)
            return side_by_side(self._constants, instances)

        return self._groups.get(instances, build)

    def _check(self, instance: SupervisedInstance) -> None:
        p, c = self.parameters, self._constants
        expected = (p.n_inputs, p.n_comparisons, (c.n_steps - c.hold_phase) // c.hold_interval + 2)
        came = (instance.initial_weights.size, instance.compared_targets.size, instance.held_targets.size)
        if came != expected:
            raise InputError(
                f"the instance has {came[0]} inputs, {came[1]} comparisons and {came[2]} samples of the teacher, and "
                f"{expected[0]}, {expected[1]} and {expected[2]} are expected: build it with this family's parameters"
            )

    def _simulate(
        self,
        rules: Sequence[Rule],
        instances: Sequence[SupervisedInstance],
        give_up_below: float | None,
        record: bool = False,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        c = self._constants
        n_rules, n_inputs = len(rules), c.n_inputs
        code, workspace = assemble(
            [rule.expressions[0] for rule in rules], self.slots[0].symbols, n_inputs, c.block * LANES
        )
        n_records = c.n_steps // c.comparison_interval if record else 0
        memory = Memory(
            workspace.ravel(),
            states=aligned_zeros((n_rules * n_rows(c) + c.block) * LANES),
            responses=aligned_zeros(n_inputs * 2 * LANES),
            impulses=aligned_zeros(2 * n_inputs * c.block * LANES),
            history=aligned_zeros(n_inputs * c.block * LANES if record else 0),
        )
        fitness, weight_error = np.empty((LANES, n_rules)), np.empty((LANES, n_rules))
        status = np.empty((LANES, n_rules), dtype=np.int64)
        potential, weight_history = np.full(n_records, np.nan), np.full((n_records, n_inputs), np.nan)
        limit = math.inf if give_up_below is None else -give_up_below
        experiments = self._experiments(instances)
        simulate(c, experiments, code, memory, limit, fitness, status, weight_error, potential, weight_history)
        return fitness, status, weight_error, potential, weight_history
