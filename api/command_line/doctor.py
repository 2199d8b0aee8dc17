"""`ruleforge doctor`: what keeps it from working here."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text

from api.client.address import DEFAULT_HOST, DEFAULT_PORT
from api.command_line.app import FAILED, Database, Json, Server, app, print_json, screen
from api.command_line.remote import service
from workers.doctor import ACTION, NOTE, OK, Look, findings
from workers.interface import database_url

STYLES = {OK: "green", NOTE: "yellow", ACTION: "bold red"}


@app.command()
def doctor(
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", metavar="ADDRESS", help="Look at this Dask cluster too.")
    ] = None,
    server: Server = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port that `serve` is to have.")] = DEFAULT_PORT,
    kernels: Annotated[
        bool, typer.Option("--kernels/--no-kernels", help="Compile or load the kernels of every family.")
    ] = True,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Look at versions, kernels, their cache, the record, the port, disk space and what else stands around.

    Each finding is ok, a note, or needs an action, with its remedy; exit code 1 if one needs an action.
    """
    from workers.doctor import installation, surroundings

    url = database_url(database)
    looks: dict[str, Look] = {
        "versions": installation.versions,
        "packages": installation.packages,
        "cache": installation.cache,
        **(installation.looks_at_kernels() if kernels else {}),
        "pictures": installation.pictures,
        "record": surroundings.record(url),
        "port": surroundings.port(DEFAULT_HOST, port),
        "disk": surroundings.disk(url),
        "encoding": surroundings.encoding,
        "proxies": surroundings.proxies,
        "clock": surroundings.clock,
    }
    if scheduler is not None:
        looks["scheduler"] = surroundings.scheduler(scheduler)
    if server is not None:
        looks["server"] = _server(server)
    found = []
    for finding in findings(looks):
        found.append(finding)
        if not as_json:
            line = Text.assemble((f"{finding.state:7}", STYLES[finding.state]), f"{finding.area}: {finding.text}")
            screen().print(line, soft_wrap=True)
            if finding.remedy:
                screen().print(Text(f"       → {finding.remedy}"), soft_wrap=True)
    needed = sum(finding.state == ACTION for finding in found)
    if as_json:
        print_json({"findings": [dataclasses.asdict(finding) for finding in found], "actions": needed})
    if needed:
        raise typer.Exit(FAILED)


def _server(url: str) -> Look:
    """The service answers."""

    def look() -> Iterator[tuple[str, str, str]]:
        with service(url) as client:
            tasks = client.tasks()
        yield OK, f"{url} answers, with {len(tasks)} task families", ""

    return look
