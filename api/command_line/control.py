"""`ruleforge pause`, `cancel` and `db upgrade`: what changes the record and runs nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from api.command_line.app import Database, Json, Server, app, print_json, screen
from api.command_line.remote import one_place, service
from ruleforge.store import open_store, upgrade
from workers.interface import database_url

Job = Annotated[str, typer.Argument(metavar="JOB", help="Id of a job, or the beginning of it.")]

database_commands = typer.Typer(name="db", help="Look after the record.", no_args_is_help=True)
app.add_typer(database_commands)


@app.command()
def pause(job: Job, database: Database = None, server: Server = None, as_json: Json = False) -> None:
    """Pause a job that waits or runs, wherever it runs; the generation in flight is dropped, `resume` goes on."""
    _move(job, "paused", ("queued", "running"), database, server, as_json)


@app.command()
def cancel(job: Job, database: Database = None, server: Server = None, as_json: Json = False) -> None:
    """End a job without a result; the rules that it found stay in the record."""
    _move(job, "cancelled", ("queued", "running", "paused"), database, server, as_json)


def _move(
    job: str, state: str, allowed: tuple[str, ...], database: str | None, server: str | None, as_json: bool
) -> None:
    one_place(database, server)
    if server is not None:
        with service(server) as client:
            asked = client.job(job)
            id, previous = asked.id, asked.state
            if previous != state:
                asked.pause() if state == "paused" else asked.cancel()
    else:
        with open_store(database_url(database), create=False) as store:
            record = store.job(job)
            id, previous = record.id, record.state
            if previous != state:
                store.set_state(id, state, "requested by command", allowed=allowed)
    if as_json:
        print_json({"job": id, "state": state, "previous": previous})
    else:
        screen().print(f"Job {id} is {state}.")


@database_commands.command("upgrade")
def upgrade_record(database: Database = None, as_json: Json = False) -> None:
    """Bring the record to the schema of this version, in one transaction; make a copy of it before."""
    url = database_url(database)
    schema = upgrade(url)
    if as_json:
        print_json({"schema": schema})
    else:
        screen().print(f"The record has schema {schema}.")
