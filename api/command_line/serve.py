"""`ruleforge serve`: the service over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from api.client.address import DEFAULT_HOST, DEFAULT_PORT
from api.command_line.app import Database, Scheduler, Workers, app
from workers.interface import database_url

MOST_PORTS = 65_535


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all of this machine's.")] = DEFAULT_HOST,
    port: Annotated[
        int, typer.Option(min=0, max=MOST_PORTS, help="Port to listen on; 0 for any free one.")
    ] = DEFAULT_PORT,
    runner: Annotated[
        bool, typer.Option("--runner/--no-runner", help="Run the jobs too, in a process beside; or only take them.")
    ] = True,
    scheduler: Scheduler = None,
    workers: Workers = None,
    database: Database = None,
) -> None:
    """Serve the record over HTTP and run its jobs, until Ctrl-C or SIGTERM; /docs describes it.

    Whoever reaches the port can submit and cancel jobs: it listens on this machine only unless --host says otherwise.
    """
    # The web framework takes a second to import, which other commands should not wait for.
    from api.http.server import Settings, serve

    serve(Settings(database_url(database), host, port, scheduler, workers, runner))
