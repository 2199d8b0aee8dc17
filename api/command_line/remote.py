"""What commands do through a service (`--server`) instead of on a record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from api.command_line.app import print_json, screen
from api.command_line.display import conclusion, digits_for, front_table, note, number
from ruleforge.errors import InputError
from ruleforge.store import END_STATES
from workers.evolve import unfinished_result

if TYPE_CHECKING:
    from api.client import Client, Job


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


def resume_there(server: str, id: str, as_json: bool) -> None:
    """Put a paused job of a service back into its queue; of a finished one, print the result."""
    with service(server) as client:
        job = client.job(id)
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
