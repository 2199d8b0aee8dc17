"""Judged rules as a record keeps them, and fitness that costs nothing."""

from __future__ import annotations

import json

import numpy as np

from ruleforge.family import Outcome
from ruleforge.language import Rule, behaviour
from ruleforge.search import Judged


def recorded(judged):
    """What a record keeps of a judged rule: JSON alone."""
    fitness = judged.fitness if judged.outcome is Outcome.ok else None
    return json.dumps([judged.rule.task, judged.rule.to_tokens(), judged.behaviour, fitness, judged.outcome.value])


def read_back(line):
    task, tokens, identity, fitness, outcome = json.loads(line)
    rule = Rule.from_tokens(tokens, task)
    return Judged(rule, identity, -np.inf if fitness is None else fitness, Outcome(outcome))


def rough(rule):
    """A fitness with ties, failures, and differences between forms of one behaviour."""
    number = int(rule.id[:3], 16)
    return (-np.inf, Outcome.non_finite) if number % 7 == 0 else (float(int(behaviour(rule)[:4], 16) % 9), Outcome.ok)


def smooth(rule):
    return -float(sum(map(len, rule.expressions))) + int(behaviour(rule)[:4], 16) / 65536, Outcome.ok
