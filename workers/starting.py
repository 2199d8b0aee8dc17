"""Starting a search from what another one found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ruleforge.errors import InputError, SpecificationError
from ruleforge.search_settings import TREES
from ruleforge.spec import JobSpec, job_spec
from ruleforge.store import Store

SEED_RULES = "/grammar/seed_rules"


def from_front(store: Store, job_id: str, given: Mapping[str, Any]) -> tuple[JobSpec, str]:
    """The specification `given`, with the front of a job among its seed rules, and the id of that job.

    The texts stand in the specification, after its own seed rules, so that it alone gives the result again. Nothing
    else is taken over: parameters, operators and seed are those that are given. Raises InputError for a job of another
    family or without a front, and for a specification that cannot start from these rules.
    """
    job = store.job(job_id)
    task = given.get("task", job.task)
    if job.task != task:
        raise InputError(
            f"job {job.id} is of the task {job.task!r}, and its rules mean nothing to {task!r}: start from a job of "
            "the same task",
            pointer="/from",
        )
    texts = [item.rule.text for item in store.front(job.id)]
    if not texts:
        why = f"is an {job.kind}" if job.kind != "evolution" else "has no rule that stayed finite so far"
        raise InputError(f"job {job.id} {why}: there is no front to start from", pointer="/from")
    grammar = given.get("grammar", {})
    own = grammar.get("seed_rules", ()) if isinstance(grammar, Mapping) else ()
    if not isinstance(grammar, Mapping) or not isinstance(own, (list, tuple)):
        job_spec(given)  # says what is wrong
    seeds = [*own, *(text for text in texts if text not in own)]
    try:
        spec = job_spec({**given, "task": task, "grammar": {**grammar, "seed_rules": seeds}})
    except SpecificationError as error:
        raise SpecificationError([_of_the_front(job.id, len(own), *item) for item in error.errors]) from None
    return spec, job.id


def _of_the_front(job: str, n_own: int, pointer: str, sentence: str) -> tuple[str, str]:
    """An error of a seed rule that was not given, as one of the front that it comes from."""
    if pointer == SEED_RULES and not n_own:
        return "/search/method", f"this method cannot start from the front of job {job}: choose {' or '.join(TREES)}"
    place = pointer.removeprefix(f"{SEED_RULES}/")
    if place.isdigit() and int(place) >= n_own:
        return "/from", f"the front of job {job}: {sentence}"
    return pointer, sentence
