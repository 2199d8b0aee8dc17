"""`ruleforge watch`: a job of a service, as if it ran here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.client.address import DEFAULT_URL
from api.command_line.app import FAILED, INTERRUPTED, Json, app, print_json
from api.command_line.display import note
from api.command_line.remote import as_result_object, say_result, service

if TYPE_CHECKING:
    from api.client import Job


@app.command()
def watch(
    job: Annotated[str, typer.Argument(metavar="JOB", help="Id of a job, or the beginning of it.")],
    server: Annotated[str, typer.Option("--server", metavar="URL", help="Address of the service.")] = DEFAULT_URL,
    as_json: Json = False,
) -> None:
    """Show a job of a service while it runs, and its result when it has ended. Ctrl-C ends the watching, not the job.

    Goes on when the connection breaks and when the service is started anew.
    """
    with service(server) as client:
        watched = client.job(job)
        try:
            reason = _followed(watched)
        except KeyboardInterrupt:
            note(f"Job {watched.id} goes on. Watch it again with: ruleforge watch {watched.id} --server {client.url}")
            raise typer.Exit(INTERRUPTED) from None
        if as_json:
            print_json(as_result_object(watched))
        elif watched.state == "succeeded":
            say_result(watched)
        _leave(watched, reason, client.url)


def _followed(job: Job) -> str:
    """Show the job until it has ended or is paused; why it is in that state."""
    from api.client.watching import Shown

    reason = ""
    with Shown(job) as shown:
        for event in job.events():
            shown(event)
            if event.kind == "state":
                reason = str(event.data.get("reason") or "")
                # An old event may tell of a pause that is over.
                if event.data["state"] == "paused" and job.refresh().state == "paused":
                    break
    job.refresh()
    return reason


def _leave(job: Job, reason: str, url: str) -> None:
    """Say why there is no result, if there is none, and exit accordingly."""
    if job.state == "paused":
        done = job.info["generation"]
        note(f"Paused after generation {done}. Go on with: ruleforge resume {job.id} --server {url}")
        raise typer.Exit(INTERRUPTED)
    if job.state == "cancelled":
        note(f"Job {job.id} was cancelled after generation {job.info['generation']}.")
        raise typer.Exit(INTERRUPTED)
    if job.state == "failed":
        note(f"Job {job.id} failed: {reason}")
        raise typer.Exit(FAILED)
