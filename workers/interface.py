"""What `import ruleforge` offers: evolve, evaluate and their results."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruleforge.errors import InputError
from ruleforge.family import Split
from ruleforge.family import family as bound_family
from ruleforge.language.rule import Rule
from ruleforge.spec import job_spec, read_toml
from ruleforge.store import open_store
from workers.evaluate import evaluate_rules
from workers.evaluators.choose import make_evaluator
from workers.evolve import Observer, run_job, submit
from workers.extension import extend

DEFAULT_DATABASE = "sqlite:///ruleforge.db"


def database_url(given: str | None = None) -> str:
    """The record to use: the one given, else RULEFORGE_DB, else ruleforge.db in the current folder."""
    return given or os.environ.get("RULEFORGE_DB") or DEFAULT_DATABASE


@dataclass(frozen=True)
class FoundRule:
    """A rule of a result: the rule, its training fitness, validation fitness and name if it is known.

    validation: aggregate, mean, standard_error and n; None while its job has not validated it yet.
    """

    rule: Rule
    fitness: float | None
    validation: Mapping[str, Any] | None
    known_as: str | None

    def __str__(self) -> str:
        return self.rule.text


@dataclass(frozen=True)
class Result:
    """What an evolution found: `front` simplest first, `champion` the best by training fitness, `raw` the JSON."""

    champion: FoundRule | None
    front: tuple[FoundRule, ...]
    raw: Mapping[str, Any]

    @property
    def job(self) -> str:
        """Id of the job in the record."""
        return str(self.raw["job"])

    @property
    def history(self) -> str:
        """Digest over every generation's rules and fitness: equal digests = identical histories."""
        return str(self.raw["history"])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{item.rule.complexity}</td><td>{_number(item.fitness)}</td>"
            f"<td>{_validation(item.validation)}</td><td>${html.escape(item.rule.latex)}$</td>"
            f"<td><code>{html.escape(item.rule.text)}</code></td><td>{html.escape(item.known_as or '')}</td></tr>"
            for item in self.front
        )
        head = "".join(
            f"<th>{title}</th>"
            for title in ("complexity", "training fitness", "validation fitness (n)", "formula", "text", "known as")
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _validation(value: Mapping[str, Any] | None) -> str:
    return "–" if value is None else f"{_number(value['mean'])} ± {_number(value['standard_error'])} ({value['n']})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


@dataclass(frozen=True)
class Evaluation:
    """Score of one rule: fitness per instance, aggregate, mean and standard error (None where not finite)."""

    rule: Rule
    fitness: tuple[float | None, ...]
    aggregate: float | None
    mean: float | None
    standard_error: float | None
    outcome: str
    known_as: str | None


def as_found(task: str, item: Mapping[str, Any]) -> FoundRule:
    """A rule from the rule object of a JSON result."""
    return FoundRule(Rule.parse(item["rule"], task), item["fitness"], item["validation_fitness"], item["known_as"])


def as_result(raw: Mapping[str, Any]) -> Result:
    """A result from the JSON of a job."""
    front = tuple(as_found(raw["task"], item) for item in raw["front"])
    return Result(front[-1] if front else None, front, raw)


def evolve(
    task: str,
    *,
    config: str | Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    db: str | None = None,
    observer: Observer | None = None,
    **specification: Any,
) -> Result:
    """Evolve rules for a task and return the front, validated on unseen instances.

    `specification` holds keys of the job specification, e.g. seed=1, budget={"evaluations": 500},
    parameters={"learning_rate": 5}; they go over those of the TOML file `config`. Uses all cores unless `workers` says
    otherwise, or a Dask cluster (`scheduler`: an address, or "local"); the result does not depend on it. Everything is
    recorded in `db` (default ruleforge.db, or RULEFORGE_DB). Raises InputError for anything that cannot be used.
    """
    given = read_toml(Path(config)) if config is not None else {}
    spec = job_spec({**given, **specification, "task": task})
    evaluator = make_evaluator(scheduler, workers)
    try:
        with open_store(database_url(db)) as store:
            return as_result(run_job(store, submit(store, spec), evaluator, observer=observer))
    finally:
        evaluator.close()


def resume(
    job: str | Result,
    *,
    budget: int | Mapping[str, Any] | None = None,
    generations: int | None = None,
    time: float | None = None,
    target: float | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    db: str | None = None,
    observer: Observer | None = None,
) -> Result:
    """Go on with a job where its last committed generation stood; of one that has ended, give its stored result.

    With a limit a job that has ended is taken further, as if it had had that limit from the first: the same history and
    front, to the bit. budget: so many evaluations in all, or limits as in a specification; generations, time (in
    seconds), target: as the options of `ruleforge evolve`. The limits given take the place of all that it had, and have
    to be larger than what ran. job: its id, or the beginning of it, or its result; the others as in `evolve`.
    Raises InputError for a job that cannot go on, and nothing is changed then.
    """
    if not isinstance(job, str | Result):
        raise InputError(f"job: expected the id of a job, or its result, and {job!r} came")
    limits: dict[str, Any] = dict(budget) if isinstance(budget, Mapping) else {"evaluations": budget}
    stated = {"generations": generations, "seconds": time, "target": target}
    limits |= {name: value for name, value in stated.items() if value is not None}
    evaluator = make_evaluator(scheduler, workers)
    try:
        with open_store(database_url(db), create=False) as store:
            id = store.job(job.job if isinstance(job, Result) else job).id
            if any(value is not None for value in limits.values()):
                extend(store, id, limits)
            return as_result(run_job(store, id, evaluator, observer=observer))
    finally:
        evaluator.close()


def evaluate(
    task: str,
    rule: str | Rule,
    *,
    split: Split = "training",
    n: int | None = None,
    seed: int = 0,
    workers: int | None = None,
    **parameters: Any,
) -> Evaluation:
    """Score one rule on n instances of a split. `parameters` are those of the task family."""
    family = bound_family(task, parameters)
    parsed = rule if isinstance(rule, Rule) else Rule.parse(rule, task)
    if parsed.task != task:
        raise InputError(f"expected a rule of the task {task!r}, and one of {parsed.task!r} came: parse its text anew")
    evaluator = make_evaluator(workers=workers)
    try:
        (found,) = evaluate_rules(evaluator, family, [parsed], split=split, n=n, seed=seed)
    finally:
        evaluator.close()
    return as_evaluation(found)


def as_evaluation(raw: Mapping[str, Any]) -> Evaluation:
    """An evaluation from its JSON."""
    return Evaluation(
        Rule.parse(raw["rule"], raw["task"]),
        tuple(raw["fitness"]),
        raw["aggregate"],
        raw["mean"],
        raw["standard_error"],
        raw["outcome"],
        raw["known_as"],
    )
