"""One store per backend, and records to put into it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import MetaData, func, insert, select

from ruleforge.store import (
    CandidateRecord,
    GenerationRecord,
    NewJob,
    RuleRecord,
    ScoreRecord,
    Store,
    open_store,
    opening,
)
from ruleforge.store.database import Address, Database
from ruleforge.store.schema import metadata

BACKENDS = ("sqlite file", "sqlite memory", "postgresql")


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A fresh store: every test that takes it is part of what each backend must hold to."""
    urls = {"sqlite file": f"sqlite:///{tmp_path}/record.db", "sqlite memory": "sqlite://"}
    with open_store(urls.get(request.param) or request.getfixturevalue("postgresql_record")) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"])
def own_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/record.db"
    url: str = request.getfixturevalue("new_database")()
    return url


@pytest.fixture
def make_record() -> Callable[..., None]:
    """Make a record of an older schema with these rows by table, and upgrade it to a later one."""

    def make(url: str, at: str, rows_of: dict[str, list[dict[str, Any]]], then: str | None = None) -> None:
        address = Address.parse(url)
        if address.path is not None:
            address.path.touch()
        database = Database(address)
        with database.writing() as connection:
            config = opening.migrations_config()
            config.attributes["connection"] = connection
            command.upgrade(config, at)
            tables = MetaData()
            tables.reflect(connection)
            for name, rows in rows_of.items():
                connection.execute(insert(tables.tables[name]), rows)
                # PostgreSQL does not count numbers that were given.
                counted = next((c for c in ("number", "id") if isinstance(rows[0].get(c), int)), None)
                if connection.dialect.name == "postgresql" and counted is not None:
                    sequence = connection.scalar(select(func.pg_get_serial_sequence(name, counted)))
                    if sequence is not None:
                        connection.execute(select(func.setval(sequence, max(row[counted] for row in rows))))
            if then is not None:
                command.upgrade(config, then)
        database.close()

    return make


class Records:
    """Records with plain contents, to be varied by keyword."""

    def job(self, **changes: Any) -> NewJob:
        fields = {"task": "reward", "spec": {"seed": 1}, "spec_hash": "ab12", "versions": {"package": "0.1.0"}}
        return NewJob(**fields | changes)

    def rule(self, number: int, **changes: Any) -> RuleRecord:
        plain = RuleRecord(
            id=f"{number:032x}",
            task="reward",
            text=f"R*{number}",
            tokens=[["*", "R", float(number)]],
            complexity=3,
            behaviour=f"{number + 1000:032x}",
        )
        return replace(plain, **changes)

    def candidate(self, rule: RuleRecord | int, fitness: float = 1.0, order: int = 0) -> CandidateRecord:
        rule = self.rule(rule) if isinstance(rule, int) else rule
        return CandidateRecord(rule, fitness, "ok" if math.isfinite(fitness) else "non_finite", order)

    def score(self, rule: RuleRecord | int, index: int = 0, fitness: float = 1.0, **changes: Any) -> ScoreRecord:
        rule = self.rule(rule) if isinstance(rule, int) else rule
        outcome = "ok" if math.isfinite(fitness) else "non_finite"
        plain = ScoreRecord(rule.id, "context", f"sampled/training/1/{index}", fitness, outcome, {"spikes": 2.5})
        return replace(plain, **changes)

    def generation(
        self, number: int = 0, candidates: list[CandidateRecord] | None = None, **changes: Any
    ) -> GenerationRecord:
        candidates = [self.candidate(number + 1)] if candidates is None else candidates
        fields: dict[str, Any] = {
            "number": number,
            "search_state": {"generation": number, "population": [0.1, -0.0]},
            "history": f"{number:04x}",
            "evaluations": number + 1,
            "best": 1.0,
            "median": 0.5,
            "n_distinct": 1,
            "seconds": 0.25,
            "candidates": candidates,
            "scores": [self.score(candidate.rule, fitness=candidate.fitness) for candidate in candidates],
            "front": [candidate.rule.id for candidate in candidates],
        }
        return GenerationRecord(**fields | changes)

    def running(self, store: Store, **changes: Any) -> str:
        id = store.create_job(self.job(**changes))
        store.set_state(id, "running", "taken by a test")
        return id

    def found(self, store: Store, *candidates: CandidateRecord, task: str = "reward", **changes: Any) -> str:
        """A running job that found these in its first generation."""
        id = self.running(store, task=task, **changes)
        placed = [replace(candidate, order=order) for order, candidate in enumerate(candidates)]
        store.commit_generation(id, self.generation(candidates=placed))
        return id

    def summary(self, mean: float) -> dict[str, Any]:
        return {"aggregate": mean, "mean": mean, "standard_error": 0.5, "n": 40}

    def finish(self, store: Store, job_id: str, validations: dict[str, float], **further: Any) -> None:
        full = {rule: self.summary(mean) for rule, mean in validations.items()}
        store.finish(job_id, "succeeded", "target", "the target was reached", {"champion": None}, full, [], **further)


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def contents() -> Callable[[Store], dict[str, list[Any]]]:
    """Everything that a store holds, table by table."""

    def read(store: Store) -> dict[str, list[Any]]:
        with store._database.reading() as connection:
            return {
                name: sorted(connection.execute(select(table)).all(), key=repr)
                for name, table in metadata.tables.items()
            }

    return read
