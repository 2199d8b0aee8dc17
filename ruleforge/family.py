"""What a task family is: the seam between rules and the learning problems that score them."""

from __future__ import annotations

import enum
import functools
import importlib.metadata
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from ruleforge.charts import Chart
from ruleforge.checked import text
from ruleforge.context import Context
from ruleforge.cost import Cost
from ruleforge.errors import InputError, SpecificationError, unknown_name
from ruleforge.instances import LIBRARY_SEED as LIBRARY_SEED  # noqa: PLC0414 (families take these from here)
from ruleforge.instances import SPLITS as SPLITS  # noqa: PLC0414
from ruleforge.instances import InstanceKey as InstanceKey  # noqa: PLC0414
from ruleforge.instances import Split as Split  # noqa: PLC0414
from ruleforge.instances import checked_split as checked_split  # noqa: PLC0414
from ruleforge.language.identity import KnownRule
from ruleforge.language.rule import Rule
from ruleforge.language.signals import Slot
from ruleforge.nesting import refuse_deep
from ruleforge.packages import refuse_foreign_packages
from ruleforge.parameters import FamilyParameters as FamilyParameters  # noqa: PLC0414 (families take both from here)
from ruleforge.parameters import parameter as parameter  # noqa: PLC0414
from ruleforge.statistics import MEAN, Statistic
from ruleforge.validation import explain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ENTRY_POINTS = "ruleforge.tasks"


class Outcome(enum.StrEnum):
    """Why a score is what it is."""

    ok = "ok"
    non_finite = "non_finite"
    rejected_at_hurdle = "rejected_at_hurdle"
    timed_out = "timed_out"
    failed = "failed"

    @property
    def meaning(self) -> str:
        """The outcome as a sentence."""
        return {
            Outcome.ok: "the rule was simulated to the end",
            Outcome.non_finite: "the rule, or what it drives, became infinite or not a number",
            Outcome.rejected_at_hurdle: "the rule fell behind on the first instances and was not simulated on the rest",
            Outcome.timed_out: "the simulation did not end within its time",
            Outcome.failed: "the simulation could not be run",
        }[self]


@dataclass(frozen=True)
class Scores:
    """Scores of a batch of rules on one instance.

    fitness: (n_rules,) float64, larger is better, −∞ where the outcome is not ok; outcome: one per rule;
    metrics: further numbers by name, each (n_rules,) float64.
    """

    fitness: NDArray[np.float64]
    outcome: tuple[Outcome, ...]
    metrics: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)


@dataclass(frozen=True)
class Quantity:
    """One recorded array of a trace with its unit and meaning."""

    values: NDArray[np.float64]
    unit: str
    meaning: str


# A trace: what happened inside one simulation, by name, for pictures.
Trace = Mapping[str, Quantity]


@dataclass(frozen=True)
class SearchDefaults:
    """What a job assumes for this family unless it says otherwise.

    operators, constants: the grammar; target: the training fitness at which a search has succeeded;
    training, validation, test, library: numbers of instances, test as many as validation if it is left out; parameters:
    of the family, where a search takes another value than everything else does, such as a shortcut that is good enough
    for racing; published_search: what the search method of the family's publication was set to, by method, where it
    differs from that method's defaults.
    """

    operators: tuple[str, ...]
    constants: tuple[float, ...]
    target: float | None
    training: int
    validation: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    published_search: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    library: int = 100
    test: int = 0

    def __post_init__(self) -> None:
        if self.test == 0:
            object.__setattr__(self, "test", self.validation)

    def instances(self, split: Split) -> int:
        """How many instances of a split a score has unless it says otherwise."""
        counts: dict[Split, int] = {
            "training": self.training,
            "validation": self.validation,
            "test": self.test,
            "library": self.library,
        }
        return counts[split]


@dataclass(frozen=True)
class PublishedRow:
    """A published figure: the rule as it was scored, its fitness, and that of an independent re-implementation.

    parameters: what this row changes in the family's published protocol; split, n: on which experiments, None for
    those asked for; statistic: how the fitness of the experiments was put together.
    """

    rule: str
    published: float | None
    reimplemented: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    split: Split | None = None
    n: int | None = None
    statistic: Literal["aggregate", "mean"] = "aggregate"


@dataclass(frozen=True)
class PublishedExperiments:
    """The experiments that a family's publication reports, to be run again.

    rows: its figures on the training experiments; seed: which number the experiments of a split begin from;
    parameters: what the publication set differently from the family's defaults, by split; n: how many, by split;
    keys: (split, seed, n) → the keys of the experiments.
    """

    rows: tuple[PublishedRow, ...]
    seed: Mapping[Split, int]
    parameters: Mapping[Split, Mapping[str, Any]]
    n: Mapping[Split, int]
    keys: Callable[[Split, int, int], list[InstanceKey]]


class TaskFamily(ABC):
    """A distribution of learning problems, bound to validated parameters.

    Contract (`python -m ruleforge.conformance NAME` checks it): instances are plain data; `build` depends on nothing
    but parameters and key; `evaluate` gives a rule the same bits whatever else is in its batch and in whichever thread
    it runs; a rule that leaves the finite numbers gets fitness −∞ and outcome non_finite, and never raises, in `trace`
    and `draw` neither. `name` and `version` are part of every score's key: raise `version` when scores change their
    meaning.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    title: ClassVar[str]
    citation: ClassVar[str]
    fitness_meaning: ClassVar[str]
    Parameters: ClassVar[type[FamilyParameters]]
    slots: ClassVar[tuple[Slot, ...]]
    search_defaults: ClassVar[SearchDefaults]
    # (name, text, citation, published fitness or None); read through `known_rules`.
    literature: ClassVar[tuple[tuple[str, str, str, float | None], ...]] = ()
    # The names of the charts that `charts` gives.
    chart_kinds: ClassVar[tuple[str, ...]] = ()
    # What fitness on unseen instances is shown, sorted, compared and chosen by; and the fitness under which an instance
    # counts as failed, if the family knows one. Training goes by `aggregate`.
    statistic: ClassVar[Statistic] = MEAN
    failure_below: ClassVar[float | None] = None
    # How evaluators should cut work: rules and instances that one call handles at no more cost than a single one.
    rules_per_batch: ClassVar[int] = 16
    instances_per_batch: ClassVar[int] = 1
    # The fewest rules that a thread should be given at once, where it is not rules_per_batch; and whether those of one
    # call share work that several calls would repeat.
    rules_per_unit: ClassVar[int | None] = None
    rules_share_work: ClassVar[bool] = False

    def __init__(self, parameters: FamilyParameters | Mapping[str, Any] | None = None) -> None:
        self.parameters: Any = parameters
        if not isinstance(parameters, FamilyParameters):
            self.parameters = validated_parameters(type(self), parameters or {})
        elif not isinstance(parameters, self.Parameters):
            expected, came = self.Parameters.__name__, type(parameters).__name__
            raise InputError(f"{self.name} takes {expected}, and {came} came: use the parameters of this family")

    @classmethod
    def known_rules(cls) -> Mapping[str, KnownRule]:
        """The rules of the literature by name, each with a citation."""
        return _known_rules(cls)

    @classmethod
    def no_learning(cls) -> Rule:
        """The rule that never changes a weight: 0 in every slot. Every comparison has it."""
        return Rule.parse("; ".join(f"{slot.name}: 0" for slot in cls.slots), cls)

    @classmethod
    def published_experiments(cls) -> PublishedExperiments | None:
        """The experiments of the family's publication, if they can be rebuilt."""
        return None

    @functools.cached_property
    def parameters_digest(self) -> str:
        """16 hexadecimal digits over name, version and parameters: part of every score's key."""
        return self.context.digest

    @functools.cached_property
    def context(self) -> Context:
        """Under what the scores of this family, so bound, can be compared."""
        return Context.of(self.name, self.version, self.parameters.model_dump(mode="json"))

    def library_keys(self) -> list[InstanceKey]:
        """The instances by which lists of rules are ranked."""
        return self.keys("library", type(self).search_defaults.library, LIBRARY_SEED)

    def keys(self, split: Split, n: int, seed: int, source: str = "sampled") -> list[InstanceKey]:
        """Keys of the first n instances of a split. Small, serialisable, disjoint between splits.

        source "published": the experiments of the publication, which begin from a seed of their own.
        """
        if source == "sampled":
            return [InstanceKey(source, split, seed, index) for index in range(n)]
        published = type(self).published_experiments()
        if published is None or split not in published.seed:
            raise _no_instances(self.name, split, source, "'sampled'")
        if source != "published":
            raise _no_instances(self.name, split, source, "'sampled' or 'published'")
        return published.keys(split, published.seed[split], n)

    @abstractmethod
    def build(self, key: InstanceKey) -> Any:
        """The instance of a key: an object of plain arrays."""

    def cost(self, complexity: int) -> Cost | None:
        """What a rule of so many nodes costs at the most; None, the default, where nothing is foreseen or limited."""
        return None

    @abstractmethod
    def evaluate(self, rules: Sequence[Rule], instance: Any, *, give_up_below: float | None = None) -> Scores:
        """Score a batch of rules on one instance.

        give_up_below: a fitness under which the exact value does not matter; a family that can tell early may stop
        such a rule with outcome rejected_at_hurdle.
        """

    def evaluate_many(
        self, rules: Sequence[Rule], instances: Sequence[Any], *, give_up_below: float | None = None
    ) -> list[Scores]:
        """Score a batch of rules on several instances, one Scores each. For families with instances in lanes.

        give_up_below: as in `evaluate`; a family that simulates the instances side by side may also stop a rule on all
        of them, with outcome rejected_at_hurdle, as soon as their aggregate is certain to end below it.
        """
        return [self.evaluate(rules, instance, give_up_below=give_up_below) for instance in instances]

    @abstractmethod
    def trace(self, rule: Rule, instance: Any) -> Trace:
        """Simulate one rule and record what happens, for pictures."""

    def aggregate(self, fitness: NDArray[np.float64]) -> float:
        """One fitness from those of all instances, (n_instances,) float64: the mean, unless a family says otherwise."""
        return float(np.mean(fitness))

    def hurdle(self, survivors: NDArray[np.float64]) -> float | None:
        """A fitness on single instances under which a rule need not be followed any further; None for none.

        survivors: (n_rules, n_instances) float64, n_rules ≥ 1, the rules that a new one has to beat. A rule that stays
        below the answer on every instance must be certain to end below all of them; the lowest fitness in sight is,
        for the mean and any other aggregate that grows with each fitness.
        """
        return float(survivors.min())

    def ceiling(self, fitness: NDArray[np.float64]) -> float:
        """The highest aggregate that a rule with this fitness on some of the instances, (n,) float64, can still reach.

        ∞, the default, if the other instances may make up for anything. A family whose aggregate is the minimum answers
        with the minimum; its instances are then simulated in the order in which they are likely to be lowest.
        """
        return math.inf

    def charts(self, rule: Rule, traces: Sequence[Trace]) -> Mapping[str, Chart]:
        """The charts of `chart_kinds` by name, from traces on several instances; for any rule that has traces."""
        return {}

    def draw(self, rule: Rule, traces: Sequence[Trace], figure: Figure) -> None:
        """Draw what a rule does into a matplotlib figure, from its traces on several instances."""
        raise InputError(f"{self.name} has no picture of its rules")


@functools.cache
def _known_rules(family: type[TaskFamily]) -> Mapping[str, KnownRule]:
    return {
        name: KnownRule(name, Rule.parse(text, family), citation, published)
        for name, text, citation, published in family.literature
    }


def _no_instances(name: str, split: str, source: str, expected: str) -> InputError:
    message = f"{name} has no {split} instances from {source!r}: expected {expected}"
    return InputError(message, pointer="/instances/source")


def validated_parameters(family: type[TaskFamily], given: Mapping[str, Any]) -> Any:
    """The family's parameters: `given` over the defaults. Raises SpecificationError with a pointer to each fault."""
    refuse_deep(given, "/parameters")
    try:
        return family.Parameters.model_validate(dict(given))
    except ValidationError as error:
        raise SpecificationError(explain(error, family.Parameters, "/parameters")) from None


@functools.cache
def _entry_points() -> Mapping[str, importlib.metadata.EntryPoint]:
    return {entry.name: entry for entry in importlib.metadata.entry_points(group=ENTRY_POINTS)}


def family_names() -> list[str]:
    """The names of all installed task families, sorted."""
    return sorted(_entry_points())


def loadable_families() -> list[str]:
    """The names of those that can be imported, sorted; one that cannot be must not take the others along."""
    loadable = []
    for name in family_names():
        with suppress(InputError):
            family_class(name)
            loadable.append(name)
    return loadable


def family_of(task: str | TaskFamily | type[TaskFamily]) -> TaskFamily | type[TaskFamily]:
    """A task family by its name, or itself. Raises InputError for all else."""
    if isinstance(task, TaskFamily) or (isinstance(task, type) and issubclass(task, TaskFamily)):
        return task
    return family_class(text("task", task, pointer="/task"))


@functools.cache
def family_class(name: str) -> type[TaskFamily]:
    """The task family of that name, from the entry points of group `ruleforge.tasks`. Raises InputError if unknown."""
    entry = _entry_points().get(name)
    if entry is None:
        raise InputError(unknown_name("task", name, family_names()), pointer="/task")
    try:
        family = entry.load()
    except Exception as error:  # whatever the import of somebody's package raises is no fault of who asks
        refuse_foreign_packages()
        raise InputError(
            f"the task family {name!r} cannot be loaded from {entry.value}, {type(error).__name__}: {error}: "
            "mend or remove its package",
            pointer="/task",
        ) from error
    if not (isinstance(family, type) and issubclass(family, TaskFamily)):
        raise InputError(f"the entry point {name!r} of {ENTRY_POINTS} names {entry.value}, which is not a TaskFamily")
    return family


def recorded_family(name: str) -> type[TaskFamily]:
    """The family of what a record holds. Raises InputError, with what to install, if it is not here."""
    if name not in family_names():
        here = ", ".join(family_names()) or "none"
        raise InputError(
            f"the task family {name!r} of this rule is not installed here: install the package that brings it "
            f"(its entry point is in the group {ENTRY_POINTS}); here there are {here}"
        )
    return family_class(name)


def family(name: str, parameters: Mapping[str, Any] | None = None) -> TaskFamily:
    """The task family of that name, bound to parameters. Raises InputError for an unknown name or bad parameters."""
    return family_class(text("task", name, pointer="/task"))(parameters)
