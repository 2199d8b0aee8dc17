"""Fill the marked sections of the pages from the code: `python docs/generate.py`.

A section begins with `<!-- generated: WHAT ARGUMENT -->` and ends with `<!-- end -->`. `--check` writes nothing and
fails if a page is out of date; `--figures` draws the figures of the family pages as well, `--reproduce` runs the
published experiments and fills the sections `<!-- reproduce: FAMILY -->`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from ruleforge.family import TaskFamily, family, family_class
from ruleforge.grammar_settings import Grammar
from ruleforge.language.signals import Signal
from ruleforge.search_settings import METHODS, TREES, SearchSettings, methods_of
from workers.evaluators.choose import make_evaluator
from workers.pictures import draw_rule
from workers.reproduce import reproduce

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
SECTION = re.compile(r"<!-- generated: (\w+) (\S+) -->\n(.*?)<!-- end -->", re.DOTALL)
REPRODUCED = re.compile(r"<!-- reproduce: (\w+) -->\n.*?<!-- end -->", re.DOTALL)
LANGUAGES = {".py": "python", ".toml": "toml"}
# The known rule that each family's figure shows.
FIGURES = {
    "reward": "punishment-gated eligibility",
    "supervised": "Jordan 2021, twice the delta rule",
    "correlation": "Jordan 2021, rule 1",
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _reach(signal: Signal) -> str:
    if signal.values:
        return ", ".join(f"{value:g}" for value in signal.values)
    return f"{signal.range[0]:g} … {signal.range[1]:g}"


def signals(declared: type[TaskFamily]) -> str:
    """A table per slot: what an expression may read."""
    parts = []
    for slot in declared.slots:
        rows = [
            (
                f"`{signal.symbol}`",
                f"${signal.latex or signal.symbol}$",
                signal.unit,
                _reach(signal),
                signal.meaning,
                "yes" if signal.default else "if named",
            )
            for signal in slot.signals
        ]
        title = f"Slot `{slot.name}` (acts at `{slot.when}`): {slot.updates}\n\n"
        parts.append(title + table(("signal", "symbol", "unit", "range", "meaning", "in searches"), rows))
    return "\n".join(parts)


def parameters(declared: type[TaskFamily]) -> str:
    """Every parameter with default, unit, meaning and source."""
    rows = []
    for name, field in declared.Parameters.model_fields.items():
        extra: Mapping[str, object] = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = "none" if field.default is None else f"{field.default:.6g}"
        default = str(field.default).lower() if isinstance(field.default, bool) else default
        rows.append((f"`{name}`", default, str(extra["unit"]), str(field.description), str(extra["source"])))
    return table(("parameter", "default", "unit", "meaning", "source"), rows)


def rules(declared: type[TaskFamily]) -> str:
    """The known rules with their citations."""
    rows = [
        (known.name, f"`{known.rule.text}`", "–" if known.published is None else f"{known.published:g}", known.citation)
        for known in declared.known_rules().values()
    ]
    return table(("name", "rule", "published fitness", "citation"), rows)


def defaults(declared: type[TaskFamily]) -> str:
    """What a search assumes unless told otherwise."""
    assumed = declared.search_defaults
    operators = " ".join(f"`{operator}`" for operator in assumed.operators)
    constants = ", ".join(f"{constant:g}" for constant in assumed.constants)
    target = "no target" if assumed.target is None else f"target {assumed.target:g}"
    below = declared.failure_below
    failure = "" if below is None else f", and fail where fitness is below {below:g}"
    return (
        f"Fitness: {declared.fitness_meaning}.\n\n"
        f"A search assumes the operators {operators}, the constants {constants}, {target}, "
        f"{assumed.training} training, {assumed.validation} validation and {assumed.test} test instances; lists of "
        f"rules are ranked by {assumed.library} library instances. On unseen instances rules are compared by their "
        f"{declared.statistic.title}{failure} ([what is said of a rule](../verdicts.md)).\n"
    )


def settings(part: str) -> str:
    """Every key of a part of the specification: for `search` with the methods that it belongs to."""
    model: type[BaseModel] = {"search": SearchSettings, "grammar": Grammar}[part]
    rows = []
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        text = "–" if default is None else json.dumps(default, ensure_ascii=False)
        row = [f"`{part}.{name}`", text, str(field.description)]
        if part == "search":
            own = methods_of(name)
            row.append(
                "all" if own == list(METHODS) else "all but jordan2021" if own == list(TREES) else ", ".join(own)
            )
        rows.append(row)
    return table(("key", "default", "meaning", *(["methods"] if part == "search" else [])), rows)


OF_A_FAMILY: Mapping[str, Callable[[type[TaskFamily]], str]] = {
    "signals": signals,
    "parameters": parameters,
    "rules": rules,
    "defaults": defaults,
}


def section(what: str, argument: str) -> str:
    """The text of one section: a table of a family, or a file as a block of code."""
    if what == "file":
        path = ROOT / argument
        return f"```{LANGUAGES[path.suffix]}\n{path.read_text(encoding='utf-8')}```\n"
    if what == "settings":
        return settings(argument)
    return OF_A_FAMILY[what](family_class(argument))


def filled(text: str) -> str:
    """A page with its sections written anew."""

    def written(found: re.Match[str]) -> str:
        what, argument = found.group(1, 2)
        return f"<!-- generated: {what} {argument} -->\n{section(what, argument)}<!-- end -->"

    return SECTION.sub(written, text)


def reproduced(name: str) -> str:
    """Our figures beside the published ones, as `ruleforge reproduce` prints them."""
    evaluator = make_evaluator()
    rows = reproduce(evaluator, family_class(name))["rows"]
    evaluator.close()

    def number(value: float | None, digits: int) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    digits = 1 if max(abs(row["aggregate"] or 0.0) for row in rows) > 100 else 3
    table_rows = [
        (
            f"`{row['rule']}`",
            number(row["published"], 2),
            number(row["aggregate"], digits),
            number(row["ratio"], 4),
            number(row["reimplemented"], digits),
            str(row["n"]),
        )
        for row in rows
    ]
    head = ("rule", "published", "ours", "ratio", "independent re-implementation", "n")
    return f"{table(head, table_rows)}\n(`ruleforge reproduce {name}`)\n"


def pages() -> list[Path]:
    """All pages."""
    return sorted(DOCS.rglob("*.md"))


def draw_figures() -> None:
    """Draw the known rules of FIGURES on unseen instances, as `ruleforge show RULE_ID --figure FILE` does."""
    from PIL import Image

    (DOCS / "figures").mkdir(exist_ok=True)
    for name, rule in FIGURES.items():
        path = DOCS / "figures" / f"{name}.png"
        draw_rule(family(name), family_class(name).known_rules()[rule].rule, path)
        with Image.open(path) as drawn:  # 256 colours take a third of the room
            compact = drawn.convert("RGB").quantize(256, kmeans=3, dither=Image.Dither.NONE)
        compact.save(path, optimize=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pages, or check them."""
    parser = argparse.ArgumentParser(prog="python docs/generate.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is out of date")
    parser.add_argument("--reproduce", action="store_true", help="run the published experiments as well")
    parser.add_argument("--figures", action="store_true", help="draw the figures as well")
    given = parser.parse_args(arguments)
    outdated = [
        path for path in pages() if filled(path.read_text(encoding="utf-8")) != path.read_text(encoding="utf-8")
    ]
    if given.check:
        for path in outdated:
            sys.stderr.write(f"{path.relative_to(ROOT)} is out of date: run `python docs/generate.py`\n")
        return 1 if outdated else 0
    for path in outdated:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    if given.reproduce:
        for path in pages():
            text = REPRODUCED.sub(
                lambda found: f"<!-- reproduce: {found.group(1)} -->\n{reproduced(found.group(1))}<!-- end -->",
                path.read_text(encoding="utf-8"),
            )
            path.write_text(text, encoding="utf-8")
    if given.figures:
        draw_figures()
    return 0


if __name__ == "__main__":
    sys.exit(main())
