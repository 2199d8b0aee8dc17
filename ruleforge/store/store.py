"""The record of jobs, generations, rules and scores: what the runner writes and everybody reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any

from ruleforge.context import Context
from ruleforge.store import deletion, events, extensions, generations, jobs, leases, rules, scores, studies
from ruleforge.store.browse import browse
from ruleforge.store.database import BUSY_TIMEOUT, Database
from ruleforge.store.holders import Holder, this_process
from ruleforge.store.leases import Held, Waiting
from ruleforge.store.lineage import lineage
from ruleforge.store.opening import open_database
from ruleforge.store.records import (
    KEEP,
    STATES,
    CandidateRecord,
    Created,
    Extension,
    Finder,
    FoundRule,
    FrontItem,
    GenerationRecord,
    JobRecord,
    Keep,
    Lineage,
    NewJob,
    NewStudy,
    Page,
    RecordStatistics,
    RequestKey,
    RuleQuery,
    RuleRecord,
    ScoreRecord,
    StudyRecord,
)
from ruleforge.store.requests import EXTENSION, known, once
from ruleforge.store.settings import contexts_of, settings_number
from ruleforge.store.statistics import statistics


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

    def create_job_once(self, job: NewJob, request: RequestKey) -> Created:
        """As `create_job`; the same request sent again within 24 hours gives the job that the first one made.

        Raises KeyReusedError if the key came with another digest.
        """
        with self._database.writing() as connection:
            return once(connection, request, "job", lambda: jobs.create_job(connection, job))

    def job(self, id_or_unique_prefix: str) -> JobRecord:
        """One job, with its search state and result. Raises InputError for an unknown or ambiguous id."""
        with self._database.reading() as connection:
            return jobs.find_job(connection, id_or_unique_prefix, self._name)

    def jobs(self, task: str | None = None, state: str | None = None, limit: int | None = None) -> list[JobRecord]:
        """Jobs, newest first, without their search state and result, which are large."""
        with self._database.reading() as connection:
            return jobs.list_jobs(connection, task, state, limit)

    def jobs_page(
        self,
        task: str | None = None,
        state: str | None = None,
        kind: str | None = None,
        spec_hash: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page[JobRecord]:
        """A page of the jobs, newest first, without their search state and result."""
        with self._database.reading() as connection:
            return jobs.jobs_page(connection, task, state, kind, spec_hash, cursor, limit)

    def describe(
        self,
        job_id: str,
        *,
        name: str | Keep | None = KEEP,
        notes: str | Keep | None = KEEP,
        tags: Sequence[str] | Keep = KEEP,
        revision: int | None = None,
    ) -> JobRecord:
        """Change name, notes and tags of a job, which determine nothing; the job as it is then.

        Raises RevisionError if a `revision` is given and is not the job's: somebody else changed it.
        """
        with self._database.writing() as connection:
            return jobs.describe(connection, job_id, name, notes, tags, revision, self._name)

    def delete_job(self, job_id: str) -> None:
        """Remove a job that has ended, with its generations, candidates and events, from its study too.

        Its rules stay, with the best that was measured of their behaviours, their found counts and their scores; a
        study goes with its last job. Raises InputError for a job that has not ended.
        """
        with self._database.writing(one_at_a_time=True) as connection:
            deletion.delete_job(connection, job_id, self._name)

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

    def held(self) -> list[Held]:
        """The jobs that processes run, and by which."""
        with self._database.reading() as connection:
            return leases.held(connection)

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
            job = jobs.locked(connection, job_id, self._name)
            leases.check(connection, job, lease)
            generations.add_generation(connection, job, generation)

    def archive(self, job_id: str) -> list[CandidateRecord]:
        """All candidates of a job by generation and order, each rule as this job wrote it; a search resumes from it."""
        with self._database.reading() as connection:
            return generations.archive(connection, jobs.job_number(connection, job_id, self._name))

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
        *,
        opens_test: bool = False,
        library: Sequence[tuple[RuleRecord, Mapping[str, Any]]] = (),
    ) -> None:
        """End a job (succeeded, failed or cancelled) with its result and let go of it, all of that or nothing.

        validations: rule id → {"aggregate", "mean", "standard_error", "n", …}, kept with the job's candidate; library:
        the same of rules on the library, kept with their behaviours in the job's context.
        opens_test: the result looked at the test stream of number `test_openings`, which is raised with it, so that a
        run that is killed before this and repeated looks at the same one.
        Raises LeaseLostError as `commit_generation`.
        """
        with self._database.writing(one_at_a_time=True) as connection:
            jobs.finish(
                connection,
                job_id,
                state,
                stopped_by,
                reason,
                result,
                validations,
                scores,
                lease,
                opens_test,
                library,
                self._name,
            )

    def open_test(self, job_id: str, lease: str | None = None) -> int:
        """Count one more opening of a job's test stream outside `finish`: how often it was opened then.

        Raises LeaseLostError as `commit_generation`.
        """
        with self._database.writing() as connection:
            return jobs.open_test(connection, job_id, lease, self._name)

    def extend_job(self, job_id: str, extension: Extension, request: RequestKey | None = None) -> None:
        """Give a job that nobody runs other limits and queue it, whatever its state, all of that or nothing.

        Its result goes, and is made anew at its new end; a `request` that is sent again changes nothing. Raises
        InputError if the job runs or is part of a study, RevisionError if it was changed since it was read.
        """

        def extended() -> str:
            extensions.extend_job(connection, job_id, extension, self._name)
            return job_id

        with self._database.writing(one_at_a_time=True) as connection:
            if request is None:
                extended()
            else:
                once(connection, request, EXTENSION, extended)

    def made_by(self, request: RequestKey, kind: str) -> str | None:
        """The id of what a request made when it came before, None if it did not; kind: of what it makes.

        Raises KeyReusedError if the key came with another digest, or made another kind.
        """
        with self._database.reading() as connection:
            return known(connection, request, kind)

    def create_study(self, study: NewStudy) -> str:
        """Record a study with its jobs, queued; its id. One that is there keeps it, and gets deleted jobs anew."""
        with self._database.writing(one_at_a_time=True) as connection:
            return studies.create_study(connection, study)

    def create_study_once(self, study: NewStudy, request: RequestKey) -> Created:
        """As `create_study`, for a request that may be sent again, as `create_job_once`."""
        with self._database.writing(one_at_a_time=True) as connection:
            return once(connection, request, "study", lambda: studies.create_study(connection, study))

    def study(self, id_or_unique_prefix: str) -> StudyRecord:
        """One study and its jobs. Raises InputError for an unknown or ambiguous id."""
        with self._database.reading() as connection:
            return studies.find_study(connection, id_or_unique_prefix, self._name)

    def study_jobs(self, study_id: str) -> list[JobRecord]:
        """The jobs of the study of this id in the order of running, with their results, without their search state."""
        with self._database.reading() as connection:
            return jobs.jobs_of_study(connection, study_id)

    def ended_studies(self) -> list[str]:
        """The ids of the studies all of whose jobs have ended, oldest first."""
        with self._database.reading() as connection:
            return studies.ended_studies(connection)

    def generations(self, job_id: str) -> list[dict[str, Any]]:
        """The generations of a job: number, evaluations, best, median, n_distinct, seconds, front (rule ids)."""
        with self._database.reading() as connection:
            return generations.list_generations(connection, jobs.job_number(connection, job_id, self._name))

    def history(self, job_id: str, points: int | None = None) -> list[dict[str, Any]]:
        """The generations as above without the front, thinned to at most `points`.

        The first and the last are kept, and the ones where the best fitness rose as far as there is room.
        """
        with self._database.reading() as connection:
            return generations.history(connection, jobs.job_number(connection, job_id, self._name), points)

    def front(self, job_id: str) -> list[FrontItem]:
        """The front of a job's newest generation, running or ended, simplest first; none before the first one."""
        with self._database.reading() as connection:
            return generations.newest_front(connection, jobs.job_number(connection, job_id, self._name))

    def events(self, job_id: str, after: int = 0, limit: int | None = None) -> list[dict[str, Any]]:
        """The first events of a job with an id above `after`: id, time (aware datetime), kind, payload.

        The ids grow in the order of the commits: nobody who saw one finds a smaller one of this job later. Payloads:
        `state` {"state", "previous", "reason", …}; `generation` as in `generations` without the front; `front`, written
        before the generation that changed it, {"generation", "items": [rule objects without validation]}.
        """
        with self._database.reading() as connection:
            return events.list_events(connection, jobs.job_number(connection, job_id, self._name), after, limit)

    def newest_event(self, job_id: str) -> int:
        """The id of a job's newest event."""
        with self._database.reading() as connection:
            return events.newest_event(connection, jobs.job_number(connection, job_id, self._name))

    def cached_scores(
        self, context: str, rule_ids: Sequence[str], instances: Sequence[str]
    ) -> dict[tuple[str, str], ScoreRecord]:
        """The scores of these rules on these instances that are recorded for the context, by (rule id, instance)."""
        with self._database.reading() as connection:
            return scores.cached_scores(connection, context, rule_ids, instances)

    def add_scores(self, rules_scored: Sequence[RuleRecord], new_scores: Sequence[ScoreRecord]) -> None:
        """Record rules and scores that belong to no job; what is there already stays as it is."""
        with self._database.writing(one_at_a_time=True) as connection:
            rules.record_rules(connection, rules_scored)
            scores.record_scores(connection, new_scores)

    def add_library(
        self,
        context: Context,
        library: Sequence[tuple[RuleRecord, Mapping[str, Any]]],
        new_scores: Sequence[ScoreRecord],
    ) -> None:
        """Keep summaries of rules on the library of a context, and the scores behind them."""
        with self._database.writing(one_at_a_time=True) as connection:
            generations.add_library(connection, settings_number(connection, context), library)
            scores.record_scores(connection, new_scores)

    def browse(self, query: RuleQuery, cursor: str | None = None, limit: int = 50) -> Page[FoundRule]:
        """A page of the rules that jobs found: one entry per behaviour and context, in the order asked for.

        Raises InputError for an unknown order, job or parameter, and for a cursor that is not of this list.
        """
        with self._database.reading() as connection:
            return browse(connection, query, cursor, limit, self._name)

    def rules(self, task: str | None = None, top: int = 20) -> list[FoundRule]:
        """The first entries of `browse`."""
        return self.browse(RuleQuery(task=task), limit=top).items

    def rule(self, id_or_unique_prefix: str) -> FoundRule:
        """One rule, as it was written. Raises InputError for an unknown or ambiguous id."""
        with self._database.reading() as connection:
            return rules.find_rule(connection, id_or_unique_prefix, self._name)

    def appearances(self, rule: RuleRecord) -> list[FoundRule]:
        """The entries of a rule's behaviour, one for each context where it is recorded: of the newest job first."""
        with self._database.reading() as connection:
            return rules.appearances(connection, rule)

    def finders(self, rule: RuleRecord, context: str) -> list[Finder]:
        """Jobs that found a rule's behaviour in a context: up to 20, those that reported it first, then the newest."""
        with self._database.reading() as connection:
            return rules.finders(connection, rule, context)

    def contexts(self, digests: Collection[str] | None = None) -> dict[str, Context]:
        """The contexts of recorded jobs by digest, all or these: by task, then the first recorded first."""
        with self._database.reading() as connection:
            return contexts_of(connection, digests)

    def lineage(self, id_or_unique_prefix: str, depth: int = 20) -> Lineage:
        """How the first job that has a rule came to it: its ancestors up to `depth` steps away, and who led to whom."""
        with self._database.reading() as connection:
            found = rules.find_rule(connection, id_or_unique_prefix, self._name)
            return lineage(connection, found.rule, depth)

    def statistics(self) -> RecordStatistics:
        """Jobs by kind and state, the queue, and how many rules were judged."""
        with self._database.reading() as connection:
            return statistics(connection)
