"""`ruleforge export`: a rule in the form that another program reads."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from api.command_line.app import Database, Json, app, print_json
from api.command_line.rules import RuleId, find_rule, parameters_of
from ruleforge.store import open_store
from workers.export import FORMATS, export_rule, format_named
from workers.interface import database_url


@app.command()
def export(
    rule_id: RuleId,
    format: Annotated[
        str, typer.Option("--format", help="; ".join(f"{each.name}: {each.meaning}" for each in FORMATS.values()) + ".")
    ] = "text",
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Write one rule to standard output, in a form for people or other programs.

    The Python file needs numpy alone and gives our numbers; --json puts the text and its media type into one object.
    """
    chosen = format_named(format)
    with open_store(database_url(database), create=False) as store:
        found = find_rule(store, rule_id)
        parameters = parameters_of(store, found)
    text = export_rule(found, chosen.name, parameters=parameters)
    if as_json:
        what = {"format": chosen.name, "media_type": chosen.media_type, "suffix": chosen.suffix}
        print_json({"id": found.rule.id, "rule": found.rule.text, **what, "text": text})
    else:
        sys.stdout.write(text)
