"""Fronts and histories as tables to take away: CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from api.http.models import GenerationObject, RuleObject

# What LaTeX reads as something else than the character.
_SPECIAL = str.maketrans(
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {character: "\\" + character for character in "&%$#_{}"}
)


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table after RFC 4180; nothing where a number was not finite."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def generations_table(generations: Iterable[Mapping[str, Any]]) -> str:
    """One line for each generation."""
    head = list(GenerationObject.model_fields)
    return _csv(head, ([row[name] for name in head] for row in generations))


def front_table(front: Iterable[RuleObject]) -> str:
    """One line for each rule, simplest first."""
    plain = ("id", "behaviour", "rule", "complexity", "fitness", "outcome", "known_as", "known_factor")
    validated = ("aggregate", "mean", "standard_error", "n")
    head = [*plain, *(f"validation_{name}" for name in validated)]
    return _csv(
        head,
        (
            [
                *(getattr(rule, name) for name in plain),
                *(getattr(rule.validation_fitness, name, None) for name in validated),
            ]
            for rule in front
        ),
    )


def latex_table(front: Iterable[RuleObject]) -> str:
    """A tabular of the front, which needs amsmath."""
    rows = []
    for rule in front:
        validation = rule.validation_fitness
        seen = "--" if validation is None or validation.mean is None else f"${validation.mean:.4g}$"
        if validation is not None and validation.mean is not None and validation.standard_error is not None:
            seen = rf"${validation.mean:.4g} \pm {validation.standard_error:.2g}$"
        fitness = "--" if rule.fitness is None else f"${rule.fitness:.4g}$"
        known = (rule.known_as or "").translate(_SPECIAL)
        rows.append(rf"{rule.complexity} & {fitness} & {seen} & $\displaystyle {rule.latex}$ & {known} \\" + "\n")
    head = r"complexity & training & validation & rule & known as \\" + "\n\\hline\n"
    return f"\\begin{{tabular}}{{rrrll}}\n{head}{''.join(rows)}\\end{{tabular}}\n"
