"""Fronts and histories as tables to take away: CSV and LaTeX."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from api.http.models import GenerationObject, RuleObject, Validation
from ruleforge.language.numbers import NONE_LATEX, latex_measured

# What LaTeX reads as something else than the character.
_SPECIAL = str.maketrans(
    {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    | {character: "\\" + character for character in "&%$#_{}"}
)


# With what a cell begins that spreadsheets execute (OWASP, CSV injection), the wide forms of the same included.
_FORMULA = tuple(
    "=+-@\t\r\n'\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table after RFC 4180; nothing where a number was not finite. Numbers stay numbers, and text stays text."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula, such as the rule -E, has an apostrophe before it.

    So has one that begins with an apostrophe: whoever takes the first one off has every text as it was.
    """
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def generations_table(generations: Iterable[Mapping[str, Any]]) -> str:
    """One line for each generation."""
    head = list(GenerationObject.model_fields)
    return _csv(head, ([row[name] for name in head] for row in generations))


def front_table(front: Iterable[RuleObject]) -> str:
    """One line for each rule, simplest first."""
    plain = ("id", "behaviour", "rule", "complexity", "fitness", "outcome", "known_as", "known_factor")
    validated = ("aggregate", "mean", "standard_error", "n")
    head = [*plain, *(f"validation_{name}" for name in (*validated, "statistic", "low", "high"))]
    return _csv(
        head,
        (
            [
                *(getattr(rule, name) for name in plain),
                *(getattr(rule.validation_fitness, name, None) for name in (*validated, "statistic")),
                *(getattr(rule.validation_fitness, "interval", None) or (None, None)),
            ]
            for rule in front
        ),
    )


def _plain(text: str) -> str:
    """A text that LaTeX sets as it is."""
    return " ".join(text.split()).translate(_SPECIAL)


def latex_table(front: Iterable[RuleObject]) -> str:
    """A tabular of the front, which needs amsmath."""
    rows, meaning = [], "validation"
    for rule in front:
        seen = rule.validation_fitness
        validation = NONE_LATEX if seen is None else _latex_unseen(seen)
        if seen is not None and seen.statistic not in (None, "mean"):
            meaning = _plain(f"validation, {seen.statistic.replace('_', ' ')} [95 % interval]")
        formula = rf"$\displaystyle {rule.latex}$" if rule.latex else rf"\texttt{{{_plain(rule.rule)}}}"
        known = _plain(rule.known_as or "")
        cells = (str(rule.complexity), latex_measured(rule.fitness, None), validation, formula, known)
        rows.append(" & ".join(cells) + r" \\" + "\n")
    head = rf"complexity & training & {meaning} & rule & known as \\" + "\n\\hline\n"
    return f"\\begin{{tabular}}{{rrrll}}\n{head}{''.join(rows)}\\end{{tabular}}\n"


def _latex_unseen(seen: Validation) -> str:
    """The family's statistic: a mean with its standard error, another with its interval where it is at hand."""
    if seen.aggregate == seen.mean:
        return latex_measured(seen.mean, seen.standard_error)
    value = latex_measured(seen.aggregate, None)
    if seen.interval is None:
        return value
    low, high = (latex_measured(end, None) for end in seen.interval)
    return f"{value} [{low}, {high}]"
