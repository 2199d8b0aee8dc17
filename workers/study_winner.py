"""The winner of a study: chosen among its jobs' rules by validation, then judged on one fresh test stream of the study.

A job's own test stream was opened for the job's rule, and is no fresh one once the best of many such rules is looked
for: of as many figures the highest flatters. So the test figures of the jobs take no part in the choice, and the winner
gets a stream whose seed comes from the study. Only rules of one context (family, version, parameters) are compared:
a study over several has one winner for each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruleforge.errors import InputError, RuleforgeError
from ruleforge.family import Scores, TaskFamily
from ruleforge.language.identity import Recogniser
from ruleforge.language.rule import Rule
from ruleforge.spec import job_spec
from ruleforge.store import Store
from workers.evaluators.interface import Evaluator, Request, never
from workers.scoring import final_records, rule_record
from workers.validation import Tested, judge, stream_seed


@dataclass(frozen=True)
class _Winner:
    """The chosen job of a context, its rule object, and what it is judged on."""

    job: Mapping[str, Any]
    reported: Mapping[str, Any]
    family: TaskFamily
    n: int
    seed: int

    def judged(self, evaluator: Evaluator, store: Store, stop: Callable[[], bool] = never) -> Tested:
        rule = Rule.parse(self.reported["rule"], self.family.name)
        return judge(evaluator, self.family, rule, self.n, self.seed, store, stop)


def open_test_of_study(
    store: Store,
    study_hash: str,
    jobs: Sequence[Mapping[str, Any]],
    evaluator: Evaluator,
    stop: Callable[[], bool] = never,
) -> None:
    """Score the winners and all that they are compared with on the study's test stream, into the record."""
    for winner in _winners(store, study_hash, jobs):
        tested = winner.judged(evaluator, store, stop)
        recogniser = Recogniser(winner.family.known_rules())
        rules = [rule_record(score.rule, recogniser) for score in tested.scores]
        store.add_scores(rules, final_records(tested.scores))


def winners(store: Store, study_hash: str, jobs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The winner of each context (JSON-ready); test_fitness null and verdicts empty until its stream was opened.

    jobs: the rows of a study's jobs, in order: of equal ones the first wins.
    """
    found = []
    for winner in _winners(store, study_hash, jobs):
        try:
            tested = winner.judged(_RecordAlone(), store)
        except _NotRecordedError:
            tested = None
        found.append(
            {
                "task": winner.family.name,
                "context": winner.family.parameters_digest,
                "configuration": winner.job["configuration"],
                "job": winner.job["job"],
                "seed": winner.job["seed"],
                "reported": {**winner.reported, "test_fitness": tested.fitness if tested else None},
                "verdicts": tested.verdicts if tested else [],
            }
        )
    return found


def _winners(store: Store, study_hash: str, jobs: Sequence[Mapping[str, Any]]) -> list[_Winner]:
    best: dict[tuple[str, int | None], _Winner] = {}
    for job in jobs:
        reported = job["reported"]
        if job["state"] != "succeeded" or reported is None or reported["validation_fitness"]["aggregate"] is None:
            continue
        try:
            spec = job_spec(store.job(job["job"]).spec)
        except InputError:  # of a family that is not installed here, or that refuses by now what it took then
            continue
        family = spec.family()
        # Rules are compared on the same instances: of one family, version, parameters and number.
        key = family.parameters_digest, spec.instances.validation
        before = best.get(key)
        rank = reported["validation_fitness"]["aggregate"]
        if before is None or rank > before.reported["validation_fitness"]["aggregate"]:
            n = spec.instances.test
            assert n is not None
            best[key] = _Winner(job, reported, family, n, stream_seed(study_hash, 0, 0))
    return list(best.values())


class _NotRecordedError(RuleforgeError):
    """A score that the record does not have."""


class _RecordAlone(Evaluator):
    """Scores nothing: whoever asks it has the scores in the record, or is told that they are not there."""

    workers = 0

    def answer(self, request: Request) -> list[Scores]:
        """Raises _NotRecordedError."""
        raise _NotRecordedError("the test stream of the study has not been opened yet")

    def close(self) -> None:
        """Nothing."""
