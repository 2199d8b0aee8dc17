"""ruleforge and hal-cgp 0.3 searching for the same thing, scored by the same evaluator on the same instances.

    python -m benchmarks.versus run PART --contender hal-cgp|ruleforge --seeds 0:20 --out FILE
    python -m benchmarks.versus report --out FILE [--figure FILE.png]

PART is reward, supervised or correlation; what counts as found is that of `benchmarks.success`. hal-cgp searches in a
process of its own with the published settings (Jordan, Schmidt, Senn & Petrovici, eLife 10:e66273, 2021, parameter
files): its population, genomes, mutation, selection and cache of simplified expressions. Every text that its cache does
not know is read by this project's parser and scored in full; a behaviour is simulated once, as in our own searches.
Every finished search is written at once, and one that is there already is not run again.

evaluations of hal-cgp: texts that its cache did not know and that are rules (what it sends to an evaluator). Beside
them: `calls`, individuals without a fitness, and `behaviours`, different rules by this project's fingerprints.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import re
import statistics
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import success, success_report
from benchmarks.goals import Watch
from benchmarks.machine import description
from benchmarks.peers.others import hal_cgp_search
from benchmarks.tables import number, table
from ruleforge.errors import InputError
from ruleforge.family import Outcome, TaskFamily
from ruleforge.language.identity import behaviour
from ruleforge.language.rule import Rule
from ruleforge.search import Generation, Judged
from ruleforge.spec import job_spec
from workers.evaluators import SerialEvaluator
from workers.evaluators.interface import Evaluator
from workers.scoring import score_rules

# What each search may spend: that of `benchmarks.success`, which is more than a published run took (2000 and 4000
# individuals, repeats included), or seconds on the clock of one core.
BUDGETS: Mapping[str, Mapping[str, Any]] = {
    "reward": success.PARTS["reward"].given["budget"],
    "supervised": success.PARTS["supervised"].given["budget"],
    "correlation": {"seconds": 300.0},
}
# The published settings that hal-cgp has too; `search.method = "jordan2021"` declares them for each family.
SETTINGS = ("population", "offspring", "tournament", "columns", "mutation_rate")
# Texts that are scored together where that costs no more than one: lanes of the reward kernel.
TOGETHER: Mapping[str, int] = {"reward": 16, "supervised": 0, "correlation": 0}
CONTENDERS = {"ruleforge": "ruleforge", "hal-cgp": "hal-cgp 0.3"}
# hal-cgp wants finite numbers.
WORST = -1e9


def part_of(name: str) -> success.Part:
    """A part of `benchmarks.success` with the budget of this comparison."""
    part = success.PARTS[name]
    return dataclasses.replace(part, given={**part.given, "budget": BUDGETS[name]})


def settings_of(name: str, family: TaskFamily, seed: int) -> dict[str, Any]:
    """What the process of hal-cgp is told: the published settings, with the family's operators and constants."""
    published = job_spec({"task": name, "search": {"method": "jordan2021"}}).search.model_dump(include=set(SETTINGS))
    grammar = family.search_defaults
    inputs = [len(slot.default_symbols) for slot in family.slots]
    operators, constants = list(grammar.operators), list(grammar.constants)
    return {
        **published,
        "inputs": inputs,
        "operators": operators,
        "constants": constants,
        "seed": seed,
        "ahead": TOGETHER[name],
    }


def _symbol(symbols: Sequence[str], found: re.Match[str]) -> str:
    return symbols[int(found[1])]


def rule_of(texts: Sequence[str], family: TaskFamily) -> Rule | None:
    """The rule of hal-cgp's texts, one per slot; None if they are none (infinite everywhere, complex, too long)."""
    written = []
    for text, slot in zip(texts, family.slots, strict=True):
        named = re.sub(r"\bx_(\d+)\b", partial(_symbol, slot.default_symbols), text)
        written.append(f"{slot.name}: {named}")
    try:
        return Rule.parse("; ".join(written), type(family))
    except InputError:
        return None


class Judge:
    """Scores what hal-cgp asks for, and counts."""

    def __init__(self, part: success.Part, seed: int, evaluator: Evaluator) -> None:
        self.spec = job_spec(success.specification(part.task, part.given, (), seed))
        self.family = self.spec.family()
        self.evaluations = self.refused = 0
        self.behaviours: set[str] = set()
        self._scores: dict[str, tuple[float, Outcome]] = {}  # by behaviour
        self._ahead: dict[str, tuple[float, Outcome]] = {}  # by rule
        self._evaluator = evaluator
        instances = self.spec.instances
        assert instances.training is not None
        self._keys = self.family.keys("training", instances.training, self.spec.seed, instances.source)

    @property
    def exhausted(self) -> bool:
        """No evaluation is left."""
        limit = self.spec.budget.evaluations
        return limit is not None and self.evaluations >= limit

    def judge(
        self, texts: Sequence[Sequence[str]], ahead: Sequence[Sequence[str]] = ()
    ) -> tuple[list[Judged], list[tuple[Sequence[str], float]]]:
        """The rules among the texts as far as the budget reaches, scored; and a finite fitness for every text.

        ahead: texts that may be asked for later, scored along and kept, but neither counted nor told.
        """
        rules = [rule_of(text, self.family) for text in texts]
        limit = self.spec.budget.evaluations
        left = len(texts) if limit is None else limit - self.evaluations
        chosen = [rule for rule in rules if rule is not None][:left]
        identities = {rule.id: behaviour(rule) for rule in chosen}
        self._score({identities[rule.id]: rule for rule in reversed(chosen)}, ahead)
        self.evaluations += len(chosen)
        self.refused += sum(rule is None for rule in rules)
        self.behaviours.update(identities.values())
        judged = [Judged(rule, identities[rule.id], *self._scores[identities[rule.id]]) for rule in chosen]
        fitness = {item.rule.id: item.fitness for item in judged if item.outcome is Outcome.ok}
        return judged, [
            (text, WORST if rule is None else fitness.get(rule.id, WORST))
            for text, rule in zip(texts, rules, strict=True)
        ]

    def _score(self, wanted: Mapping[str, Rule], ahead: Sequence[Sequence[str]]) -> None:
        """Simulate the behaviours that have not been, and as many rules ahead as fit beside them."""
        new = {rule.id: identity for identity, rule in wanted.items() if identity not in self._scores}
        rules = [rule for rule in wanted.values() if rule.id in new and rule.id not in self._ahead]
        if rules:
            identities = {*self._scores, *new.values()}
            for rule in (rule_of(text, self.family) for text in ahead):
                if len(rules) % self.family.rules_per_batch == 0:
                    break
                if rule is not None and rule.id not in self._ahead and (identity := behaviour(rule)) not in identities:
                    identities.add(identity)
                    rules.append(rule)
            for score in score_rules(self._evaluator, self.family, rules, self._keys):
                self._ahead[score.rule.id] = score.aggregate, score.outcome
        for rule_id, identity in new.items():
            self._scores[identity] = self._ahead[rule_id]


def run_hal_cgp(name: str, part: success.Part, seed: int, evaluator: Evaluator) -> dict[str, Any]:
    """One search of hal-cgp, until every goal is reached or the budget is spent; a row like those of ours."""
    judge = Judge(part, seed, evaluator)
    goals = part.goals()
    watch = Watch(goals)
    limit = judge.spec.budget.seconds
    peer = hal_cgp_search(settings_of(name, judge.family, seed))
    start = time.monotonic()
    told: list[tuple[Sequence[str], float]] = []
    generation = 0
    try:
        while True:
            asked = peer.ask(json.dumps({"fitness": told}, allow_nan=False))
            judged, told = judge.judge(asked["texts"], asked["ahead"])
            counts = {"calls": asked["calls"], "behaviours": len(judge.behaviours)}
            before = set(watch.found)
            summary = Generation(generation, tuple(judged), (), (), None, None, judge.evaluations, "")
            watch.on_generation(summary, time.monotonic() - start)
            for goal in watch.found.keys() - before:
                watch.found[goal] |= counts
            generation += 1
            if watch.done or judge.exhausted or (limit is not None and watch.seconds >= limit):
                break
    finally:
        peer.close()
    champion = watch.champion
    return {
        "seed": seed,
        "spec_hash": judge.spec.hash,
        "found": watch.found,
        "goals": [goal.name for goal in goals],
        "evaluations": judge.evaluations,
        **counts,
        "refused": judge.refused,
        "unsimplified": asked["unsimplified"],
        "generations": asked["generations"],
        "seconds": watch.seconds,
        "champion": champion.rule.text if champion else None,
        "fitness": champion.fitness if champion else None,
    }


def run(name: str, contender: str, seeds: range, results: success.Results) -> None:
    """The seeds of one contender that are not there yet."""
    label, part, machine = CONTENDERS[contender], part_of(name), description()
    evaluator = SerialEvaluator()
    for seed in seeds:
        if results.holds(name, label, seed):
            continue
        if contender == "hal-cgp":
            row = run_hal_cgp(name, part, seed, evaluator)
        else:
            row = success.run_one(part, (), seed, evaluator)
        results.add(row | {"part": name, "label": label, "settings": [], "commit": machine["commit"], "workers": 1})
        found = "; ".join(f"{goal} after {item['evaluations']}" for goal, item in row["found"].items())
        spent = f"{row['evaluations']} evaluations, {row['seconds']:.0f} s"
        print(f"{name}, {label}, seed {seed}: {found or 'nothing found'} ({spent})", flush=True)
    evaluator.close()


def _middle(values: Sequence[float]) -> str:
    return number(statistics.median(values)) if values else "–"


def _whole(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.0f}" if values else "–"


def counts_table(rows: success_report.Rows) -> str:
    """Markdown: what hal-cgp's searches were made of; medians over the seeds."""
    head = ["hal-cgp", "seeds", "individuals to be scored", "of them new texts", "different behaviours"]
    head += ["refused texts", "best fitness", "seconds"]
    lines = []
    for part in dict.fromkeys(row["part"] for row in rows):
        group = [row for row in rows if row["part"] == part and row["label"] == CONTENDERS["hal-cgp"]]
        if not group:
            continue
        columns = [[row[key] for row in group] for key in ("calls", "evaluations", "behaviours", "refused")]
        best = [row["fitness"] for row in group if row["fitness"] is not None and math.isfinite(row["fitness"])]
        lines.append(
            [part, str(len(group)), *map(_whole, columns), _middle(best), _middle([row["seconds"] for row in group])]
        )
    return table(head, lines)


def text(rows: success_report.Rows) -> str:
    """Markdown: success, evaluations to it, tests, and the counts of hal-cgp."""
    order = list(CONTENDERS.values())
    ordered = sorted(rows, key=lambda row: (list(BUDGETS).index(row["part"]), order.index(row["label"]), row["seed"]))
    return f"{success_report.text(ordered)}\n### What hal-cgp scored\n\n{counts_table(ordered)}"


def main(arguments: list[str] | None = None) -> None:
    """Run or report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "report"])
    parser.add_argument("part", nargs="?", choices=list(BUDGETS))
    parser.add_argument("--contender", choices=list(CONTENDERS), default="hal-cgp")
    parser.add_argument("--seeds", default="0:20", help="FIRST:LAST, the last one not included [0:20]")
    parser.add_argument("--out", type=Path, default=Path("versus.json"), help="the file of results [versus.json]")
    parser.add_argument("--figure", type=Path, help="draw the distribution of evaluations to the solution")
    options = parser.parse_args(arguments)
    results = success.Results(options.out)
    if options.command == "report":
        print(text(results.rows))
        if options.figure:
            success_report.draw(results.rows, options.figure)
        return
    if options.part is None:
        parser.error("name a part")
    first, last = (int(end) for end in options.seeds.split(":"))
    run(options.part, options.contender, range(first, last), results)


if __name__ == "__main__":
    main()
