"""`ruleforge.Client`: a service as Python sees it."""

from __future__ import annotations

import dataclasses
import secrets
import sys
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Literal, cast

from api.client.address import DEFAULT_URL
from api.client.connection import Connection
from api.client.job import Job
from api.client.rules import RecordedRule, as_recorded
from ruleforge import checked
from ruleforge.errors import InputError
from ruleforge.family import Split
from ruleforge.language.rule import Rule
from ruleforge.store import RuleQuery
from workers.evaluate import LARGEST_SEED, MAX_INSTANCES
from workers.interface import Evaluation

Json = dict[str, Any]
# Of a timeout, from the shortest to a month.
SECONDS = (0.001, 2.6e6)
LARGEST = sys.float_info.max


class Client:
    """A ruleforge service (`ruleforge serve`) at an address.

    timeout: in seconds, for one answer; within it, what breaks on the way is tried again as far as that is harmless.
    Use it as a context manager, or `close` it. Every method raises InputError (SpecificationError with a pointer to
    each refused field) for what the service refuses, and ServiceError if it cannot be reached or is at fault.
    """

    def __init__(self, url: str = DEFAULT_URL, *, timeout: float = 30.0) -> None:
        self._connection = Connection(
            checked.text("url", url), checked.number("timeout", timeout, *SECONDS, of="seconds")
        )

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._connection.url

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; jobs go on."""
        self._connection.close()

    def __repr__(self) -> str:
        return f"Client({self.url!r})"

    # Jobs

    def submit(
        self,
        specification: Mapping[str, Any] | None = None,
        *,
        from_job: str | None = None,
        idempotency_key: str | None = None,
        **keys: Any,
    ) -> Job:
        """Queue an evolution: a job specification as a mapping, as keywords (which go over it), or both.

        from_job: id of a job of the same task, whose front becomes the seed rules that the search starts from.

        Sent again when the answer is lost, it is still one job, because it carries an Idempotency-Key: its own, or
        yours, if two processes might submit the same.
        """
        given = {**checked.table("specification", {} if specification is None else specification), **keys}
        if given.get("replicates", 1) != 1:
            raise InputError(
                f"replicates: a job has one seed, and {given['replicates']!r} were asked for: use submit_study",
                pointer="/replicates",
            )
        source = {"from": checked.optional_text("from_job", from_job)}
        return Job(self._connection, self._queued("/jobs", given, idempotency_key, source))

    def submit_study(
        self, specification: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None, **keys: Any
    ) -> Json:
        """Queue a study, a specification with `replicates` of 2 or more; what `study` gives."""
        given = {**checked.table("specification", {} if specification is None else specification), **keys}
        if given.get("replicates", 1) == 1:
            raise InputError("replicates: a study has 2 or more, and 1 came: use submit", pointer="/replicates")
        return self._queued("/jobs", given, idempotency_key)

    def _queued(
        self, path: str, body: Mapping[str, Any], key: str | None, query: Mapping[str, str | None] | None = None
    ) -> Json:
        headers = {"Idempotency-Key": checked.optional_text("idempotency_key", key) or secrets.token_hex(16)}
        sent = checked.as_json("specification", dict(body))
        answer: Json = self._connection.json("POST", path, query=query, body=sent, headers=headers)
        return answer

    def job(self, id: str) -> Job:
        """The job of this id, or of an id that begins so."""
        return Job(self._connection, self._connection.json("GET", f"/jobs/{_segment(id)}"))

    def jobs(
        self,
        *,
        state: str | None = None,
        task: str | None = None,
        kind: str | None = None,
        spec_hash: str | None = None,
    ) -> Iterator[Job]:
        """The jobs, newest first, page by page; without their results until refreshed."""
        given = {"state": state, "task": task, "kind": kind, "spec_hash": spec_hash}
        query = {name: checked.optional_text(name, value) for name, value in given.items()}
        return (Job(self._connection, item) for item in self._pages("/jobs", query))

    def study(self, id: str) -> Json:
        """A study: state, rows of statistics, jobs."""
        found: Json = self._connection.json("GET", f"/studies/{_segment(id)}")
        return found

    # Rules

    def rules(
        self,
        *,
        task: str | None = None,
        job: str | None = None,
        parameters: str | None = None,
        known: str | None = None,
        min_fitness: float | None = None,
        max_complexity: int | None = None,
        text: str | None = None,
        sort: Literal["fitness", "complexity", "found", "newest"] = "fitness",
    ) -> Iterator[RecordedRule]:
        """The rules of all jobs, one per behaviour and context, page by page, each context ranked by itself.

        job: id of a job that found them; parameters: a context or its first digits, or NAME=VALUE, several with commas;
        known: name of a rule of the literature, "any" or "none"; text: part of the rule's text.
        """
        checked.text("sort", sort)
        query = RuleQuery(
            task=checked.optional_text("task", task),
            job=checked.optional_text("job", job),
            parameters=checked.optional_text("parameters", parameters),
            known=checked.optional_text("known", known),
            min_fitness=checked.optional_number("min_fitness", min_fitness, -LARGEST, LARGEST),
            max_complexity=checked.optional_whole_number("max_complexity", max_complexity, 1, 2**31 - 1),
            text=checked.optional_text("text", text),
            sort=sort,
        )
        return map(as_recorded, self.rule_objects(query))

    def contexts(self) -> list[Json]:
        """The contexts of all jobs: families, each with its version and parameters."""
        items: list[Json] = self._connection.json("GET", "/contexts")["items"]
        return items

    def rule_objects(self, query: RuleQuery) -> Iterator[Json]:
        """The same as the service's JSON, which needs no family of a rule to be installed here."""
        if not isinstance(query, RuleQuery):
            raise InputError(f"query: expected a RuleQuery, and {checked.shown(query)} came")
        return self._pages("/rules", dataclasses.asdict(query))

    def _pages(self, path: str, query: Mapping[str, Any]) -> Iterator[Json]:
        cursor: str | None = None
        while True:
            page = self._connection.json("GET", path, query={**query, "cursor": cursor})
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def rule(self, id: str | Rule) -> RecordedRule:
        """The rule of this id, or of an id that begins so."""
        return as_recorded(self.rule_object(id))

    def rule_object(self, id: str | Rule) -> Json:
        """The same as the service's JSON."""
        found: Json = self._connection.json("GET", self._rule_path(id))
        return found

    def simplified(self, id: str | Rule) -> Json | None:
        """A form of the rule with fewer nodes, and how far it differs; None where none was found."""
        found: Json | None = self._connection.json("GET", f"{self._rule_path(id)}/simplified")["simplified"]
        return found

    def export(self, id: str | Rule, format: str = "text", *, job: str | None = None) -> str:
        """The rule as the text of a file: `text`, `latex`, `mathml`, `python` or `json`.

        job: whose parameters it names [default: the newest that found it].
        """
        query = {"format": checked.text("format", format), "job": checked.optional_text("job", job)}
        return self._connection.request("GET", f"{self._rule_path(id)}/export", query=query).text

    def trace(self, id: str | Rule, *, job: str | None = None) -> Json:
        """What happens in simulations with the rule, as arrays for charts."""
        found: Json = self._connection.json(
            "GET", f"{self._rule_path(id)}/trace", query={"job": checked.optional_text("job", job)}
        )
        return found

    def figure(self, id: str | Rule, kind: str | None = None, *, job: str | None = None) -> str:
        """A picture of what the rule does, as SVG."""
        query = {"kind": checked.optional_text("kind", kind), "job": checked.optional_text("job", job)}
        return self._connection.request("GET", f"{self._rule_path(id)}/figure.svg", query=query).text

    def lineage(self, id: str | Rule, depth: int | None = None) -> Json:
        """What the rule was made of, in the job that found it first: nodes and edges."""
        found: Json = self._connection.json(
            "GET",
            f"{self._rule_path(id)}/lineage",
            query={"depth": checked.optional_whole_number("depth", depth, 0, 2**31 - 1)},
        )
        return found

    @staticmethod
    def _rule_path(id: str | Rule) -> str:
        return f"/rules/{id.id if isinstance(id, Rule) else _segment(id)}"

    def evaluate(
        self,
        task: str,
        rule: str | Rule,
        *,
        split: Split = "training",
        n: int | None = None,
        seed: int = 0,
        timeout: float | None = None,
        **parameters: Any,
    ) -> Evaluation:
        """Score one rule on n instances of a split, as `ruleforge.evaluate` does, on the service's workers.

        Waits for the score, which goes ahead of evolutions; raises WaitTimeoutError after `timeout` seconds.
        """
        timeout = checked.optional_number("timeout", timeout, 0, LARGEST, of="seconds")
        job = self.submit_evaluation(task, rule, split=split, n=n, seed=seed, **parameters)
        return cast(Evaluation, job.wait(timeout=timeout))

    def submit_evaluation(
        self,
        task: str,
        rule: str | Rule,
        *,
        split: Split = "training",
        n: int | None = None,
        seed: int = 0,
        **parameters: Any,
    ) -> Job:
        """Queue the score of a rule as a job, ahead of evolutions."""
        asked: Json = {
            "task": checked.text("task", task),
            "rule": rule.text if isinstance(rule, Rule) else checked.text("rule", rule),
            "split": checked.text("split", split),
            "seed": checked.whole_number("seed", seed, 0, LARGEST_SEED),
            "parameters": parameters,
        }
        if n is not None:
            asked["n"] = checked.whole_number("n", n, 1, MAX_INSTANCES)
        return Job(self._connection, self._queued("/rules:evaluate", asked, None))

    # The service

    def tasks(self) -> list[Json]:
        """The task families: slots, signals, parameters, known rules."""
        items: list[Json] = self._connection.json("GET", "/tasks")["items"]
        return items

    def task(self, name: str) -> Json:
        """One task family."""
        found: Json = self._connection.json("GET", f"/tasks/{_segment(name)}")
        return found

    def cluster(self) -> Json:
        """Who scores, what runs where, what is waiting."""
        found: Json = self._connection.json("GET", "/cluster")
        return found


def _segment(text: str) -> str:
    """A part of a path that cannot lead anywhere else."""
    if not isinstance(text, str) or not text or not all(each.isalnum() or each in "-_" for each in text):
        raise InputError(f"expected an id or a name of letters and digits, and {checked.shown(text)} came")
    return text
