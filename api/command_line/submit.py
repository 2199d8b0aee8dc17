"""`ruleforge submit`: a job for a service."""

from __future__ import annotations

from typing import Annotated

import typer

from api.client.address import DEFAULT_URL
from api.command_line.app import Json, Settings, app, print_json, screen
from api.command_line.display import note
from api.command_line.remote import say_queued, service
from api.command_line.specification import (
    Config,
    Evaluations,
    From,
    Generations,
    Seconds,
    Seed,
    Target,
    given_specification,
)
from ruleforge.errors import InputError
from ruleforge.spec import job_spec


@app.command()
def submit(
    task: Annotated[
        str | None, typer.Argument(metavar="[TASK]", help="Task family [default: that of --config].")
    ] = None,
    server: Annotated[str, typer.Option("--server", metavar="URL", help="Address of the service.")] = DEFAULT_URL,
    seed: Seed = None,
    generations: Generations = None,
    budget: Evaluations = None,
    time: Seconds = None,
    target: Target = None,
    config: Config = None,
    settings: Settings = None,
    from_job: From = None,
    as_json: Json = False,
) -> None:
    """Queue a job at a service, with the options of `evolve`, and print its id; `ruleforge watch` shows it.

    With `replicates` in the specification it is a study, and the id is that of the study.
    """
    limits = {"generations": generations, "evaluations": budget, "seconds": time, "target": target}
    given = given_specification(task, seed, limits, config, settings)
    spec = job_spec(given)  # what is wrong is said before anything is sent
    with service(server) as client:
        if spec.replicates > 1:
            if from_job is not None:
                raise InputError("expected --from or replicates, and both came: a study starts from no front")
            study = client.submit_study(given)
            if as_json:
                print_json(study)
            else:
                screen().print(study["study"])
            return
        job = client.submit(given, from_job=from_job)
        say_queued(job, as_json)
    if not as_json:
        note(f"Watch it with: ruleforge watch {job.id} --server {client.url}")
