"""What `import ruleforge` offers: evolve, evaluate and their results."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruleforge.checked import optional_text, shown
from ruleforge.errors import InputError
from ruleforge.family import Split
from ruleforge.family import family as bound_family
from ruleforge.language.numbers import html_number
from ruleforge.language.rule import Rule
from ruleforge.spec import as_table, job_spec, read_toml
from ruleforge.store import END_STATES, Store, open_store
from workers.evaluate import evaluate_rules
from workers.evaluators.choose import make_evaluator
from workers.evaluators.interface import Evaluator, never
from workers.evolve import Observer, run_job, submit
from workers.extension import extend
from workers.scoring import rule_object
from workers.starting import from_front
from workers.study import end_study_of

# What an observer has.
OBSERVED = tuple(name for name in vars(Observer) if name.startswith("on_"))
DEFAULT_DATABASE = "sqlite:///ruleforge.db"


def database_url(given: str | None = None) -> str:
    """The record to use: the one given, else RULEFORGE_DB, else ruleforge.db in the current folder."""
    return optional_text("db", given) or os.environ.get("RULEFORGE_DB") or DEFAULT_DATABASE


@dataclass(frozen=True)
class FoundRule:
    """A rule of a result: the rule, its training fitness, validation fitness and name if it is known.

    validation: aggregate, mean, standard_error and n; None while its job has not validated it yet. test: the same on
    the test stream, of the reported rule alone.
    """

    rule: Rule
    fitness: float | None
    validation: Mapping[str, Any] | None
    known_as: str | None
    test: Mapping[str, Any] | None = field(default=None, kw_only=True)

    def __str__(self) -> str:
        return self.rule.text


@dataclass(frozen=True, repr=False)
class Result:
    """What an evolution found: `front` simplest first, `champion` the best by training fitness, `raw` the JSON."""

    champion: FoundRule | None
    front: tuple[FoundRule, ...]
    raw: Mapping[str, Any]

    @property
    def reported(self) -> FoundRule | None:
        """The rule that is best on validation instances, with its fitness on the test stream; None if there is none."""
        item = self.raw.get("reported") or self.raw.get("best_validated")  # the latter alone in earlier versions
        return None if item is None else as_found(str(self.raw["task"]), item)

    @property
    def job(self) -> str:
        """Id of the job in the record."""
        return str(self.raw["job"])

    @property
    def state(self) -> str:
        """succeeded; or paused, cancelled or queued from elsewhere, where `front` is what there was until then."""
        return str(self.raw["state"])

    def __repr__(self) -> str:
        best = "no champion" if self.champion is None else f"champion {self.champion}"
        return f"<Result of job {self.job} ({self.raw['task']}): {self.state}, {len(self.front)} rules, {best}>"

    @property
    def history(self) -> str:
        """Digest over every generation's rules and fitness: equal digests = identical histories."""
        return str(self.raw["history"])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{item.rule.complexity}</td><td>{html_number(item.fitness)}</td>"
            f"<td>{_validation(item.validation)}</td><td>${html.escape(item.rule.latex)}$</td>"
            f"<td><code>{html.escape(item.rule.text)}</code></td><td>{html.escape(item.known_as or '')}</td></tr>"
            for item in self.front
        )
        head = "".join(
            f"<th>{title}</th>"
            for title in ("complexity", "training fitness", "validation fitness (n)", "formula", "text", "known as")
        )
        said = how_to_go_on(self.job) if self.state == "paused" else f"Job {self.job} is {self.state}."
        ended = "" if self.state == "succeeded" else f"<p>{html.escape(said)}</p>"
        return f"{ended}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _validation(value: Mapping[str, Any] | None) -> str:
    """The family's statistic, with the standard error of a mean or the interval of another."""
    if value is None:
        return "–"
    spread = ""
    if value["standard_error"] is not None and value["aggregate"] == value["mean"]:
        spread = f" ± {html_number(value['standard_error'])}"
    elif value.get("interval"):
        spread = " [{}, {}]".format(*map(html_number, value["interval"]))
    return f"{html_number(value['aggregate'])}{spread} ({value['n']})"


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
    return FoundRule(
        Rule.parse(item["rule"], task),
        item["fitness"],
        item["validation_fitness"],
        item["known_as"],
        test=item.get("test_fitness"),
    )


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
    stop: Callable[[], bool] = never,
    generations: int | None = None,
    time: float | None = None,
    target: float | None = None,
    from_job: str | Result | None = None,
    **specification: Any,
) -> Result:
    """Evolve rules for a task, and tell `observer` how it goes; `ruleforge.evolve` without what is shown.

    On `stop` the generation in flight is dropped and the result is that of a paused job: its front so far.
    """
    check_observer(observer)
    given = {**_file(config), **specification, "task": task}
    if stated := _stated(generations, time, target):
        given["budget"] = {**as_table(given.get("budget", {})), **stated}
    spec, source = job_spec(given), None
    evaluator = make_evaluator(scheduler, workers)
    try:
        with open_store(database_url(db)) as store:
            if from_job is not None:
                spec, source = from_front(store, _id_of(from_job), given)
            return run_to_result(store, submit(store, spec, started_from=source), evaluator, observer, stop)
    finally:
        evaluator.close()


def _stated(generations: int | None, time: float | None, target: float | None) -> dict[str, Any]:
    """The limits among these keywords, by their names in a specification."""
    given = {"generations": generations, "seconds": time, "target": target}
    return {name: value for name, value in given.items() if value is not None}


def how_to_go_on(job: str) -> str:
    """What is said of a job that was interrupted."""
    return f"Job {job} is paused: ruleforge.resume({job!r}) goes on with it."


def run_to_result(
    store: Store, job: str, evaluator: Evaluator, observer: Observer | None, stop: Callable[[], bool]
) -> Result:
    """Run a job; of one that is stopped, the front so far. KeyboardInterrupt, where nothing stops it, names the job."""
    try:
        raw = run_job(store, job, evaluator, observer=observer, stop=stop)
        end_study_of(store, job, evaluator, stop)
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(how_to_go_on(job))
        raise
    if raw["state"] not in END_STATES:
        context = store.job(job).context
        front = [
            rule_object(each.rule, each.fitness, each.outcome, each.validation, context, each.library)
            for each in store.front(job)
        ]
        raw = {**raw, "front": front, "champion": front[-1] if front else None}
    return as_result(raw)


def _id_of(job: Any) -> str:
    if not isinstance(job, str | Result):
        raise InputError(f"expected the id of a job, or its result, and {job!r} came")
    return job.job if isinstance(job, Result) else job


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
    stop: Callable[[], bool] = never,
) -> Result:
    """Go on with a job where its last committed generation stood; of one that has ended, give its stored result.

    With a limit a job that has ended is taken further, as if it had had that limit from the first: the same history and
    front, to the bit. budget: so many evaluations in all, or limits as in a specification; generations, time (in
    seconds), target: as the options of `ruleforge evolve`. The limits given take the place of all that it had, and have
    to be larger than what ran. job: its id, or the beginning of it, or its result; the others as in `evolve`.
    Raises InputError for a job that cannot go on, and nothing is changed then.
    """
    check_observer(observer)
    larger = {**({} if budget is None else as_table(budget)), **_stated(generations, time, target)}
    evaluator = make_evaluator(scheduler, workers)
    try:
        with open_store(database_url(db), create=False) as store:
            id = store.job(_id_of(job)).id
            if larger:
                extend(store, id, larger)
            return run_to_result(store, id, evaluator, observer, stop)
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


def _file(config: str | Path | None) -> dict[str, Any]:
    if config is not None and not isinstance(config, (str, Path)):
        raise InputError(f"config: expected the path of a TOML file, and {shown(config)} came")
    return {} if config is None else read_toml(Path(config))


def check_observer(observer: object) -> None:
    """Raise InputError for what cannot watch a job."""
    missing = [name for name in OBSERVED if not callable(getattr(observer, name, None))]
    if observer is not None and (missing or isinstance(observer, type)):
        raise InputError(f"observer: expected an object with {', '.join(OBSERVED)}, and {shown(observer)} came")


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
