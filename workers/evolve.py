"""The one loop: ask → score → tell → one transaction → next. Command line, Python and runner call it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ruleforge.errors import InputError, JobStopped
from ruleforge.family import Outcome, TaskFamily
from ruleforge.language.identity import Recogniser, behaviour
from ruleforge.language.rule import Rule
from ruleforge.search import Generation, Judged, Search, make_search
from ruleforge.spec import Budget, JobSpec, job_spec
from ruleforge.store import (
    END_STATES,
    CandidateRecord,
    GenerationRecord,
    JobRecord,
    NewJob,
    RequestKey,
    Store,
)
from workers.evaluators.interface import Evaluator, never
from workers.lease import RESUMABLE, attended
from workers.library import score_on_library
from workers.observer import Observer, SilentObserver, harmless_observer
from workers.patience import PatientStore
from workers.racing import Effort, race
from workers.scoring import RuleScore, final_records, rule_object, rule_record, score_rules
from workers.validation import beside_best_known, best_validated, judge, stream_seed, validate
from workers.versions import differences, versions

__all__ = ["Observer", "SilentObserver", "new_job", "run_job", "submit", "unfinished_result"]

# In the recorded state of a search whose last generation was cut by the limit of evaluations: the state before it.
CUT = "before_the_cut"


def new_job(spec: JobSpec, priority: int = 0, started_from: str | None = None) -> NewJob:
    """The job of a specification, as it is recorded; started_from: id of the job whose front it starts from."""
    family = spec.family()
    return NewJob(
        task=spec.task,
        spec=spec.model_dump(mode="json", exclude={"name", "notes", "tags"}),
        spec_hash=spec.hash,
        name=spec.name,
        notes=spec.notes,
        tags=spec.tags,
        versions=versions(family),
        context=family.context,
        priority=priority,
        started_from=started_from,
    )


def submit(
    store: Store,
    spec: JobSpec,
    priority: int = 0,
    request: RequestKey | None = None,
    started_from: str | None = None,
) -> str:
    """Record a job, queued, and return its id; of two queued ones that of higher priority is run first.

    request: of a client that may send it again; the id is then that of the job that it made the first time.
    """
    if spec.replicates > 1:
        raise InputError(
            f"replicates: a job has one seed, and {spec.replicates} were asked for: run `ruleforge study FILE.toml`",
            pointer="/replicates",
        )
    job = new_job(spec, priority, started_from)
    return store.create_job(job) if request is None else store.create_job_once(job, request).id


def run_job(
    store: Store,
    job_id: str,
    evaluator: Evaluator,
    *,
    observer: Observer | None = None,
    stop: Callable[[], bool] = never,
    when_stopped: str = "paused",
    allowed: Collection[str] = RESUMABLE,
) -> dict[str, Any]:
    """Run a job from where it stands to its end, or until `stop`; returns the result (JSON-ready).

    A job that has ended gives its stored result. On `stop` the generation in flight is dropped and the job is put into
    the state `when_stopped`. A job that is paused or cancelled elsewhere, or taken over by another process because this
    one was thought dead, is left as it is then; the result says so by its `state`.
    Raises JobHeldError, naming host and process, if another process runs the job; InputError if its state is none of
    the `allowed` ones; EvaluatorLostError if the place of scoring is gone for good, and the job is in the state
    `when_stopped` then.
    """
    watched = harmless_observer(observer)
    patient = PatientStore(store, stop, watched.on_warning)
    job = patient.job(job_id)
    if job.state in END_STATES:
        if job.result is None:
            raise InputError(
                f"job {job.id} {_ended(job.state)} without a result: submit its specification as a new job"
            )
        return job.result
    reason = "started" if job.generation == 0 else "resumed"
    with attended(store, job.id, reason, when_stopped, allowed, stop, watched.on_warning) as lease:
        job = patient.job(job.id)  # as it stands now that nobody else can change it
        _Run(patient, job, evaluator, watched, lambda: stop() or lease.lost(), lease.token).run()
    # What the record has: whoever ended the job, and whether or not it could still say so.
    job = patient.job(job.id)
    return job.result if job.result is not None else unfinished_result(job)


def _ended(state: str) -> str:
    return "was cancelled" if state == "cancelled" else f"has {state}"


def unfinished_result(job: JobRecord) -> dict[str, Any]:
    """What can be said of a job that has not ended, with the keys of a result."""
    return {
        "job": job.id,
        "task": job.task,
        "state": job.state,
        "reported": None,
        "champion": None,
        "best_validated": None,
        "front": [],
        "verdicts": [],
        "test_openings": job.test_openings,
        "generations": job.generation,
        "evaluations": job.evaluations,
        "seconds": job.seconds,
        "history": job.history,
        "stopped_by": None,
    }


class _Run:
    """The state of one run of a job in this process."""

    def __init__(
        self,
        store: Store,
        job: JobRecord,
        evaluator: Evaluator,
        observer: Observer,
        stop: Callable[[], bool],
        lease: str,
    ) -> None:
        self.store, self.job, self.evaluator, self.observer, self.stop = store, job, evaluator, observer, stop
        self.lease = lease
        self.spec = job_spec({**job.spec, "name": job.name, "notes": job.notes, "tags": job.tags})
        self.family: TaskFamily = self.spec.family()
        self.recogniser = Recogniser(self.family.known_rules())
        self.started = time.monotonic() - job.seconds
        self.search: Search = make_search(self.spec)
        self.generations = job.generation
        self.effort = Effort()
        self.fitness: dict[str, NDArray[np.float64]] = {}  # per training instance, of the rules that may compete
        training = self.spec.instances.training
        assert training is not None
        self.keys = self.family.keys("training", training, self.spec.seed, self.spec.instances.source)
        if job.search_state is not None:
            self._restore(job.search_state)

    def _restore(self, state: dict[str, Any]) -> None:
        self.search.restore(state["search"], map(self._judged, self.store.archive(self.job.id)))
        self.effort = Effort(**state["effort"])
        rules = [judged.rule for judged in self._competitors()]
        self._remember(score_rules(self.evaluator, self.family, rules, self.keys, store=self.store))

    def run(self) -> dict[str, Any]:
        self.observer.on_start(self.job, self.spec)
        for difference in differences(self.job.versions, versions(self.family)):
            self.observer.on_warning(f"the same seed may not give the same last bits: {difference}")
        reason = self._stop_reason()
        while reason is None:
            try:
                self._generation()
            except JobStopped:
                if self.stop():
                    raise
                reason = "seconds"
            else:
                reason = self._stop_reason()
        return self._finish(reason)

    def _seconds(self) -> float:
        return time.monotonic() - self.started

    def _out_of_time(self) -> bool:
        limit = self.spec.budget.seconds
        return limit is not None and self._seconds() >= limit

    def _stop_reason(self) -> str | None:
        budget: Budget = self.spec.budget
        best = self.search.front[-1].fitness if self.search.front else -math.inf
        if self.stop():
            raise JobStopped("the job was stopped on request")
        if budget.target is not None and best >= budget.target:
            return "target"
        if budget.evaluations is not None and self.search.evaluations >= budget.evaluations:
            return "evaluations"
        if budget.generations is not None and self.generations >= budget.generations:
            return "generations"
        if self.search.exhausted:
            return "exhausted"
        return "seconds" if self._out_of_time() else None

    def _generation(self) -> None:
        """One round of the loop. Raises JobStopped, with nothing changed, when stopped or out of time."""
        limit = self.spec.budget.evaluations
        left = None if limit is None else limit - self.search.evaluations
        candidates = self.search.ask(left)
        # A generation that the limit cuts is another one than a larger limit gives: where it began is kept, so that a
        # search that is taken further can begin there again.
        began = self._state() if left is not None and len(candidates) >= left else None
        scores, effort = self._score([candidate.rule for candidate in candidates])
        judgements = [(score.aggregate, score.outcome) for score in scores]
        generation = self.search.tell(judgements, [score.fitness.tolist() for score in scores])
        seconds = self._seconds()
        self.effort = self.effort + effort
        state = self._state()
        if began is not None and generation.evaluations == limit:
            state[CUT] = began
        self.store.commit_generation(self.job.id, self._record(generation, scores, seconds, state), self.lease)
        self.generations += 1
        self._remember(scores)
        self.observer.on_generation(generation, seconds)

    def _score(self, rules: list[Rule]) -> tuple[list[RuleScore], Effort]:
        def stop() -> bool:
            return self.stop() or self._out_of_time()

        if self.spec.evaluator.racing:
            field = [self.fitness[judged.rule.id] for judged in self.search.survivors]
            survivors = np.array(field).reshape(len(field), len(self.keys))
            return race(self.evaluator, self.family, rules, self.keys, survivors, self.search.n_survivors, stop)
        scores = score_rules(self.evaluator, self.family, rules, self.keys, store=self.store, stop=stop)
        return scores, Effort(len(rules), len(rules) * len(self.keys), len(rules) * len(self.keys))

    def _remember(self, scores: list[RuleScore]) -> None:
        """Keep the fitness per instance of the rules that later candidates may compete with, and of no others."""
        known = {**self.fitness, **{score.rule.id: score.fitness for score in scores if score.outcome is Outcome.ok}}
        self.fitness = {item.rule.id: known[item.rule.id] for item in self._competitors()}

    def _competitors(self) -> list[Judged]:
        """What lives, and the front, whose rules may come back to life; as far as they are ok."""
        distinct = {item.rule.id: item for item in [*self.search.living, *self.search.front]}
        return [item for item in distinct.values() if item.outcome is Outcome.ok]

    def _state(self) -> dict[str, Any]:
        """Where the search stands, beside the archive (JSON-ready)."""
        return {"search": self.search.state(), "effort": asdict(self.effort)}

    def _record(
        self, generation: Generation, scores: list[RuleScore], seconds: float, state: dict[str, Any]
    ) -> GenerationRecord:
        return GenerationRecord(
            number=generation.number,
            search_state=state,
            history=generation.history,
            evaluations=generation.evaluations,
            best=generation.best,
            median=generation.median,
            n_distinct=len(generation.judged),
            seconds=seconds,
            candidates=[
                CandidateRecord(
                    rule_record(judged.rule, self.recogniser, self._behaviour(judged)),
                    judged.fitness,
                    judged.outcome.value,
                    order,
                    candidate.origin,
                    candidate.parents,
                )
                for order, (judged, candidate) in enumerate(zip(generation.judged, generation.candidates, strict=True))
            ],
            scores=final_records(scores),
            front=[judged.rule.id for judged in generation.front],
        )

    def _behaviour(self, judged: Judged) -> str | None:
        """Identity by behaviour, where the search has it already."""
        return judged.behaviour if self.spec.evaluator.fingerprints else None

    def _judged(self, record: CandidateRecord) -> Judged:
        rule = Rule.from_tokens(record.rule.tokens, type(self.family))
        identity = behaviour(rule) if self.spec.evaluator.fingerprints else rule.id
        return Judged(rule, identity, record.fitness, Outcome(record.outcome))

    def _ancestors(self, job: JobRecord) -> int:
        """How many jobs started one from another's front, down to this one."""
        found = 0
        while job.started_from is not None:
            found += 1
            try:
                job = self.store.job(job.started_from)
            except InputError:  # deleted since
                break
        return found

    def _finish(self, reason: str) -> dict[str, Any]:
        front = self.search.front
        n, n_test = self.spec.instances.validation, self.spec.instances.test
        assert n is not None
        assert n_test is not None
        self.observer.on_validation(len(front), n)
        validated = validate(self.evaluator, self.family, [item.rule for item in front], n, self.store, self.stop)
        library = score_on_library(self.evaluator, self.family, [item.rule for item in front], self.store, self.stop)
        rows = [
            rule_object(
                rule_record(item.rule, self.recogniser),
                item.fitness,
                item.outcome.value,
                score.summary(),
                self.family.parameters_digest,
                library.of(item.rule.id),
            )
            for item, score in zip(front, validated, strict=True)
        ]
        job = self.store.job(self.job.id)
        reported, tested = best_validated(rows), None
        if reported is not None:
            seed = stream_seed(job.spec_hash, self.spec.seed, job.test_openings, self._ancestors(job))
            rule = Rule.parse(reported["rule"], self.family.name)
            tested = judge(self.evaluator, self.family, rule, n_test, seed, self.store, self.stop)
            reported = {**reported, "test_fitness": tested.fitness}
        compared: dict[str, Any] | None = None
        beside: list[RuleScore] = []
        if validated:
            compared, beside = beside_best_known(
                self.evaluator, self.family, validated[-1], library.summaries, self.store, self.stop
            )
        result = {
            "job": job.id,
            "task": job.task,
            "state": "succeeded",
            "reported": reported,
            "champion": rows[-1] if rows else None,
            "best_validated": reported,
            "front": rows,
            "verdicts": tested.verdicts if tested else [],
            "test_openings": job.test_openings + (tested is not None),
            "generations": job.generation,
            "evaluations": self.search.evaluations,
            "seconds": self._seconds(),
            "history": job.history,
            "stopped_by": reason,
            "effort": asdict(self.effort),
            "compared_with": compared,
        }
        validations = {score.rule.id: score.summary() for score in validated}
        records = final_records([*validated, *beside, *([tested.own] if tested else []), *library.scores])
        self.store.finish(
            job.id,
            "succeeded",
            reason,
            f"stopped by {reason}",
            result,
            validations,
            records,
            self.lease,
            library=library.entries,
            opens_test=tested is not None,
        )
        return result
