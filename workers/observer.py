"""Watching a job: what is told, and why nothing that watches can end it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

from ruleforge.search import Generation
from ruleforge.spec import JobSpec
from ruleforge.store import JobRecord
from workers.telling import harmless


class Observer(Protocol):
    """Watches a job; nothing that it does changes the result."""

    def on_start(self, job: JobRecord, spec: JobSpec) -> None:
        """The job begins, or goes on where it stood."""

    def on_warning(self, message: str) -> None:
        """Something that the user should know."""

    def on_generation(self, generation: Generation, seconds: float) -> None:
        """A generation was committed; `seconds` is the running time of the job so far."""

    def on_validation(self, n_rules: int, n_instances: int) -> None:
        """The search has ended and the front is being validated."""


class SilentObserver:
    """Watches nothing."""

    def on_start(self, job: JobRecord, spec: JobSpec) -> None:
        """Nothing."""

    def on_warning(self, message: str) -> None:
        """Nothing."""

    def on_generation(self, generation: Generation, seconds: float) -> None:
        """Nothing."""

    def on_validation(self, n_rules: int, n_instances: int) -> None:
        """Nothing."""


class _Harmless:
    """Around an observer: every method that it has and every one that it lacks can be called, and none raises."""

    def __init__(self, observer: Any) -> None:
        self._told = harmless(lambda name, *arguments: getattr(observer, name)(*arguments), "The progress of the job")

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda *arguments: self._told(name, *arguments)


def harmless_observer(observer: Observer | None) -> Observer:
    """An observer as a job may use it: whatever it raises is dropped, and said once."""
    return cast("Observer", _Harmless(observer or SilentObserver()))
