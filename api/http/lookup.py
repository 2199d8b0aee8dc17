"""From what stands in a path to what the record has; 404 if it has none."""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Path

from api.http.problems import Problem, not_found
from api.http.service import Here
from ruleforge.errors import InputError, unknown_name
from ruleforge.family import family_names, recorded_family
from ruleforge.language.rule import Rule
from ruleforge.store import FoundRule, JobRecord

# Of a whole id, or a beginning of one long enough to mean it.
_IDENTITY = re.compile(r"[0-9a-f]{4,64}")


def _found(kind: str, lookup: Callable[[str], Any], asked: str, *, whole: bool, identity: Callable[[Any], str]) -> Any:
    missing = f"there is no {kind} {asked!r}: GET the list of them, and use a whole id"
    if not _IDENTITY.fullmatch(asked):
        raise Problem(HTTPStatus.NOT_FOUND, missing)
    with not_found(missing):
        record = lookup(asked)
    if whole and identity(record) != asked:
        raise Problem(HTTPStatus.NOT_FOUND, missing)
    return record


def job_named(here: Here, asked: str, *, whole: bool = True) -> JobRecord:
    """The job of this id."""
    record: JobRecord = _found("job", here.store.job, asked, whole=whole, identity=lambda job: str(job.id))
    return record


def _one_job(here: Here, id: Annotated[str, Path(description="id of a job")]) -> JobRecord:
    return job_named(here, id)


def _begun_job(here: Here, id: Annotated[str, Path(description="id of a job, or its first digits")]) -> JobRecord:
    return job_named(here, id, whole=False)


def _one_rule(here: Here, id: Annotated[str, Path(description="id of a rule")]) -> FoundRule:
    found: FoundRule = _found("rule", here.store.rule, id, whole=True, identity=lambda found: str(found.rule.id))
    return found


def _begun_rule(here: Here, id: Annotated[str, Path(description="id of a rule, or its first digits")]) -> FoundRule:
    found: FoundRule = _found("rule", here.store.rule, id, whole=False, identity=lambda found: str(found.rule.id))
    return found


def study_named(here: Here, asked: str) -> Any:
    """The study of this id."""
    return _found("study", here.store.study, asked, whole=True, identity=lambda study: str(study.id))


OneJob = Annotated[JobRecord, Depends(_one_job)]
BegunJob = Annotated[JobRecord, Depends(_begun_job)]
OneRule = Annotated[FoundRule, Depends(_one_rule)]
BegunRule = Annotated[FoundRule, Depends(_begun_rule)]


def readable(found: FoundRule) -> Rule:
    """The rule, of its tokens; 422 with the reason if its family is not installed here, or it is none of the family."""
    try:
        return Rule.from_tokens(found.rule.tokens, recorded_family(found.rule.task))
    except InputError as error:
        reason = f"the rule {found.rule.text[:200]!r} cannot be read here: {error}"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, reason, [("/id", str(error))]) from None


def family_named(asked: str) -> str:
    """The task family of this name."""
    if asked not in family_names():
        raise Problem(HTTPStatus.NOT_FOUND, unknown_name("task", asked, family_names()))
    return asked
