"""Where jobs and rules are: a record (`--db`) or a service (`--server`), asked alike and answering in the same JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from api.command_line.remote import one_place, service
from ruleforge.errors import InputError
from ruleforge.family import family, family_class, loadable_families, recorded_family
from ruleforge.language.identity import Recogniser
from ruleforge.language.rule import Rule
from ruleforge.language.simplify import simplified
from ruleforge.store import FoundRule, JobRecord, RuleQuery, Store, open_store
from workers.describe import describe_context, describe_family
from workers.evaluators.choose import make_evaluator
from workers.export import export_rule
from workers.interface import database_url
from workers.library import score_listed
from workers.origin import found_under
from workers.pictures import draw_rule, write_picture
from workers.scoring import FINAL, nearest_known, rule_object

if TYPE_CHECKING:
    from api.client import Client

# Names that stand for a rule of the newest finished job: highest training fitness, highest validation fitness.
NEWEST = {"champion": "champion", "best": "best_validated"}
# So many finished jobs are looked through for it.
JOBS_LOOKED_AT = 10
PAGE = 200
# What a service adds for those who show its answers elsewhere.
OF_THE_SERVICE = frozenset({"links", "mathml", "figures", "parameters_schema"})
# What `details` has beside what lists show.
DETAILS = ("latex", "tokens", "nearest_known", "found_under", "simplified")
JOB_KEYS = ("id", "task", "state", "generation", "evaluations", "best", "created", "study", "configuration")


class Place(Protocol):
    """What can be asked of a record and of a service. Raises InputError for what is not there."""

    def jobs(self, state: str | None, task: str | None, study: str | None) -> Iterator[dict[str, Any]]:
        """The jobs, newest first."""

    def rules(self, query: RuleQuery) -> Iterator[dict[str, Any]]:
        """The rules of all jobs, one for each behaviour."""

    def contexts(self) -> dict[str, dict[str, Any]]:
        """The contexts of all jobs by digest: context, task, version, parameters, and which of these are `changed`."""

    def score(self, context: Mapping[str, Any], rules: Sequence[Mapping[str, Any]], stop: Callable[[], bool]) -> int:
        """Give rules of a context their score on the library; how many have one now."""

    def rule(self, asked: str) -> dict[str, Any]:
        """One rule as lists show it, by its id, a beginning of it, or a name of NEWEST."""

    def details(self, rule: Mapping[str, Any]) -> dict[str, Any]:
        """The rule with its formula, tokens, simpler form, and what it resembles."""

    def export(self, rule: Mapping[str, Any], format: str) -> str:
        """A rule in a form of `workers.export`."""

    def draw(self, rule: Mapping[str, Any], path: Path) -> None:
        """Draw a rule into a file."""

    def tasks(self, name: str | None) -> list[dict[str, Any]]:
        """The task families, or one of them."""


@contextmanager
def place(database: str | None, server: str | None) -> Iterator[Place]:
    """The service at an address, else the record. Raises InputError if both are given."""
    one_place(database, server)
    if server is not None:
        with service(server) as client:
            yield Service(client)
    else:
        with open_store(database_url(database), create=False) as store:
            yield Record(store)


def newest_rule(results: Iterable[Mapping[str, Any] | None], name: str, where: str) -> str:
    """The id of the rule that a name of NEWEST stands for."""
    for result in results:
        if chosen := (result or {}).get(NEWEST[name]):
            return str(chosen["id"])
    raise InputError(f"no job of {where} has a {name} rule yet: `ruleforge evolve reward` finds one")


def job_object(job: JobRecord) -> dict[str, Any]:
    """A job as lists show it."""
    return {**{name: getattr(job, name) for name in JOB_KEYS}, "created": job.created.isoformat()}


def found_object(found: FoundRule) -> dict[str, Any]:
    """The rule object of a recorded rule, with the number of jobs that found it and the newest of them."""
    item = rule_object(found.rule, found.fitness, found.outcome, found.validation, found.context, found.library)
    beside = {"found": found.found, "jobs": found.jobs, "configurations": found.configurations}
    return {"task": found.rule.task, **item, **beside}


def find_rule(store: Store, asked: str) -> FoundRule:
    """The rule of this id, of an id that begins so, or of one of the names of NEWEST."""
    if asked not in NEWEST:
        return store.rule(asked)
    newest = store.jobs_page(state="succeeded", kind="evolution", limit=JOBS_LOOKED_AT).items
    return store.rule(newest_rule((store.job(job.id).result for job in newest), asked, "the record"))


def parameters_of(store: Store, found: FoundRule) -> dict[str, Any]:
    """Of the family, as the newest job that found the rule had them; none for a rule that no job found."""
    if not found.jobs:
        return {}
    parameters = store.job(found.jobs[0]).spec.get("parameters")
    if not isinstance(parameters, dict):
        raise InputError(f"the specification of job {found.jobs[0]}, which found the rule, is damaged in the record")
    return parameters


def tasks_here(name: str | None) -> list[dict[str, Any]]:
    """The task families that are installed here, or one of them."""
    return [describe_family(family_class(each)) for each in ([name] if name else loadable_families())]


def _details(rule: Rule) -> dict[str, Any]:
    simple = simplified(rule)
    return {
        "latex": rule.latex,
        "tokens": rule.to_tokens(),
        "nearest_known": nearest_known(rule, Recogniser(family_class(rule.task).known_rules())),
        "simplified": simple
        and {
            "rule": simple.rule.text,
            "largest_relative_difference": simple.difference,
            "poles_moved": simple.n_poles_moved,
            "probes": simple.n_probes,
        },
    }


class Record:
    """A record."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def jobs(self, state: str | None, task: str | None, study: str | None) -> Iterator[dict[str, Any]]:
        """As `Place`."""
        ids = None if study is None else {id for _, id in self._store.study(study).jobs}
        cursor = None
        while True:
            page = self._store.jobs_page(state=state, task=task, cursor=cursor, limit=PAGE)
            yield from (job_object(job) for job in page.items if ids is None or job.id in ids)
            if (cursor := page.next) is None:
                return

    def rules(self, query: RuleQuery) -> Iterator[dict[str, Any]]:
        """As `Place`."""
        cursor = None
        while True:
            page = self._store.browse(query, cursor, PAGE)
            yield from map(found_object, page.items)
            if (cursor := page.next) is None:
                return

    def contexts(self) -> dict[str, dict[str, Any]]:
        """As `Place`."""
        return {digest: describe_context(context) for digest, context in self._store.contexts().items()}

    def score(self, context: Mapping[str, Any], rules: Sequence[Mapping[str, Any]], stop: Callable[[], bool]) -> int:
        """As `Place`, on all cores."""
        of_these = self._store.contexts({context["context"]})[context["context"]]
        with closing(make_evaluator()) as evaluator:
            return score_listed(evaluator, of_these, [rule["id"] for rule in rules], self._store, stop)

    def rule(self, asked: str) -> dict[str, Any]:
        """As `Place`."""
        return found_object(find_rule(self._store, asked))

    def details(self, rule: Mapping[str, Any]) -> dict[str, Any]:
        """As `Place`."""
        found = self._store.rule(rule["id"]).rule
        return {**rule, **_details(self._rule(rule)), "found_under": found_under(self._store, found)}

    def _rule(self, rule: Mapping[str, Any]) -> Rule:
        return Rule.from_tokens(self._store.rule(rule["id"]).rule.tokens, recorded_family(rule["task"]))

    def export(self, rule: Mapping[str, Any], format: str) -> str:
        """As `Place`."""
        found = self._store.rule(rule["id"])
        return export_rule(found, format, parameters=parameters_of(self._store, found))

    def draw(self, rule: Mapping[str, Any], path: Path) -> None:
        """As `Place`."""
        found = self._store.rule(rule["id"])
        draw_rule(family(rule["task"], parameters_of(self._store, found)), self._rule(rule), path)

    def tasks(self, name: str | None) -> list[dict[str, Any]]:
        """As `Place`; a record has all families that are installed here."""
        return tasks_here(name)


class Service:
    """A service, whose answers lose what a record does not say."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def jobs(self, state: str | None, task: str | None, study: str | None) -> Iterator[dict[str, Any]]:
        """As `Place`."""
        ids = None if study is None else {job["job"] for job in self._client.study(study)["jobs"]}
        for job in self._client.jobs(state=state, task=task):
            if ids is None or job.id in ids:
                created = job.created.isoformat()
                yield {**{name: job.info[name] for name in JOB_KEYS}, "created": created}

    def rules(self, query: RuleQuery) -> Iterator[dict[str, Any]]:
        """As `Place`."""
        return map(_as_listed, self._client.rule_objects(query))

    def contexts(self) -> dict[str, dict[str, Any]]:
        """As `Place`."""
        return {item["context"]: item for item in self._client.contexts()}

    def score(self, context: Mapping[str, Any], rules: Sequence[Mapping[str, Any]], stop: Callable[[], bool]) -> int:
        """As `Place`, as jobs of the service."""
        what = {"split": "library", **(context["parameters"] or {})}
        queued = [self._client.submit_evaluation(context["task"], rule["rule"], **what) for rule in rules]
        for job in queued:
            job.wait()
        return sum((job.info["result"] or {}).get("outcome") in FINAL for job in queued)

    def rule(self, asked: str) -> dict[str, Any]:
        """As `Place`."""
        if asked in NEWEST:
            newest = islice(self._client.jobs(state="succeeded", kind="evolution"), JOBS_LOOKED_AT)
            asked = newest_rule((job.refresh().info["result"] for job in newest), asked, "the service")
        return _as_listed(self._client.rule_object(asked))

    def details(self, rule: Mapping[str, Any]) -> dict[str, Any]:
        """As `Place`."""
        simple = self._client.simplified(rule["id"])
        shorter = simple and {name: value for name, value in simple.items() if name not in ("latex", "mathml")}
        found = {**self._client.rule_object(rule["id"]), "simplified": shorter}
        return {**rule, **{name: found[name] for name in DETAILS}}

    def export(self, rule: Mapping[str, Any], format: str) -> str:
        """As `Place`."""
        return self._client.export(rule["id"], format)

    def draw(self, rule: Mapping[str, Any], path: Path) -> None:
        """As `Place`; a service draws SVG alone."""
        if path.suffix.lower() != ".svg":
            raise InputError(f"--figure: a service draws SVG: expected a name ending in .svg, and {str(path)!r} came")
        write_picture(path, lambda _: self._client.figure(rule["id"]).encode("utf-8"))

    def tasks(self, name: str | None) -> list[dict[str, Any]]:
        """As `Place`."""
        return [_plain(item) for item in ([self._client.task(name)] if name else self._client.tasks())]


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in OF_THE_SERVICE}


def _as_listed(rule: Mapping[str, Any]) -> dict[str, Any]:
    return {"task": rule["task"], **{name: value for name, value in _plain(rule).items() if name not in DETAILS}}
