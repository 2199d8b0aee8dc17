"""What commands do through a service (`--server`) instead of on a record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from api.command_line.app import INTERRUPTED, print_json, screen
from api.command_line.display import conclusion, digits_for, front_table, note, number
from ruleforge.errors import InputError
from ruleforge.store import END_STATES
from workers.evolve import unfinished_result

if TYPE_CHECKING:
    from api.client import Client, Job

# Between two looks at a study of a service, in seconds.
LOOK_SECONDS = 1.0


def one_place(database: str | None, server: str | None) -> None:
    """Refuse a record and a service at the same time."""
    if database is not None and server is not None:
        raise InputError("expected --db or --server, and both came: a service has a record of its own")


@contextmanager
def service(url: str) -> Iterator[Client]:
    """A client of the service."""
    # The HTTP library takes a while to import, which other commands should not wait for.
    from api.client import Client

    with Client(url) as client:
        yield client


def as_result_object(job: Job) -> dict[str, Any]:
    """The result of a job, or what can be said of one that has none, with the same keys."""
    from api.client.watching import job_record

    return job.info.get("result") or unfinished_result(job_record(job.info))


def say_result(job: Job) -> None:
    """The result of a job that has succeeded, for people."""
    result = as_result_object(job)
    if job.info["kind"] == "evolution":
        screen().print(front_table(result))
        screen().print(conclusion(result), soft_wrap=True)
    else:
        fitness = number(result["aggregate"], digits_for([result["aggregate"]]))
        screen().print(f"{result['rule']}: fitness {fitness} on {result['n']} instances ({result['outcome']})")


def say_queued(job: Job, as_json: bool) -> None:
    """A job that waits for its runner."""
    if as_json:
        print_json(as_result_object(job))
    else:
        screen().print(job.id)


def resume_there(server: str, id: str, limits: Mapping[str, Any], as_json: bool) -> None:
    """Put a paused job of a service back into its queue, or any with larger limits; of a finished one, the result."""
    with service(server) as client:
        job = client.job(id)
        if limits:
            say_queued(job.extend(limits), as_json)
            return
        if job.state in END_STATES and job.info["result"] is not None:
            if as_json:
                print_json(as_result_object(job))
            else:
                note(f"Job {job.id} has {job.state}; this is its stored result.")
                say_result(job)
            return
        if job.state not in ("queued", "running"):
            job.resume()
        say_queued(job, as_json)


def evaluate_there(
    server: str, task: str, rules: Sequence[str], *, parameters: Mapping[str, Any], **what: Any
) -> list[dict[str, Any]]:
    """Score rules on the workers of a service, all queued at once; as `evaluate_rules` answers."""
    with service(server) as client:
        queued = [client.submit_evaluation(task, rule, **what, **parameters) for rule in rules]
        for job in queued:
            job.wait()
        # What the service adds beside the score: which job it was, and where its trace is.
        return [
            {name: value for name, value in job.info["result"].items() if name not in ("job", "links")}
            for job in queued
        ]


def study_there(server: str, given: Mapping[str, Any], detach: bool) -> dict[str, Any]:
    """Submit a study to a service, wait for its jobs unless `detach`, and give its result."""
    with service(server) as client:
        study = client.submit_study(given)
        id, shown = study["study"], ""
        note(f"Study {id}: {len(study['jobs'])} jobs at {client.url}")
        try:
            while not detach and _goes_on(study):
                counts = Counter(job["state"] for job in study["jobs"])
                line = ", ".join(f"{n} {state}" for state, n in sorted(counts.items()))
                if line != shown:
                    note(line)
                shown = line
                time.sleep(LOOK_SECONDS)
                study = client.study(id)
        except KeyboardInterrupt:
            note(f"Study {id} goes on at the service: the same command watches it again")
            raise typer.Exit(INTERRUPTED) from None
        return {name: value for name, value in study.items() if name != "links"}


def _goes_on(study: Mapping[str, Any]) -> bool:
    """Whether jobs run or wait, or its winners are still to be judged."""
    states = {job["state"] for job in study["jobs"]}
    if states <= END_STATES:
        return any(winner["reported"]["test_fitness"] is None for winner in study["winners"])
    return not states <= {*END_STATES, "paused"}
