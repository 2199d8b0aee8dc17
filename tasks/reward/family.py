"""The reward family: slots, signals, known rules, and scoring through the compiled kernel."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

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
from ruleforge.kernel.interpreter import fill_constants
from ruleforge.kernel.lanes import LANES
from ruleforge.kernel.program import compile_programs
from ruleforge.language.rule import Rule
from ruleforge.language.signals import Signal, Slot
from tasks.neuron import JORDAN_2021, propagators
from tasks.reward import kernel
from tasks.reward.instance import RewardInstance, from_arrays, sample
from tasks.reward.parameters import RewardParameters

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Most rules that leave the finite numbers do so at once: these few trials weed them out before batches are filled.
SCREENING_TRIALS = 3


class Reward(TaskFamily):
    """Learning from a delayed reward: a neuron tells frozen spike patterns apart by spiking or not."""

    name = "reward"
    version = 1
    title = "Learning from a delayed reward"
    citation = JORDAN_2021
    fitness_meaning = (
        "sum of R = ±1 over the 500 trials, mean over experiments (−500 … 500); higher is better, chance 0"
    )
    Parameters = RewardParameters
    slots = (
        Slot(
            "dw",
            (
                Signal(
                    "R",
                    "1",
                    "reward: 1 if the neuron decided as the label says, else −1",
                    (-1.0, 1.0),
                    "R",
                    values=(-1.0, 1.0),
                ),
                Signal(
                    "E", "1", "eligibility of the synapse at the end of the trial", (-20.0, 20.0), "E", special=(0.0,)
                ),
                Signal(
                    "R_mean",
                    "1",
                    "running mean of R before this trial",
                    (-1.0, 1.0),
                    r"\bar R",
                    special=(0.0,),
                    default=False,
                ),
                Signal(
                    "R_mean_positive",
                    "1",
                    "running mean of max(R, 0)",
                    (0.0, 1.0),
                    r"\bar R^+",
                    special=(0.0,),
                    default=False,
                ),
                Signal(
                    "R_mean_negative",
                    "1",
                    "running mean of min(R, 0)",
                    (-1.0, 0.0),
                    r"\bar R^-",
                    special=(0.0,),
                    default=False,
                ),
            ),
            updates="w → w + η·f, every connected synapse",
            when="trial_end",
        ),
    )
    search_defaults: ClassVar = SearchDefaults(
        ("+", "-", "*", "/"), (0.1, 1.0, 10.0), target=None, training=10, validation=40, test=100, library=60
    )
    chart_kinds = ("learning_curve", "weight_change", "weights")
    literature = (
        ("punishment-gated eligibility", "(R - 1)*E", f"{JORDAN_2021}, the rule found by evolution", 210.2),
        (
            "policy gradient",
            "R*E",
            "Williams, Machine Learning 8:229 (1992); Xie & Seung, Phys. Rev. E 69:041909 (2004)",
            None,
        ),
        (
            "policy gradient with baseline",
            "(R - R_mean)*E",
            "Williams 1992; Frémaux, Sprekeler & Gerstner, J. Neurosci. 30:13326 (2010)",
            None,
        ),
        ("Jordan 2021, stuck run A", "R - 1/(1 + 1) + E/(2*R)", JORDAN_2021, 88.6),
        ("Jordan 2021, stuck run B", "R - 1 + E/R", JORDAN_2021, 78.8),
        ("Jordan 2021, stuck run C", "R*(2*E - R)", JORDAN_2021, 70.6),
    )

    @classmethod
    def published_experiments(cls) -> PublishedExperiments:
        """The figures of Jordan et al. 2021, on experiments of our own."""
        from tasks.published.reward import EXPERIMENTS

        return EXPERIMENTS

    def build(self, key: InstanceKey) -> RewardInstance:
        """The experiment of a key."""
        if key.source != "sampled":
            raise InputError(f"{self.name} has no instances from {key.source!r}: expected 'sampled'")
        return sample(self.parameters, key)

    def instance_from_arrays(
        self,
        *,
        patterns: Sequence[Sequence[ArrayLike]],
        labels: ArrayLike,
        order: ArrayLike,
        initial_weights: ArrayLike,
        noise_seed: int = 0,
    ) -> RewardInstance:
        """An experiment from plain arrays, see `tasks.reward.instance.from_arrays`."""
        return from_arrays(
            self.parameters,
            patterns=patterns,
            labels=labels,
            order=order,
            initial_weights=initial_weights,
            noise_seed=noise_seed,
        )

    def cost(self, complexity: int) -> Cost:
        """Of sixteen rules side by side, which take no longer than one, each firing as often as it can."""
        from tasks.reward.cost import cost

        return cost(self.parameters, complexity)

    def evaluate(
        self, rules: Sequence[Rule], instance: RewardInstance, *, give_up_below: float | None = None
    ) -> Scores:
        """Score rules on one experiment: fitness = Σ R; metrics: accuracy, output spikes per trial."""
        n_trials = len(instance.order)
        fitness = np.full(len(rules), -np.inf)
        spikes = np.zeros(len(rules))
        outcomes = [Outcome.non_finite] * len(rules)
        alive = []
        screening = min(SCREENING_TRIALS, n_trials)
        for chunk in _chunks(range(len(rules))):
            _, _, outcome = self._run([rules[i] for i in chunk], instance, screening)
            alive += [i for i, code in zip(chunk, outcome, strict=True) if code == kernel.ALIVE]
        for chunk in _chunks(alive):
            rewards, counts, outcome = self._run([rules[i] for i in chunk], instance, n_trials)
            for lane, i in enumerate(chunk):
                if outcome[lane] == kernel.ALIVE:
                    fitness[i] = rewards[:, lane].sum()
                    spikes[i] = counts[lane] / n_trials
                    outcomes[i] = Outcome.ok
        ok = np.isfinite(fitness)
        accuracy = np.where(ok, 0.5 + 0.5 * np.where(ok, fitness, 0.0) / n_trials, np.nan)
        return Scores(
            fitness, tuple(outcomes), {"accuracy": accuracy, "spikes_per_trial": np.where(ok, spikes, np.nan)}
        )

    def trace(self, rule: Rule, instance: RewardInstance) -> Trace:
        """Rewards, weights before and eligibilities at the end of every trial."""
        n_trials, n_inputs = len(instance.order), len(instance.initial_weights)
        recorded = np.full((n_trials, n_inputs), np.nan), np.full((n_trials, n_inputs), np.nan)
        rewards, _, _ = self._run([rule], instance, n_trials, recorded)
        return {
            "reward": Quantity(rewards[:, 0], "1", "R of each trial"),
            "weight": Quantity(recorded[0], "pA", "weights before the update of each trial, by input"),
            "eligibility": Quantity(recorded[1], "1", "eligibility at the end of each trial, by input"),
        }

    def charts(self, rule: Rule, traces: Sequence[Trace]) -> Mapping[str, Chart]:
        """Learning curve over all traces, Δw against E, weights of the first trace."""
        from tasks.reward.charts import charts

        return charts(self.parameters, rule, traces)

    def draw(self, rule: Rule, traces: Sequence[Trace], figure: Figure) -> None:
        """Learning curve, Δw against E for both rewards, weights."""
        from tasks.reward.figure import draw

        draw(self.parameters, rule, traces, figure)

    @functools.cached_property
    def _constants(self) -> dict[str, NDArray[np.float64]]:
        p = self.parameters
        h, step = p.resolution, propagators(p)
        n_steps = p.steps(p.trial_duration)
        constants = np.zeros(kernel.N_CONSTANTS)
        constants[kernel.MEMBRANE] = step.membrane
        constants[kernel.SYNAPTIC] = step.current
        constants[kernel.COUPLING] = step.coupling
        constants[kernel.AMPLITUDE] = step.amplitude
        constants[kernel.THRESHOLD] = p.threshold - p.resting_potential
        constants[kernel.INVERSE_SCALE] = 1.0 / p.eligibility_scale
        constants[kernel.SCALE_RATIO] = p.eligibility_scale / p.escape_scale
        constants[kernel.HAZARD_SCALE] = p.escape_rate * h * 1e-3
        constants[kernel.COMPENSATION] = p.eligibility_gain * p.eligibility_rate * h
        constants[kernel.GAIN] = p.eligibility_gain
        constants[kernel.REFRACTORY_STEPS] = p.steps(p.refractory_period)
        constants[kernel.LEARNING_RATE] = p.learning_rate
        constants[kernel.AVERAGING] = p.averaging
        steps = np.arange(n_steps + 1, dtype=np.float64)
        growth = np.exp(steps * h / p.eligibility_time_constant)
        return {
            "constants": constants,
            "membrane_powers": step.membrane**steps,
            "synaptic_powers": step.current**steps,
            "slow_factors": step.membrane**steps * growth,
            "fast_factors": step.current**steps * growth,
            "discounts": np.exp(-(n_steps - steps) * h / p.eligibility_time_constant),
        }

    def _run(
        self,
        rules: Sequence[Rule],
        instance: RewardInstance,
        n_trials: int,
        recorded: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        """Up to LANES rules for n_trials: rewards (n_trials, LANES), output spikes (LANES,), outcome (n_rules,)."""
        slot = self.slots[0]
        programs = compile_programs([rule.expressions[0] for rule in rules], slot.symbols)
        n_inputs = len(instance.initial_weights)
        weights = np.zeros((n_inputs, LANES))
        weights[:, : len(rules)] = instance.initial_weights[:, None]
        rewards = np.zeros((n_trials, LANES))
        counts = np.zeros(LANES, dtype=np.int64)
        outcome = np.zeros(LANES, dtype=np.int64)
        none = np.zeros((0, n_inputs))
        ratio = self._constants["constants"][kernel.SCALE_RATIO]
        published = abs(ratio - kernel.PUBLISHED_SCALE_RATIO) < 1e-12 * ratio
        kernel.run_trials(
            published, n_trials, instance.order, instance.labels, instance.offsets, instance.arrival_steps,
            instance.arrival_inputs, instance.noise_seeds, *self._constants.values(),
            programs.instructions, programs.lengths, programs.results, fill_constants(programs, n_inputs), len(rules),
            weights.ravel(), rewards, counts, *(recorded or (none, none)), outcome,
        )  # fmt: skip
        return rewards, counts, outcome[: len(rules)]


def _chunks(indices: Any) -> list[list[int]]:
    """Whole batches of LANES, the last one shorter."""
    listed = list(indices)
    return [listed[i : i + LANES] for i in range(0, len(listed), LANES)]
