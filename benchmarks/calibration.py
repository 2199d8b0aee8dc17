"""How often verdicts err where nothing is to be found, and how often they see what is there.

`python -m benchmarks.run --only calibration`. The scores are real: of each family, known rules on some hundreds of
instances of the split "library" with a seed of their own. Each draw takes n of them (the family's number of test
instances), with replacement.

Nulls, all true by construction:
- exchanged: on each instance the scores of two rules are swapped with probability ½ (equal in distribution);
- shifted: one rule's scores are moved by a constant, until the statistics of the two are equal over the pool; spread
  and skewness stay different, so that the sign-flip test's symmetry is not given by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleforge.family import TaskFamily, family_class
from ruleforge.language.rule import Rule
from ruleforge.statistics import NO_LEARNING, Statistic, verdicts
from ruleforge.statistics.verdicts import LEVEL
from workers.evaluators.choose import make_evaluator
from workers.scoring import score_rules

# Seeds: of the pool of instances, and of the draws from it.
POOL_SEED, DRAW_SEED = 20260101, 7
FULL: Mapping[str, Any] = {
    "pool": {"reward": 400, "supervised": 1000, "correlation": 300},
    "draws": 1000,
    "power": 100,
    "parameters": {},
}
QUICK: Mapping[str, Any] = {
    "pool": {"reward": 40, "supervised": 40, "correlation": 10},
    "draws": 20,
    "power": 5,
    "parameters": {"reward": {"n_trials": 20}, "correlation": {"duration": 3000.0, "readout": 3000.0}},
}
# Of each family, two rules that learn, neither of which fails everywhere, and where the statistic is no mean one that
# hardly does beside none that does at all: there the low end is nearly the same.
PAIRS = {
    "reward": (("punishment-gated eligibility", "policy gradient with baseline"),),
    "supervised": (("delta rule (Urbanczik–Senn)", "Jordan 2021, gain (2u - 1)/v"),),
    "correlation": (("Jordan 2021, rule 3", "Jordan 2021, rule 5"), ("multiplicative STDP", NO_LEARNING)),
}
# The known rule that README's is compared with.
BEST_OF_REWARD = "punishment-gated eligibility"
README_RULE = "(R + 0.1*R)*(E - 0.1) - E"


def measure(settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each null of each family, and the power of the README's rule."""
    evaluator = make_evaluator()
    try:
        rows = []
        for name in settings.get("families", PAIRS):
            rows += _of_family(evaluator, name, settings)
        return rows
    finally:
        evaluator.close()


def _of_family(evaluator: Any, name: str, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    family = family_class(name)(settings["parameters"].get(name, {}))
    chosen = type(family)
    n = chosen.search_defaults.test
    known = {each: rule.rule for each, rule in chosen.known_rules().items()}
    all_rules = known | {NO_LEARNING: chosen.no_learning()}
    wanted = {each: all_rules[each] for pair in PAIRS[name] for each in pair} | {NO_LEARNING: all_rules[NO_LEARNING]}
    if name == "reward":
        wanted = all_rules | {"README": Rule.parse(README_RULE, chosen)}
    pool = _scored(evaluator, family, wanted, settings["pool"][name])
    generator = np.random.default_rng(DRAW_SEED)
    rows: list[dict[str, Any]] = []
    for pair in PAIRS[name]:
        rows += _nulls(chosen, [pool[each] for each in pair], " and ".join(pair), n, settings["draws"], generator)
    if name == "reward":
        rows.append(_power(pool, known, n, chosen.statistic, settings["power"], generator))
    return rows


def _nulls(
    chosen: type[TaskFamily],
    scores: list[NDArray[np.float64]],
    rules: str,
    n: int,
    draws: int,
    generator: np.random.Generator,
) -> list[dict[str, Any]]:
    """How often each verdict is given of two rules, (n_pool,) float64 each, that are made alike in two ways."""
    # Where a rule left the finite numbers there is nothing to shift: such instances are left out of the pool.
    finite = np.isfinite(scores).all(axis=0)
    first, second = (each[finite] for each in scores)
    statistic, below = chosen.statistic, chosen.failure_below
    levelled = _levelled(second, first, statistic)
    nulls: dict[str, Callable[[NDArray[np.intp]], tuple[NDArray[np.float64], NDArray[np.float64]]]] = {
        "exchanged": lambda drawn: _exchanged(first[drawn], second[drawn], generator),
        "shifted": lambda drawn: (first[drawn], levelled[drawn]),
    }
    rows = []
    for null, draw in nulls.items():
        counts: dict[str, dict[str, int]] = {}
        for _ in range(draws):
            own, other = draw(generator.integers(0, len(first), n))
            # The threshold of failures is no part of what the shift makes equal.
            for row in verdicts(own, {"other": other}, statistic, below if null == "exchanged" else None, generator):
                _count(counts, row["statistic"], _alone(row))
        rows += [
            {
                **{"family": chosen.name, "n": n, "pool": len(first), "setting": f"null, {null}: {rules}"},
                **{"statistic": each, "draws": draws, **count},
            }
            for each, count in counts.items()
        ]
    return rows


def _alone(row: Mapping[str, Any]) -> str:
    """The verdict of a test that stands alone: without the correction."""
    if row["p"] >= LEVEL:
        return "not_distinguishable"
    return "better" if row["difference"] > 0 else "worse"


def _count(counts: dict[str, dict[str, int]], statistic: str, verdict: str) -> None:
    found = counts.setdefault(statistic, {"better": 0, "not_distinguishable": 0, "worse": 0})
    found[verdict] += 1


def _scored(evaluator: Any, family: TaskFamily, rules: Mapping[str, Rule], n: int) -> dict[str, NDArray[np.float64]]:
    keys = family.keys("library", n, POOL_SEED)
    scores = score_rules(evaluator, family, list(rules.values()), keys)
    return {name: score.fitness for name, score in zip(rules, scores, strict=True)}


def _exchanged(
    first: NDArray[np.float64], second: NDArray[np.float64], generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    swapped = generator.integers(0, 2, len(first)) == 1
    return np.where(swapped, first, second), np.where(swapped, second, first)


def _levelled(moved: NDArray[np.float64], towards: NDArray[np.float64], statistic: Statistic) -> NDArray[np.float64]:
    return moved + (statistic.value(towards) - statistic.value(moved))


def _power(
    pool: Mapping[str, NDArray[np.float64]],
    known: Mapping[str, Rule],
    n: int,
    statistic: Statistic,
    draws: int,
    generator: np.random.Generator,
) -> dict[str, Any]:
    """How often the README's rule is called better than the best known one, corrected for all comparisons."""
    counts: dict[str, dict[str, int]] = {}
    best = BEST_OF_REWARD
    for _ in range(draws):
        # Without replacement: a test stream has no instance twice.
        drawn = generator.choice(len(pool[best]), min(n, len(pool[best])), replace=False)
        others = {name: pool[name][drawn] for name in (*known, NO_LEARNING)}
        rows = verdicts(pool["README"][drawn], others, statistic, None, generator)
        _count(counts, statistic.name, next(row["verdict"] for row in rows if row["against"] == best))
    both = np.isfinite(pool["README"]) & np.isfinite(pool[best])
    difference = (pool["README"] - pool[best])[both]
    return {
        "family": "reward",
        "n": n,
        "pool": len(pool[best]),
        "setting": f"{README_RULE} against {best}: difference {np.mean(difference):+.1f}, s.d. of pairs "
        f"{np.std(difference, ddof=1):.1f}, Holm over {len(known) + 1}",
        "statistic": statistic.name,
        "draws": draws,
        **counts[statistic.name],
    }


def markdown(rows: list[dict[str, Any]]) -> list[str]:
    """The table of the results."""
    lines = [
        "Real scores of two known rules; draws of n instances from the pool. Under a true null at most 5 % should say "
        f"better (two-sided tests at 5 %: 2.5 % are expected). Seeds: pool {POOL_SEED}, draws {DRAW_SEED}.",
        "",
        "| family | setting | statistic | pool | n | draws | better | not distinguishable | worse |",
        "|---|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {row['family']} | {row['setting'].replace('*', chr(92) + '*')} | {row['statistic'].replace('_', ' ')} | "
        f"{row['pool']} | {row['n']} | {row['draws']} | {row['better']} | {row['not_distinguishable']} | "
        f"{row['worse']} |"
        for row in rows
    ]
    return lines
