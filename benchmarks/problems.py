"""What is measured: per family a problem, the rules that are run on it, and the same problem for every contender."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruleforge.family import Outcome, TaskFamily, family
from ruleforge.language.rule import Rule
from ruleforge.search import make_search
from ruleforge.spec import job_spec
from tasks.correlation import Correlation
from tasks.reward import Reward
from tasks.supervised import Supervised

# Sixteen rules that stay finite, over + − × ÷, of 3 to 11 nodes: a full set of lanes.
REWARD_RULES = (
    "(R - 1)*E",
    "R*E",
    "(R - 1)*E/(1 + 1)",
    "E*(R - 1)/(R*R)",
    "R - 1/(1 + 1) + E/(2*R)",
    "R - 1 + E/R",
    "R*(2*E - R)",
    "E*R - E",
    "(R - 0.5)*E",
    "(R - 1)*E - 0.1",
    "0.1*E*(R - 1)",
    "R*E - 0.1*E",
    "2*R*E - E - R",
    "(R - 1)*(E + 1)",
    "(R - 1)*(E - 0.1)/(R + 10)",
    "E/R",
)
REWARD_RULES_ELEMENTARY = (
    "(R - 1)*tanh(E)",
    "(R - 1)*E*exp(-E*E/100)",
    "(R - 1)*log(1 + E*E)",
    "R*E*(1 + E*E)**(-0.5)",
)
SUPERVISED_RULES = {
    "5 nodes": "s*(v - u)",
    # Near 2·s·(v − u), so that it stays finite; every operation is needed.
    "11 nodes": "(v - u)*s*2 + s*(v - u)/10",
    "with exp": "s*(v - u)*exp(s)",
    "with log": "s*(v - u)*log(3 + s)",
    "with pow": "s*(v - u)*(1 + s)**0.5",
}
CORRELATION_RULES = (
    "depress: w*x - w - x; facilitate: x - w",
    "depress: -40*w + 20*x; facilitate: -w/(w - 1.5)",
    "depress: 1.05*x; facilitate: x",
    "depress: w*x; facilitate: (1 - w)*x",
)
CORRELATION_RULE = "depress: 1.05*x; facilitate: x"  # NEST's stdp_synapse with μ = 0 and α = 1.05
CORRELATION_RULES_ELEMENTARY = ("depress: w*x*(w + x)**(-w - x) - w - x; facilitate: x - w",)


@dataclass(frozen=True)
class Problem:
    """A family bound to its parameters, instances of it, and rules; one measurement runs every rule on every instance.

    unit: what the time is divided by, in words, and n_units: how often it occurs in one measurement.
    """

    name: str
    family: TaskFamily
    instances: Sequence[Any]
    rules: Sequence[Rule]
    unit: str
    n_units: int

    def with_rules(self, texts: Sequence[str]) -> Problem:
        """The same problem with other rules."""
        n_units = self.n_units // len(self.rules) * len(texts)
        return Problem(self.name, self.family, self.instances, parsed(self.family, texts), self.unit, n_units)

    def measure(self) -> None:
        """Run every rule on every instance, in this thread."""
        self.family.evaluate_many(self.rules, self.instances)


def parsed(bound: TaskFamily, texts: Sequence[str]) -> list[Rule]:
    """Rules from their texts."""
    return [Rule.parse(text, type(bound)) for text in texts]


def rules_of_a_search(task: str, n: int, seed: int = 1) -> list[str]:
    """The first n candidates of a search at default settings that stay finite on one short instance."""
    spec = job_spec({"task": task, "seed": seed, "search": {"population": 4 * n, "offspring": 4 * n}})
    bound = spec.family()
    candidates = [candidate.rule for candidate in make_search(spec).ask()]
    scores = bound.evaluate(candidates, _instances(bound, 1)[0])
    pairs = zip(candidates, scores.outcome, strict=True)
    return [rule.text for rule, outcome in pairs if outcome is Outcome.ok][:n]


def _instances(bound: TaskFamily, n: int) -> list[Any]:
    return [bound.build(key) for key in bound.keys("training", n, seed=0)]


def reward(parameters: Mapping[str, Any], texts: Sequence[str] = REWARD_RULES) -> Problem:
    """One experiment; unit: one trial of one rule."""
    bound = family("reward", parameters)
    assert isinstance(bound, Reward)
    rules = parsed(bound, texts)
    n_units = bound.parameters.n_trials * len(rules)
    return Problem("reward", bound, _instances(bound, 1), rules, "trial", n_units)


def supervised(parameters: Mapping[str, Any], texts: Sequence[str], n_instances: int = 16) -> Problem:
    """Experiments side by side; unit: one experiment of one rule."""
    bound = family("supervised", parameters)
    assert isinstance(bound, Supervised)
    rules = parsed(bound, texts)
    return Problem("supervised", bound, _instances(bound, n_instances), rules, "experiment", n_instances * len(rules))


def correlation(parameters: Mapping[str, Any], texts: Sequence[str] = CORRELATION_RULES) -> Problem:
    """One experiment; unit: one experiment of one rule."""
    bound = family("correlation", parameters)
    assert isinstance(bound, Correlation)
    rules = parsed(bound, texts)
    return Problem("correlation", bound, _instances(bound, 1), rules, "experiment", len(rules))
