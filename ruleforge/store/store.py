"""The record of jobs, generations, rules and scores: what the runner writes and everybody reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any

from ruleforge.store import jobs, leases, rules, studies
from ruleforge.store.database import BUSY_TIMEOUT, Database
from ruleforge.store.holders import Holder, this_process
from ruleforge.store.leases import Waiting
from ruleforge.store.opening import open_database
from ruleforge.store.records import (
    STATES,
    CandidateRecord,
    FoundRule,
    GenerationRecord,
    JobRecord,
    NewJob,
    NewStudy,
    RuleRecord,
    ScoreRecord,
    StudyRecord,
)


def open_store(url: str, *, create: bool = True, busy_timeout: float = BUSY_TIMEOUT) -> Store:
    """Open the record at a database URL: `sqlite:///x.db`, `sqlite:////absolute/x.db`, `sqlite://` (in memory),
    `postgresql://user:password@host/database`.

    create: make the schema in a new or empty database; False refuses one that holds no record.
    busy_timeout: seconds to wait for a lock that another process holds.
    Raises StoreError, a sentence with the remedy, if the record cannot be used; a refused open changes nothing.
    """
    return Store(open_database(url, create=create, busy_timeout=busy_timeout))


class Store:
    """An open record. Every method is one transaction, and may be called from any thread of the process.

    Raises InputError for what cannot be recorded or found, StoreError for a database that fails; nothing is written.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._name = database.address.name

    def close(self) -> None:
        """Let go of the database; every later call is refused."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self._name!r})"

    def create_job(self, job: NewJob) -> str:
        """Record a new job in state "queued" and return its id: 12 hexadecimal digits."""
        with self._database.writing() as connection:
            return jobs.create_job(connection, job)

    def job(self, id_or_unique_prefix: str) -> JobRecord:
        """One job, with its search state and result. Raises InputError for an unknown or ambiguous id."""
        with self._database.reading() as connection:
            return jobs.find_job(connection, id_or_unique_prefix, self._name)

    def jobs(self, task: str | None = None, state: str | None = None, limit: int | None = None) -> list[JobRecord]:
        """Jobs, newest first, without their search state and result, which are large."""
        with self._database.reading() as connection:
            return jobs.list_jobs(connection, task, state, limit)

    def set_state(
        self, job_id: str, state: str, reason: str, *, lease: str | None = None, allowed: Collection[str] = STATES
    ) -> None:
        """Move a job to another state and record the event.

        lease: of the process that runs the job and lets go of it with this; without one it is a request from outside,
        which that process notices at its next heartbeat. allowed: the states that it may be in now.
        Raises InputError if it has ended already or is in another state, LeaseLostError if the lease is over.
        """
        with self._database.writing() as connection:
            jobs.set_state(connection, job_id, state, reason, lease, allowed, self._name)

    def take(
        self,
        job_id: str,
        reason: str,
        *,
        allowed: Collection[str] = ("queued", "running", "paused"),
        holder: Holder | None = None,
    ) -> str:
        """Let a process (default: this one) run a job: it becomes running; the token of its lease.

        A job whose process has died is taken over. Raises InputError if the job is in a state that is not allowed,
        JobHeldError, a sentence that names host and process, if a living process runs it.
        """
        with self._database.writing() as connection:
            return jobs.take(connection, job_id, holder or this_process(), reason, allowed, self._name)

    def renew(self, job_id: str, lease: str) -> str | None:
        """A heartbeat of the process that runs a job: the job's state, None if the lease is over."""
        with self._database.writing() as connection:
            return leases.renew(connection, job_id, lease)

    def release(self, job_id: str, lease: str) -> None:
        """Let go of a job and leave its state as it is; nothing happens if the lease is over."""
        with self._database.writing() as connection:
            leases.release(connection, job_id, lease)

    def waiting(self, kinds: Collection[str] = ("evolution",)) -> list[Waiting]:
        """Jobs that nobody runs, queued or left by a process that died: higher priority first, then the older."""
        with self._database.reading() as connection:
            return leases.waiting(connection, kinds)

    def commit_generation(self, job_id: str, generation: GenerationRecord, lease: str | None = None) -> None:
        """Add a generation to a running job, all of it or nothing.

        Raises LeaseLostError if another process holds the job, or this one no longer. Raises InputError if the job is
        not running, or `generation.number` is not the number of generations it has: none is committed twice.
        """
        with self._database.writing(one_at_a_time=True) as connection:
            jobs.commit_generation(connection, job_id, generation, lease, self._name)

    def archive(self, job_id: str) -> list[CandidateRecord]:
        """All candidates of a job by generation and order, each rule as this job wrote it; a search resumes from it."""
        with self._database.reading() as connection:
            return jobs.archive(connection, job_id, self._name)

    def finish(
        self,
        job_id: str,
        state: str,
        stopped_by: str | None,
        reason: str,
        result: Mapping[str, Any],
        validations: Mapping[str, Mapping[str, Any]],
        scores: Sequence[ScoreRecord],
        lease: str | None = None,
    ) -> None:
        """End a job (succeeded, failed or cancelled) with its result and let go of it, all of that or nothing.

        validations: rule id → {"aggregate", "mean", "standard_error", "n"}, kept with the job's candidate.
        Raises LeaseLostError as `commit_generation`.
        """
        with self._database.writing(one_at_a_time=True) as connection:
            jobs.finish(connection, job_id, state, stopped_by, reason, result, validations, scores, lease, self._name)

    def create_study(self, study: NewStudy) -> str:
        """Record a study with its jobs, queued, and return its id; if it is there already, the id that it has."""
        with self._database.writing(one_at_a_time=True) as connection:
            return studies.create_study(connection, study)

    def study(self, id_or_unique_prefix: str) -> StudyRecord:
        """One study and its jobs. Raises InputError for an unknown or ambiguous id."""
        with self._database.reading() as connection:
            return studies.find_study(connection, id_or_unique_prefix, self._name)

    def generations(self, job_id: str) -> list[dict[str, Any]]:
        """The generations of a job: number, evaluations, best, median, n_distinct, seconds, front (rule ids)."""
        with self._database.reading() as connection:
            return jobs.list_generations(connection, job_id, self._name)

    def events(self, job_id: str, after: int = 0) -> list[dict[str, Any]]:
        """The events of a job with an id above `after`: id, time (aware datetime), kind, payload."""
        with self._database.reading() as connection:
            return jobs.list_events(connection, job_id, after, self._name)

    def cached_scores(
        self, context: str, rule_ids: Sequence[str], instances: Sequence[str]
    ) -> dict[tuple[str, str], ScoreRecord]:
        """The scores of these rules on these instances that are recorded for the context, by (rule id, instance)."""
        with self._database.reading() as connection:
            return rules.cached_scores(connection, context, rule_ids, instances)

    def add_scores(self, rules_scored: Sequence[RuleRecord], scores: Sequence[ScoreRecord]) -> None:
        """Record rules and scores that belong to no job; what is there already stays as it is."""
        with self._database.writing(one_at_a_time=True) as connection:
            rules.record_rules(connection, rules_scored)
            rules.record_scores(connection, scores)

    def rules(self, task: str | None = None, top: int = 20) -> list[FoundRule]:
        """One entry per behaviour that a job found (its simplest text), by validation mean, then training fitness."""
        with self._database.reading() as connection:
            return rules.best_rules(connection, task, top)

    def rule(self, id_or_unique_prefix: str) -> FoundRule:
        """One rule, as it was written. Raises InputError for an unknown or ambiguous id."""
        with self._database.reading() as connection:
            return rules.find_rule(connection, id_or_unique_prefix, self._name)
