"""What is sent, as models: shapes for the description, and the check that answers keep to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ruleforge.spec import Budget

Item = TypeVar("Item")
Links = dict[str, str]
State = Literal["queued", "running", "paused", "succeeded", "failed", "cancelled"]
Kind = Literal["evolution", "evaluation"]


class Validation(BaseModel):
    """Fitness on instances that the search never saw. A record that is old or a list keeps the first four figures."""

    aggregate: float | None = Field(description="by the family's statistic: what rules are chosen and compared by")
    mean: float | None
    standard_error: float | None = Field(description="of the mean; null for one instance")
    n: int = Field(description="instances")
    statistic: str | None = Field(None, description="name of the family's statistic")
    interval: list[float] | None = Field(None, description="95 % interval of the aggregate, by bootstrap")
    quartiles: list[float] | None = Field(None, description="lower quartile, median, upper quartile of the instances")
    failures: int | None = Field(None, description="instances below the fitness that the family calls a failure")
    metrics: dict[str, float | None] = Field(default_factory=dict, description="further numbers, as means")


class RuleObject(BaseModel):
    """A rule with its scores. Numbers that are not finite are null, and `outcome` says why."""

    id: str = Field(description="exact identity")
    behaviour: str = Field(description="identity by behaviour")
    context: str | None = Field(
        description="digest of family, version and parameters: what its scores can be compared with; "
        "null if no job found it"
    )
    rule: str = Field(description="the text that ran")
    complexity: int = Field(description="nodes")
    fitness: float | None = Field(description="training fitness, aggregated; higher is better")
    validation_fitness: Validation | None
    library_fitness: Validation | None = Field(
        description="on the library, the instances by which lists are ranked; null where nobody scored it there"
    )
    outcome: str | None
    known_as: str | None = Field(description="the rule of the literature that it equals up to a positive factor")
    known_factor: float | None
    latex: str | None = Field(description="null where the rule cannot be read here, as one of a family not installed")
    mathml: str | None = Field(description="presentation MathML; null as `latex`")


class FoundRuleObject(RuleObject):
    """A rule of the whole record."""

    task: str
    found: int = Field(description="how many jobs found the behaviour")
    jobs: list[str] = Field(description="the newest of them")
    configurations: dict[str, str] = Field(
        description="of those jobs that are part of a study, the name of their configuration"
    )
    links: Links


class ContextObject(BaseModel):
    """Under what scores can be compared; null where nobody recorded it."""

    context: str = Field(description="its digest")
    task: str
    version: int | None
    parameters: dict[str, Any] | None
    changed: dict[str, Any] | None = Field(
        description="parameters that are not the family's defaults; null if it is not installed here"
    )


class Simplified(BaseModel):
    """A form with fewer nodes, and how far it differs where rules are compared."""

    rule: str
    latex: str
    mathml: str
    largest_relative_difference: float
    poles_moved: int
    probes: int


class Simplification(BaseModel):
    """A rule, and a simpler form where one was found within the time."""

    rule: str
    simplified: Simplified | None


class NearestKnown(BaseModel):
    """The rule of the literature that a rule is most like."""

    name: str
    distance: float = Field(
        ge=0,
        le=1,
        description="share (in quadrature) of its outputs over the signals' ranges that no positive multiple of the "
        "known rule gives; 0: proportional to it, 1: nothing in common",
    )


class ExportedSlot(BaseModel):
    """A slot of an exported rule, with what the rule may read there."""

    name: str
    when: str
    updates: str
    signals: list[dict[str, Any]] = Field(description="symbol, unit, meaning and range of each")


class ExportedRule(BaseModel):
    """Everything from which a rule can be made again, and what was measured of it."""

    task: str
    task_version: int
    parameters: dict[str, Any] = Field(description="of the task family, complete")
    rule: str
    tokens: list[list[str | float]]
    id: str
    behaviour: str
    complexity: int
    slots: list[ExportedSlot]
    known_as: str | None
    known_factor: float | None
    nearest_known: NearestKnown | None
    latex: str
    fitness: float | None
    validation_fitness: dict[str, Any] | None
    outcome: str | None
    citation: str


class Progress(BaseModel):
    """How far a job is towards the first of its limits."""

    fraction: float | None = Field(ge=0, le=1, description="null if no limit can tell")
    limit: str | None = Field(description="the limit that is nearest")


class Job(BaseModel):
    """A job as lists show it."""

    id: str
    kind: Kind
    task: str
    state: State
    generation: int = Field(description="committed generations")
    evaluations: int = Field(description="distinct behaviours simulated")
    best: float | None = Field(description="highest training fitness")
    seconds: float = Field(description="running time")
    history: str = Field(description="digest over all generations: equal digests = identical histories")
    stopped_by: str | None
    name: str | None
    notes: str | None
    tags: list[str]
    created: datetime
    updated: datetime
    started_from: str | None = Field(description="id of the job whose front its search started from")
    spec_hash: str = Field(description="of the specification without name, notes and tags")
    context: str = Field(description="digest of family, version and parameters: what its scores can be compared with")
    study: str | None = Field(description="id of the study that it is part of")
    configuration: str | None = Field(description="the name of its configuration there")
    spec: dict[str, Any] = Field(description="the specification with every default filled in")
    progress: Progress
    links: Links


class JobDetails(Job):
    """A job with its result, as soon as there is one."""

    versions: dict[str, Any] = Field(description="what the last bits of a score depend on")
    result: dict[str, Any] | None


class Page(BaseModel, Generic[Item]):
    """A part of a list. `next` goes into `cursor`; the Link header has the whole address."""

    items: list[Item]
    next: str | None


class Items(BaseModel, Generic[Item]):
    """A whole list."""

    items: list[Item]


class GenerationObject(BaseModel):
    """One generation of a job."""

    number: int
    evaluations: int = Field(description="of the job so far")
    best: float | None
    median: float | None
    n_distinct: int
    seconds: float = Field(description="of the job so far")


class Description(BaseModel):
    """What may be changed of a job: a merge patch (RFC 7396), where null takes away."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(None, max_length=200)
    notes: str | None = Field(None, max_length=10_000)
    tags: tuple[str, ...] | None = Field(None, max_length=50)


class Extension(BaseModel):
    """How far a job is to be taken: limits in all, each larger than what ran; they replace all that it had."""

    model_config = ConfigDict(extra="forbid")

    budget: Budget


class AxisObject(BaseModel):
    """What is along an axis."""

    name: str
    unit: str


class SeriesObject(BaseModel):
    """A line or a cloud of points; arrays of one length, null where a value is not finite."""

    name: str
    style: Literal["line", "points"]
    x: list[float | None]
    y: list[float | None]
    low: list[float | None] | None = Field(description="of a band around the line")
    high: list[float | None] | None


class ChartObject(BaseModel):
    """A chart."""

    kind: str = Field(description="under which there is a picture of it too")
    title: str
    x: AxisObject
    y: AxisObject
    series: list[SeriesObject]


class TraceObject(BaseModel):
    """What a rule does on unseen instances, as charts."""

    task: str
    parameters: dict[str, Any]
    rule: str
    id: str
    instances: list[str] = Field(description="keys of the instances")
    charts: list[ChartObject]


class LineageNode(BaseModel):
    """A rule among the ancestors of another."""

    id: str
    rule: str
    complexity: int
    generation: int = Field(description="in which the job asked for it first")
    fitness: float | None
    outcome: str
    origin: str | None = Field(description="how it came about")


class LineageEdge(BaseModel):
    """A parent (rule id) and what was made of it."""

    parent: str
    child: str


class Lineage(BaseModel):
    """How the job that found a rule first came to it."""

    job: str | None = Field(description="null if no recorded job has it")
    nodes: list[LineageNode] = Field(description="the rule first, then its ancestors, the nearest first")
    edges: list[LineageEdge]
    complete: bool = Field(description="false where it was cut off at the depth asked for")


class SignalObject(BaseModel):
    """A local variable that a rule may read."""

    symbol: str
    unit: str
    meaning: str
    range: list[float]
    values: list[float]
    default: bool


class SlotObject(BaseModel):
    """One of the expressions that make up a rule."""

    name: str
    when: str
    updates: str
    signals: list[SignalObject]


class ParameterObject(BaseModel):
    """A parameter of a task family."""

    name: str
    default: Any
    meaning: str | None
    unit: str
    source: str


class KnownRuleObject(BaseModel):
    """A rule of the literature."""

    name: str
    rule: str
    citation: str
    published: float | None


class SearchDefaultsObject(BaseModel):
    """What a job of the family assumes unless it says otherwise."""

    operators: list[str]
    constants: list[float]
    target: float | None
    training: int
    validation: int
    test: int
    library: int = Field(description="instances by which lists of rules are ranked")


class Task(BaseModel):
    """A task family."""

    name: str
    version: int
    title: str
    citation: str
    fitness: str
    slots: list[SlotObject]
    parameters: list[ParameterObject]
    known_rules: list[KnownRuleObject]
    search_defaults: SearchDefaultsObject
    figures: list[str] = Field(description="kinds of pictures, the first by default")
    parameters_schema: dict[str, Any] = Field(description="JSON schema of `parameters` in a job specification")
    links: Links


class Study(BaseModel):
    """Several jobs that belong together, and what they say so far."""

    study: str
    name: str | None
    state: State
    rows: list[dict[str, Any]] = Field(description="statistics, one row for each configuration")
    winners: list[dict[str, Any]] = Field(
        description="once all jobs have ended, of each context the rule that is best by validation, with its fitness "
        "and verdicts on one test stream of the study"
    )
    jobs: list[dict[str, Any]]
    links: Links


class Health(BaseModel):
    """That the service can be used."""

    status: Literal["ok"]
