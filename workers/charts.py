"""What there is to show of a rule: traces on unseen instances, and the charts of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ruleforge.charts import Axis, Chart, Series
from ruleforge.checked import whole_number
from ruleforge.cost import check_cost
from ruleforge.family import InstanceKey, TaskFamily, Trace
from ruleforge.kernel.compilation import compilation
from ruleforge.language.rule import Rule
from workers.validation import VALIDATION_SEED

EXPERIMENTS = 10
COLUMNS = 50  # of a recorded matrix that a family shows no chart of


def validation_traces(family: TaskFamily, rule: Rule, n: int = EXPERIMENTS) -> tuple[list[InstanceKey], list[Trace]]:
    """The first n validation instances, and what the rule does on each."""
    n = whole_number("n", n, 1, of="instances", pointer="/n")
    keys = family.keys("validation", min(n, type(family).search_defaults.validation), VALIDATION_SEED)
    check_cost(family.cost(rule.complexity), family.parameters, traced=True)
    with compilation.using(family.name):
        return keys, [family.trace(rule, family.build(key)) for key in keys]


def charts_of(family: TaskFamily, rule: Rule, traces: Sequence[Trace]) -> Mapping[str, Chart]:
    """The charts that the family declares; of a family that declares none, every recorded quantity over its index."""
    if type(family).chart_kinds:
        return family.charts(rule, traces)
    found = {}
    for name, quantity in traces[0].items():
        values = np.asarray(quantity.values, dtype=np.float64)
        columns = values.reshape(len(values), -1).T[:COLUMNS] if values.ndim else values.reshape(1, 1)
        index = np.arange(columns.shape[1], dtype=np.float64)
        names = [name] if len(columns) == 1 else [f"{name} {i}" for i in range(len(columns))]
        series = tuple(Series(label, index, column) for label, column in zip(names, columns, strict=True))
        found[name] = Chart(quantity.meaning, Axis("index", "1"), Axis(name, quantity.unit), series)
    return found
