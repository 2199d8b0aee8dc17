"""`ruleforge export`: a rule in the form that another program reads."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from api.command_line.app import Database, Json, Server, app, print_json
from api.command_line.places import place
from api.command_line.rules import RuleId
from workers.export import FORMATS, format_named


@app.command()
def export(
    rule_id: RuleId,
    format: Annotated[
        str, typer.Option("--format", help="; ".join(f"{each.name}: {each.meaning}" for each in FORMATS.values()) + ".")
    ] = "text",
    database: Database = None,
    server: Server = None,
    as_json: Json = False,
) -> None:
    """Write one rule to standard output, in a form for people or other programs.

    The Python file needs numpy alone and gives our numbers; --json puts the text and its media type into one object.
    """
    chosen = format_named(format)
    with place(database, server) as here:
        rule = here.rule(rule_id)
        text = here.export(rule, chosen.name)
    if as_json:
        what = {"format": chosen.name, "media_type": chosen.media_type, "suffix": chosen.suffix}
        print_json({"id": rule["id"], "rule": rule["rule"], **what, "text": text})
    else:
        sys.stdout.write(text)
