"""What goes into the record and what comes out: frozen, plain, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Generic, TypeVar

from ruleforge.context import Context

Item = TypeVar("Item")

STATES = ("queued", "running", "paused", "succeeded", "failed", "cancelled")
# A job in one of these does nothing more by itself; it leaves them only when somebody takes it further.
END_STATES = frozenset({"succeeded", "failed", "cancelled"})
# By what a list of rules can be ordered.
SORTS = ("fitness", "complexity", "found", "newest")


class Keep(Enum):
    """The one value that means "as it is", where None means "none"."""

    keep = "keep"


KEEP = Keep.keep


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A job as it is submitted. `name`, `notes` and `tags` describe it and are no part of `spec_hash`.

    spec: the job specification, JSON-able; versions: what the numbers depend on (package, kernel, cpu, python, …);
    priority: jobs of a higher one are run first; started_from: id of the job whose front the search starts from;
    context: under what its scores can be compared, None if nobody knows.
    """

    task: str
    kind: str = "evolution"
    spec: Mapping[str, Any]
    spec_hash: str
    name: str | None = None
    notes: str | None = None
    tags: tuple[str, ...] = ()
    versions: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0
    started_from: str | None = None
    context: Context | None = None


@dataclass(frozen=True, kw_only=True)
class NewStudy:
    """A study as it is submitted: jobs as (configuration, job), in the order of running.

    spec: what the study is, JSON-able; spec_hash: of all that determines its result.
    """

    spec: Mapping[str, Any]
    spec_hash: str
    name: str | None
    jobs: Sequence[tuple[str, NewJob]]


@dataclass(frozen=True)
class StudyRecord:
    """A study as it stands: `jobs` are (configuration, job id) in the order of running."""

    id: str
    spec: dict[str, Any]
    spec_hash: str
    name: str | None
    created: datetime
    jobs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class JobRecord:
    """A job as it stands.

    generation: the number of committed generations; evaluations: distinct behaviours simulated; best: highest training
    fitness, None before there is a finite one; seconds: running time so far; history: digest over all generations, ""
    at first; revision: raised by every change of the above, so that two equal ones are one state of the job;
    test_openings: how often rules were looked at on its test stream; started_from: id of the job whose front its search
    started from, which may have been deleted since; context: digest of the context that its scores are of; study,
    configuration: id of the study that it is part of, and the name of its configuration there;
    search_state: where the search continues; `search_state` and `result` are None in lists.
    """

    id: str
    task: str
    kind: str
    state: str
    spec: dict[str, Any]
    spec_hash: str
    name: str | None
    notes: str | None
    tags: tuple[str, ...]
    versions: dict[str, Any]
    generation: int
    evaluations: int
    best: float | None
    seconds: float
    history: str
    stopped_by: str | None
    created: datetime
    updated: datetime
    revision: int
    test_openings: int = 0
    started_from: str | None = None
    context: str = ""
    study: str | None = None
    configuration: str | None = None
    search_state: dict[str, Any] | None = None
    result: dict[str, Any] | None = None


@dataclass(frozen=True)
class RuleRecord:
    """A rule as it was written and run.

    id: exact identity; tokens: one list per slot; complexity: number of nodes; behaviour: identity by behaviour;
    known_as, known_factor: the rule of the literature that it equals up to that positive factor, if there is one.
    """

    id: str
    task: str
    text: str
    tokens: Sequence[Sequence[str | float]]
    complexity: int
    behaviour: str
    known_as: str | None = None
    known_factor: float | None = None


@dataclass(frozen=True)
class ScoreRecord:
    """The score of one rule on one instance.

    context: digest of family parameters, version and kernel; instance: the instance key as text; fitness: larger is
    better, −∞ where the outcome is not ok; metrics: further numbers by name, None where they were not finite.
    """

    rule_id: str
    context: str
    instance: str
    fitness: float
    outcome: str
    metrics: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CandidateRecord:
    """A rule that a job scored: aggregated training fitness (−∞ if not ok), and its place in the order of asking.

    origin: how the search came to it ("seed", "small_rule", "random", "crossover", "mutation", …), None if unknown;
    parents: ids of the rules that it was made from, candidates of the same job.
    """

    rule: RuleRecord
    fitness: float
    outcome: str
    order: int
    origin: str | None = None
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GenerationRecord:
    """Everything that one generation adds to a job; committed as a whole or not at all.

    number: counted from 0; evaluations, seconds: totals of the job so far; best, median: training fitness, None where
    not finite; front: ids of the rules not beaten in both fitness and complexity.
    """

    number: int
    search_state: Mapping[str, Any]
    history: str
    evaluations: int
    best: float | None
    median: float | None
    n_distinct: int
    seconds: float
    candidates: Sequence[CandidateRecord]
    scores: Sequence[ScoreRecord]
    front: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class RollBack:
    """Where a search goes back to: after so many generations, in that state and with that history."""

    generation: int
    evaluations: int
    history: str
    search_state: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Extension:
    """How a job is taken further.

    spec, spec_hash: with its new limits; reason: of the event; revision: of the job as it was read; generation: how
    many generations it goes on from; back_to: where that is, if it is not where the job stands.
    """

    spec: Mapping[str, Any]
    spec_hash: str
    reason: str
    revision: int
    generation: int
    back_to: RollBack | None = None


@dataclass(frozen=True)
class FoundRule:
    """A rule with the best that jobs have measured of its behaviour in one context.

    fitness, outcome, validation: of one candidate of this behaviour, a validated one if there is one; fitness and
    outcome are None where no job has scored it. validation: {"aggregate", "mean", "standard_error", "n", …}.
    found: how many jobs found the behaviour; jobs: ids of the newest of them; configurations: of those that are part of
    a study, the name of their configuration, by id. context: digest, None if no job found it; library: as validation,
    on the instances by which lists are ranked, None where nobody scored it there.
    """

    rule: RuleRecord
    fitness: float | None
    outcome: str | None
    validation: dict[str, Any] | None
    found: int
    jobs: list[str]
    configurations: dict[str, str] = field(default_factory=dict)
    context: str | None = None
    library: dict[str, Any] | None = None


@dataclass(frozen=True)
class Finder:
    """A job that found a behaviour: its id and specification, and its study and configuration, where it is part of one.

    reported: the rule object that its result reports, None where there is none.
    """

    job: str
    spec: dict[str, Any]
    study: str | None
    configuration: str | None
    reported: dict[str, Any] | None


@dataclass(frozen=True)
class FrontItem:
    """A rule of a job's front, as this job wrote it. validation, library: as in `FoundRule`, None before they are."""

    rule: RuleRecord
    fitness: float
    outcome: str
    validation: dict[str, Any] | None
    library: dict[str, Any] | None = None


@dataclass(frozen=True)
class Page(Generic[Item]):
    """A piece of a list. next: the cursor that the next piece is asked for with, URL-safe; None at the end."""

    items: list[Item]
    next: str | None


@dataclass(frozen=True, kw_only=True)
class RuleQuery:
    """Which rules to list, and in what order; what is None does not restrict.

    job: id of a job that found them; parameters: a context or its beginning, or NAME=VALUE, several with commas; known:
    the name of a known rule (as `known_as`, or what stands in it before " = "), "any" or "none"; min_fitness:
    the least training fitness; max_complexity: the most nodes; text: stands in the rule's text, capitals and spaces
    not told apart.
    sort: "fitness" (on the library; those that have no score there after it by validation, then training fitness; best
    first), "complexity" (simplest first), "found" (in the most jobs first), each context by context, since scores of
    two cannot be compared; "newest" (found for the first time most recently, in whatever context).
    """

    task: str | None = None
    job: str | None = None
    parameters: str | None = None
    known: str | None = None
    min_fitness: float | None = None
    max_complexity: int | None = None
    text: str | None = None
    sort: str = "fitness"


@dataclass(frozen=True)
class RequestKey:
    """What a client calls a request, so that sending it again makes nothing twice. digest: of the request's content."""

    key: str
    digest: str


@dataclass(frozen=True)
class Created:
    """The id of what a request made. replayed: it was made by an earlier request with the same key."""

    id: str
    replayed: bool


@dataclass(frozen=True)
class LineageNode:
    """A candidate among the ancestors of a rule: where its job asked for it first, and how the search came to it."""

    rule: RuleRecord
    fitness: float
    outcome: str
    generation: int
    origin: str | None


@dataclass(frozen=True)
class Lineage:
    """How a job came to a rule. nodes: the rule first, then its ancestors, the nearest first; edges: (parent, child).

    job: the first one that has the rule, None if no recorded job has it (nodes and edges are then empty); complete:
    whether every ancestor is there, False where it was cut off at the depth asked for.
    """

    job: str | None
    nodes: list[LineageNode]
    edges: list[tuple[str, str]]
    complete: bool


@dataclass(frozen=True)
class RecordStatistics:
    """Figures of the whole record.

    jobs: number by kind and state, every state named; queued: jobs that wait, and since when the oldest does (None if
    none waits); judged: rules that jobs have judged, by outcome, those of deleted jobs included.
    """

    jobs: dict[str, dict[str, int]]
    queued: int
    oldest_queued: datetime | None
    judged: dict[str, int]

    @property
    def rules_judged(self) -> int:
        """All rules that jobs have judged."""
        return sum(self.judged.values())
