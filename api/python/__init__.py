"""What `import ruleforge` runs jobs with, for people who watch: `evolve` and `resume`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from api.python.watching import watched
from workers import interface
from workers.evolve import Observer
from workers.interface import Result

__all__ = ["evolve", "resume"]


def evolve(
    task: str,
    *,
    progress: bool | None = None,
    config: str | Path | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    db: str | None = None,
    observer: Observer | None = None,
    generations: int | None = None,
    time: float | None = None,
    target: float | None = None,
    from_job: str | Result | None = None,
    **specification: Any,
) -> Result:
    """Evolve rules for a task and return the front, validated on unseen instances.

    `specification` holds keys of the job specification, e.g. seed=1, budget=1000 (so many evaluations) or
    budget={"evaluations": 500, "seconds": 60}, parameters={"learning_rate": 5}; they go over those of the TOML file
    `config`. generations, time (in seconds) and target are further limits, as the options of `ruleforge evolve`.
    from_job: a job of the same task and record (its id, or its result), from whose front the search starts: its rules
    become seed rules of the specification.

    progress: show how it goes, in a notebook as a display that changes, else on standard error [default: in notebooks
    and where Python is used interactively]. While it is shown, Ctrl-C (a notebook's "interrupt") pauses the job:
    the result has `state` "paused", the front so far and the id of the job, with which `resume` goes on; a second one
    raises KeyboardInterrupt, as the first one does where nothing is shown.

    Uses all cores unless `workers` says otherwise, or a Dask cluster (`scheduler`: an address, or "local"); the result
    does not depend on it. Everything is recorded in `db` (default ruleforge.db, or RULEFORGE_DB). `observer` watches
    too. Raises InputError for anything that cannot be used.
    """
    with watched(progress, observer) as watch:
        result = interface.evolve(
            task,
            config=config,
            workers=workers,
            scheduler=scheduler,
            db=db,
            observer=watch.observer,
            stop=watch.stop,
            generations=generations,
            time=time,
            target=target,
            from_job=from_job,
            **specification,
        )
        return watch.told(result)


def resume(
    job: str | Result,
    *,
    budget: int | Mapping[str, Any] | None = None,
    generations: int | None = None,
    time: float | None = None,
    target: float | None = None,
    progress: bool | None = None,
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
    Raises InputError for a job that is not there or cannot go on, and nothing is changed then.
    """
    with watched(progress, observer) as watch:
        result = interface.resume(
            job,
            budget=budget,
            generations=generations,
            time=time,
            target=target,
            workers=workers,
            scheduler=scheduler,
            db=db,
            observer=watch.observer,
            stop=watch.stop,
        )
        return watch.told(result)
