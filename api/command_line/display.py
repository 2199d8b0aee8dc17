"""What a running job and its result look like in a terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from api.command_line.conclusion import conclusion
from api.command_line.figures import digits_for, known, mean_of, nearest, number, unseen
from ruleforge.family import family_class
from ruleforge.language.identity import Recogniser
from ruleforge.search import Generation
from ruleforge.spec import JobSpec
from ruleforge.store import JobRecord
from workers.telling import harmless, say

__all__ = [
    "JobDisplay",
    "conclusion",
    "digits_for",
    "front_table",
    "known",
    "mean_of",
    "nearest",
    "note",
    "number",
    "plain_table",
    "rule_cell",
    "unseen",
    "validation",
]

# The name under which tables ask for it.
validation = unseen

# Without a terminal a line per generation would flood a log file: at most one in so many seconds.
SECONDS_BETWEEN_LINES = 2.0
ROWS_OF_LIVE_FRONT = 8
# For so long nothing is said at the most: whoever watches should not wonder whether it still runs.
SILENCE_SECONDS = 4.5


def plain_table(title: str) -> Table:
    """The look of every table: a title, a rule under the head, no boxes, so that 80 columns hold much."""
    return Table(
        title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )


def rule_cell(item: Mapping[str, Any]) -> Text:
    """The rule as it ran and, under it, its name if it has one."""
    name = known(item)
    return Text.assemble(item["rule"], (f"\n= {name}" if name else "", "italic green"))


def front_table(result: Mapping[str, Any]) -> Table:
    """The front: complexity, training fitness, the family's statistic on validation instances, formula and name."""
    front = result["front"]
    statistic = family_class(result["task"]).statistic
    digits = digits_for([item["fitness"] for item in front])
    spread = "± s.e." if statistic.is_mean else "[95 % interval]"
    table = plain_table(f"Front of job {result['job']} ({result['task']}; higher is better; bold: reported)")
    table.add_column("complexity", justify="right")
    table.add_column("training", justify="right")
    table.add_column(f"validation (unseen), {statistic.title} {spread}", justify="right")
    if not statistic.is_mean:
        table.add_column("mean ± s.e.", justify="right")
    table.add_column("rule = known as", overflow="fold")
    reported = result.get("reported") or result.get("best_validated") or {}
    for item in front:
        seen = item["validation_fitness"]
        table.add_row(
            str(item["complexity"]),
            number(item["fitness"], digits),
            Text(unseen(seen, digits)),
            *([] if statistic.is_mean else [mean_of(seen, digits)]),
            rule_cell(item),
            style="bold" if item["id"] == reported.get("id") else "",
        )
    return table


class JobDisplay:
    """Observer of a running job: a live table on a terminal, else a line now and then; all on standard error.

    silence: after so many seconds without a line there is one that says what is waited for; None: never.
    """

    def __init__(self, console: Console, silence: float | None = SILENCE_SECONDS) -> None:
        self._console, self._silence = console, silence
        self._live: Live | None = None
        self._changing = console.is_terminal
        self._newest: Group | None = None
        self._last_line = self._last_said = -1e9
        self._started_with = 0
        self._began = 0.0
        # What is waited for, and since when.
        self._waiting_for, self._since = "", 0.0
        self._over = threading.Event()
        self._ticker: threading.Thread | None = None

    def __enter__(self) -> JobDisplay:
        if self._silence is not None:
            self._ticker = threading.Thread(target=self._tick, args=(self._silence,), name="progress", daemon=True)
            self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._ticker is not None:
            self._ticker.join()
        if self._live is not None:
            harmless(self._live.stop, "The end of the live display")()

    def on_start(self, job: JobRecord, spec: JobSpec) -> None:
        """Say what begins."""
        self._spec, self._job = spec, job
        self._recogniser = Recogniser(spec.family().known_rules())
        self._started_with, self._began = job.evaluations, time.monotonic()
        limits = ", ".join(f"{name} {value}" for name, value in spec.budget.model_dump().items() if value is not None)
        verb = "resumed" if job.generation else "started"
        self._wait_for(f"generation {job.generation}")
        self.say(f"Job {job.id} {verb}: {spec.task}, seed {spec.seed}, until {limits or 'interrupted'}")
        self._newest = None
        if self._console.is_terminal and self._live is None:
            self._live = Live(
                console=self._console, get_renderable=self._renderable, refresh_per_second=4, transient=True
            )
            self._live.start()

    def on_warning(self, message: str) -> None:
        """Pass it on."""
        self.say(f"Warning: {message}", style="yellow")

    def on_generation(self, generation: Generation, seconds: float) -> None:
        """Show where the search stands."""
        rate = (generation.evaluations - self._started_with) / max(time.monotonic() - self._began, 1e-9)
        digits = digits_for([generation.best])
        line = (
            f"generation {generation.number}  best {number(generation.best, digits)}  "
            f"median {number(generation.median, digits)}  {generation.evaluations} distinct rules  "
            f"{rate:.0f} rules/s  {seconds:.0f} s"
        )
        self._wait_for(f"generation {generation.number + 1}")
        if self._changing:
            self._newest = Group(Text(line, style="bold"), self._front(generation, digits))
        elif time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            champion = f"  {generation.front[-1].rule.text}" if generation.front else ""
            self.say(line + champion)

    def on_validation(self, n_rules: int, n_instances: int) -> None:
        """The last step."""
        self._newest = None
        self._wait_for("validation")
        self.say(f"Validating the front, {n_rules} rule(s), on {n_instances} unseen instances …")

    def say(self, line: str, style: str = "") -> None:
        """A line of its own, above what is live."""
        self._last_said = time.monotonic()
        self._console.print(Text(line, style=style), soft_wrap=True)

    def _wait_for(self, what: str) -> None:
        self._waiting_for, self._since = what, time.monotonic()

    def _waiting(self) -> str:
        return f"waiting for {self._waiting_for}, {time.monotonic() - self._since:.0f} s so far …"

    def _renderable(self) -> Group:
        """What is live now: the newest generation and what is waited for."""
        waiting = [Text(self._waiting(), style="dim")] if self._waiting_for else []
        return Group(*([] if self._newest is None else [self._newest]), *waiting)

    def _tick(self, silence: float) -> None:
        while not self._over.wait(min(silence / 4, 0.5)):
            if not self._changing and self._waiting_for and time.monotonic() - self._last_said >= silence:
                try:
                    self.say(self._waiting())
                except Exception:  # noqa: BLE001 - what cannot be shown decides nothing about the job
                    return

    def _front(self, generation: Generation, digits: int) -> Table:
        table = Table(box=None, pad_edge=False)
        table.add_column("complexity", justify="right")
        table.add_column("fitness", justify="right")
        table.add_column("rule")
        for item in generation.front[-ROWS_OF_LIVE_FRONT:]:
            recognition = self._recogniser.recognise(item.rule)
            name = f"   ({recognition})" if recognition else ""
            table.add_row(str(item.rule.complexity), number(item.fitness, digits), Text(f"{item.rule.text}{name}"))
        return table


def note(message: str) -> None:
    """A line on standard error, where there is one."""
    say(message)
