"""Searches on the toy families, with fitness that costs nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ruleforge.family import Outcome
from ruleforge.language import Rule
from ruleforge.language.identity import outputs
from ruleforge.search import make_search
from ruleforge.spec import job_spec

SMALL = {"population": 8, "offspring": 12, "tournament": 2}
TARGETS = {"toy": "(R - 1)*E", "twin": "depress: -w + x/w; facilitate: (w*x)**w - 1"}


class Bench:
    """Runs searches: `new` makes one, `step` takes it through a generation, `score` is a rule's fitness."""

    # What may come back from scoring, of which only the last one counts.
    wild = (
        (math.nan, Outcome.ok),
        (math.inf, Outcome.ok),
        (5.0, Outcome.timed_out),
        (7.0, Outcome.non_finite),
        (9.0, Outcome.rejected_at_hurdle),
        (-math.inf, Outcome.non_finite),
        (0.5, Outcome.ok),
    )

    def new(self, task="toy", seed=1, search=None, grammar=None, **given):
        chosen = {"method": "mu_plus_lambda"} | SMALL | (search or {})
        if chosen["method"] == "lexicase":  # which holds no tournaments
            del chosen["tournament"]
        settings = {"task": task, "seed": seed, "search": chosen, "grammar": grammar or {}, **given}
        return make_search(job_spec(settings))

    def score(self, rule):
        """Minus the distance from a target rule on the probe inputs; non-finite where the rule is."""
        target = Rule.parse(TARGETS[rule.task], rule.task)
        distance = 0.0
        for slot, ours, theirs in zip(rule.slots, rule.expressions, target.expressions, strict=True):
            a, b = outputs(ours, slot)[:48], outputs(theirs, slot)[:48]  # the random probes, away from poles
            if not (np.isfinite(a).all() and np.isfinite(b).all()):
                return -np.inf, Outcome.non_finite
            distance += float(np.abs(np.clip(a - b, -1e6, 1e6)).mean())
        return -round(distance, 6), Outcome.ok

    def step(self, search, score=None, at_most=None):
        asked = search.ask(at_most)
        scores = [(score or self.score)(candidate.rule) for candidate in asked]
        return search.tell(scores, [self.cases(c.rule, s[0]) for c, s in zip(asked, scores, strict=True)])

    def cases(self, rule, fitness):
        """Four instances, on which rules differ more than on the whole."""
        return [fitness + (int(rule.id[place : place + 2], 16) % 5 - 2) for place in range(4)]

    def run(self, search, n_generations, score=None, at_most=None):
        return [self.step(search, score, at_most) for _ in range(n_generations)]


@pytest.fixture
def bench(toy_tasks):
    return Bench()
