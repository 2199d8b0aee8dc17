"""A job of a service as `ruleforge evolve` shows its own: events → what the live display observes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any

from api.client.events import Event
from ruleforge.family import Outcome
from ruleforge.language.rule import Rule
from ruleforge.search import Generation, Judged
from ruleforge.spec import job_spec
from ruleforge.store import JobRecord

if TYPE_CHECKING:
    from api.client.job import Job


def job_record(info: Mapping[str, Any]) -> JobRecord:
    """The JSON of a job as a record; lists leave its versions out."""
    known = {field.name for field in fields(JobRecord)}
    given = {name: value for name, value in info.items() if name in known}
    moments = {name: datetime.fromisoformat(info[name]) for name in ("created", "updated")}
    return JobRecord(**{"versions": {}, "revision": 0, **given, **moments, "tags": tuple(info["tags"])})


class Shown:
    """Shows a job while it runs; called with each of its events. Events from before it was watched are not shown."""

    def __init__(self, job: Job) -> None:
        from api.command_line.app import progress
        from api.command_line.display import JobDisplay

        self._job = job
        self._display = JobDisplay(progress(), silence=None)  # a job may wait in its queue for hours
        self._front: tuple[Judged, ...] = ()
        self._seen = int(job.info["generation"])

    def __enter__(self) -> Shown:
        self._display.__enter__()
        if self._job.info["kind"] == "evolution" and not self._job.ended:
            self._display.on_start(job_record(self._job.info), job_spec(self._job.info["spec"]))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._display.__exit__(kind, error, traceback)

    def __call__(self, event: Event) -> None:
        """Show what the event changes."""
        if event.kind == "front":
            self._front = tuple(self._judged(item) for item in event.data["items"])
        elif event.kind == "generation" and event.data["number"] >= self._seen:
            self._display.on_generation(self._generation(event), event.data["seconds"])

    def _judged(self, item: dict[str, Any]) -> Judged:
        rule = Rule.parse(item["rule"], str(self._job.info["task"]))
        fitness = -math.inf if item["fitness"] is None else float(item["fitness"])
        return Judged(rule, item["behaviour"], fitness, Outcome(item["outcome"]))

    def _generation(self, event: Event) -> Generation:
        data = event.data
        return Generation(
            number=data["number"],
            judged=(),
            candidates=(),
            front=self._front,
            best=data["best"],
            median=data["median"],
            evaluations=data["evaluations"],
            history="",
        )
