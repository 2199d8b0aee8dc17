"""The job specification: one frozen model for TOML files, HTTP bodies and Python; validated, canonical, hashed."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from ruleforge.checked import CheckedModel
from ruleforge.cost import check_cost, check_generation
from ruleforge.errors import InputError, SpecificationError, unknown_name
from ruleforge.family import TaskFamily, family_class, validated_parameters
from ruleforge.grammar_settings import Grammar, completed
from ruleforge.nesting import refuse_deep
from ruleforge.search_settings import TREES, SearchSettings
from ruleforge.validation import explain

# What a job does if it states no limit at all, beside the family's target.
DEFAULT_EVALUATIONS = 1000
# Of any limit: a thousand years of a large cluster, or thirty of one second each.
MOST = 10**9
LARGEST_FILE = 10_000_000  # bytes of a specification


class _Part(CheckedModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Instances(_Part):
    """The learning problems that score the rules; the same for the whole job."""

    source: Literal["sampled", "published"] = Field(
        "sampled", description="our own instances, or the published experiments"
    )
    training: int | None = Field(None, ge=1, le=10_000, description="number of instances that give the fitness")
    validation: int | None = Field(
        None, ge=1, le=10_000, description="number of unseen instances that the final front is scored on, to choose by"
    )
    test: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="number of further unseen instances that the chosen rule is compared with others on",
    )


def limits(given: Any) -> Any:
    """A budget as a table of limits: a number alone is one of evaluations, as `--budget` has it."""
    return {"evaluations": given} if not isinstance(given, bool) and isinstance(given, Real) else given


def as_table(budget: Any) -> Mapping[str, Any]:
    """The same, to put further limits into. Raises SpecificationError for what is neither number nor table."""
    table = limits(budget)
    if not isinstance(table, Mapping):
        raise SpecificationError([("/budget", f"expected a number of evaluations or a table, and {budget!r} came")])
    return table


class Budget(_Part):
    """When to stop; whatever is reached first. A limit given replaces the defaults. A number alone: evaluations."""

    generations: int | None = Field(None, ge=1, le=MOST, description="generations")
    evaluations: int | None = Field(
        None, ge=1, le=MOST, description="distinct behaviours simulated at least once; validation does not count"
    )
    seconds: float | None = Field(None, gt=0, le=MOST, description="running time; cuts the history, never changes it")
    target: float | None = Field(None, description="training fitness of the champion")

    @model_validator(mode="before")
    @classmethod
    def _limits(cls, given: Any) -> Any:
        table = limits(given)
        if not isinstance(table, (Mapping, Budget)):
            raise ValueError(f"expected a number of evaluations, or a table of {', '.join(cls.model_fields)}")
        return table

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        table = handler.resolve_ref_schema(handler(core_schema))
        evaluations = table["properties"]["evaluations"]
        return {
            "anyOf": [
                table,
                {"type": "integer", "minimum": 1, "maximum": MOST, "description": evaluations["description"]},
            ]
        }


class EvaluatorSettings(_Part):
    """How candidates are scored."""

    racing: bool = Field(True, description="few instances first, only promising rules get all")
    fingerprints: bool = Field(True, description="simulate each behaviour once; off: each text")


class JobSpec(_Part):
    """A whole evolution job. Everything but `task` has a default; equal specifications have equal hashes."""

    task: str = Field(description="name of the task family")
    seed: int = Field(0, ge=0, lt=2**63, description="of the search and of the training instances")
    name: str | None = Field(None, max_length=200, description="yours; not part of the hash")
    notes: str | None = Field(None, max_length=10_000, description="yours; not part of the hash")
    tags: tuple[str, ...] = Field((), max_length=50, description="yours; not part of the hash")
    parameters: dict[str, Any] = Field(default_factory=dict, description="of the task family")
    instances: Instances = Instances()
    grammar: Grammar = Grammar()
    search: SearchSettings = SearchSettings()
    budget: Budget = Budget()
    evaluator: EvaluatorSettings = EvaluatorSettings()
    replicates: int = Field(
        1, ge=1, le=10_000, description="more than 1 makes a study: so many jobs, with seeds from seed upwards"
    )

    def family(self) -> TaskFamily:
        """The task family, bound to the parameters."""
        return family_class(self.task)(self.parameters)

    def canonical(self) -> str:
        """Canonical JSON of all that determines the result: without name, notes and tags."""
        content = self.model_dump(mode="json", exclude={"name", "notes", "tags"})
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def hash(self) -> str:
        """32 hexadecimal digits of BLAKE2b of the canonical form."""
        return hashlib.blake2b(self.canonical().encode(), digest_size=16).hexdigest()


def job_spec(given: Mapping[str, Any]) -> JobSpec:
    """Validate a specification and fill in every default, those of the family included.

    Raises SpecificationError with a JSON pointer and a sentence for each fault.
    """
    refuse_deep(given)
    try:
        spec = JobSpec.model_validate(dict(given) if isinstance(given, Mapping) else given)
    except ValidationError as error:
        raise SpecificationError(explain(error, JobSpec)) from None
    family = family_class(spec.task)
    search = _search(spec, given, family)
    grammar, errors = completed(spec.grammar, family)
    if spec.grammar.seed_rules and spec.search.method not in TREES:
        errors.append(("/grammar/seed_rules", f"{spec.search.method} cannot start from rules: leave them out"))
    if errors:
        raise SpecificationError(errors)
    defaults = family.search_defaults
    parameters = validated_parameters(family, {**defaults.parameters, **spec.parameters})
    instances = spec.instances.model_copy(
        update={
            "training": spec.instances.training or defaults.training,
            "validation": spec.instances.validation or defaults.validation,
            "test": spec.instances.test or defaults.test,
        }
    )
    bound = family(parameters)
    bound.keys("training", 1, spec.seed, instances.source)  # refuses a source that the family does not have
    check_cost(bound.cost(grammar.max_complexity), parameters)
    check_generation(max(search.population, search.offspring) * search.islands, instances.training)
    if spec.seed + spec.replicates > 2**63:
        last = spec.seed + spec.replicates - 1
        raise SpecificationError([("/replicates", f"the last seed is expected to be below 2^63, and it is {last}")])
    budget = spec.budget
    if budget == Budget():
        budget = Budget(evaluations=DEFAULT_EVALUATIONS, target=defaults.target)
    return spec.model_copy(
        update={
            "parameters": parameters.model_dump(mode="json"),
            "instances": instances,
            "grammar": grammar,
            "search": search,
            "budget": budget,
        }
    )


def _search(spec: JobSpec, given: Mapping[str, Any], family: type[TaskFamily]) -> SearchSettings:
    """The settings of the search, with those of the family's publication where the method is that of it."""
    published = family.search_defaults.published_search.get(spec.search.method)
    stated = given.get("search")
    if published is None or not isinstance(stated, Mapping):
        return spec.search
    try:
        return SearchSettings.model_validate({**published, **stated})
    except ValidationError as error:
        raise SpecificationError(explain(error, SearchSettings, "/search")) from None


def read_toml(path: Path) -> dict[str, Any]:
    """A specification file as nested dictionaries. Raises InputError with line and column if it does not parse."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:  # or one without an end, such as a device
            raise InputError(f"{path} is larger than {LARGEST_FILE} bytes: expected a job specification in TOML")
        given = tomllib.loads(content.decode("utf-8").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except (ValueError, RecursionError) as error:  # not TOML, or a number or nesting beyond what Python reads
        raise InputError(f"{path} is not valid TOML: {error}") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    refuse_deep(given)  # keys with dots nest without any bracket
    return given


def apply_setting(given: dict[str, Any], setting: str, family: type[TaskFamily]) -> None:
    """Put one KEY=VALUE into a specification: a family parameter, or any other key by its dotted path.

    VALUE is read as TOML; what is not TOML, and whatever is given to a key that takes texts alone, is a text. Raises
    InputError for an unknown key, with the nearest one.
    """
    key, separator, text = setting.partition("=")
    key = key.strip()
    if not separator or not key:
        raise InputError(f"expected KEY=VALUE after --set, and {setting!r} came")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, KeyError, RecursionError):
        value = text.strip()
    refuse_deep([value])
    parameters, keys = family.Parameters.model_fields, ["budget", *_dotted(JobSpec)]
    if key in parameters:
        path = ["parameters", key]
    elif key.startswith("grammar.signals.") or key.removeprefix("parameters.") in parameters or key in keys:
        path = key.split(".")
    else:
        raise InputError(unknown_name("key", key, [*parameters, *keys]))
    if not isinstance(value, str) and _takes_texts_alone(path, family):
        value = text.strip()
    place = given
    for part in path[:-1]:
        if part == "budget" and part in place:
            place[part] = limits(place[part])
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise InputError(f"{key} cannot be set: {part} is given as {place!r}")
    place[path[-1]] = value


def _takes_texts_alone(path: Sequence[str], family: type[TaskFamily]) -> bool:
    models: dict[str, type[BaseModel]] = {"": JobSpec, "parameters": family.Parameters}
    model = models.get(".".join(path[:-1]))
    field = model.model_fields.get(path[-1]) if model is not None else None
    return field is not None and field.annotation in (str, str | None)


def _dotted(model: type[BaseModel], prefix: str = "") -> list[str]:
    names = []
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            names += _dotted(annotation, f"{prefix}{name}.")
        elif name not in ("parameters", "task"):
            names.append(prefix + name)
    return names
