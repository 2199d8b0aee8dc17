"""Pictures of rules: the family traces and draws, this sees to instances and files."""

from __future__ import annotations

from pathlib import Path

from ruleforge.errors import InputError
from ruleforge.family import TaskFamily
from ruleforge.language.rule import Rule
from workers.validation import VALIDATION_SEED

FORMATS = ("png", "svg", "pdf")
EXPERIMENTS = 10


def draw_rule(family: TaskFamily, rule: Rule, path: Path, *, n: int = EXPERIMENTS) -> None:
    """Draw a rule's behaviour on the first n validation instances into a file (png, svg or pdf by its ending)."""
    kind = path.suffix.removeprefix(".").lower()
    if kind not in FORMATS:
        raise InputError(f"--figure: expected a file name ending in {', '.join(FORMATS)}, and {str(path)!r} came")
    if not path.parent.is_dir():
        raise InputError(f"--figure: the folder {path.parent} does not exist: create it first")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    keys = family.keys("validation", min(n, type(family).search_defaults.validation), VALIDATION_SEED)
    traces = [family.trace(rule, family.build(key)) for key in keys]
    figure = Figure(figsize=(13, 4.2), dpi=130)
    FigureCanvasAgg(figure)
    family.draw(rule, traces, figure)
    partial = path.with_name(f".{path.name}.partial")
    try:
        figure.savefig(partial, format=kind)
        partial.replace(path)
    except OSError as error:
        raise InputError(f"--figure: {path} cannot be written: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
