"""The command line's frame: how commands are found, how errors are said, exit codes."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

import ruleforge
from api.command_line.streams import OutputLostError, finish_output, prepare_streams, say, writable
from ruleforge.errors import InputError, JobStopped, RecordReplacedError, RuleforgeError
from ruleforge.kernel.compilation import compilation
from workers.telling import harmless

# New objects until the youngest are looked through, and of those looks until the older ones are.
GARBAGE_COLLECTION = 20_000, 20, 20
DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

app = typer.Typer(
    name="ruleforge",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _say_version(asked: bool) -> None:
    if asked:
        sys.stdout.write(f"ruleforge {ruleforge.__version__}\n")
        raise typer.Exit


@app.callback()
def frame(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """Discovers synaptic plasticity rules: evolves symbolic expressions and scores them on spiking networks."""


# Options that several commands share.
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]
Database = Annotated[
    str | None,
    typer.Option("--db", metavar="URL", help="The record [default: RULEFORGE_DB, else sqlite:///ruleforge.db]."),
]
Task = Annotated[str, typer.Argument(metavar="TASK", help="Task family; `ruleforge tasks` lists them.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A family parameter, or any key of the specification; repeatable."),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", metavar="N", help="Threads, or processes with `--scheduler local` [default: all cores]."),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="ADDRESS",
        help="Score on this Dask cluster: an address, a scheduler file, or `local` for --workers processes of its own "
        "[default: threads of this process].",
    ),
]

Server = Annotated[
    str | None,
    typer.Option("--server", metavar="URL", help="Ask the service at this address instead of using a record."),
]


def print_json(value: Mapping[str, Any]) -> None:
    """One object on standard output; a number that is not finite would be a fault, so it raises."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, indent=2, default=str)
    if not writable(text):  # JSON has a way of its own to write any character
        text = json.dumps(value, allow_nan=False, indent=2, default=str)
    sys.stdout.write(text + "\n")


def screen() -> Console:
    """Standard output for people: tables and text."""
    return Console(highlight=False)


class _Progress(Console):
    """A console whose reader may go: by itself it would then end the process, and standard output with it."""

    def on_broken_pipe(self) -> None:
        """Raise what any other stream raises."""
        raise BrokenPipeError


def progress() -> Console:
    """Standard error: live display, warnings, errors."""
    return _Progress(stderr=True, highlight=False)


def main(loaded: Callable[[], object] = lambda: None) -> NoReturn:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted.

    loaded: called when the commands are there, before one is run.
    """
    prepare_streams()
    code = _run(loaded)
    try:
        finish_output()
    except OutputLostError as lost:
        if code == DONE:  # what ended it otherwise was said
            say(str(lost))
            code = FAILED
    sys.exit(code)


def _run(loaded: Callable[[], object]) -> int:
    """Run the command, and say what ended it; its exit code."""
    if sys.argv[1:] != ["--version"]:  # which needs none of what they load
        _register_commands()
    # Hardly anything here is part of a cycle, and to look for some after every 700 new objects takes a fifteenth of a
    # short command, and a tenth of a second at a time of a long one.
    gc.set_threshold(*GARBAGE_COLLECTION)
    compilation.tell(harmless(lambda sentence: progress().print(sentence, soft_wrap=True), "That kernels are compiled"))
    loaded()
    try:
        app()
    except RecordReplacedError as error:  # the input was right when it came
        say(str(error))
        return FAILED
    except InputError as error:
        say(str(error))
        return BAD_INPUT
    except JobStopped as stopped:
        say(str(stopped))
        return INTERRUPTED
    except RuleforgeError as error:
        say(str(error))
        return FAILED
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except SystemExit as done:
        # What the library of the command line makes of Ctrl-C, without a word.
        if isinstance(getattr(done.__context__, "__cause__", None), KeyboardInterrupt):
            say("interrupted")
        return done.code if isinstance(done.code, int) else FAILED if done.code else DONE
    return DONE


def _register_commands() -> None:
    """Import the commands, by which they are registered."""
    import api.command_line.control
    import api.command_line.doctor
    import api.command_line.evolve
    import api.command_line.export
    import api.command_line.record
    import api.command_line.rules
    import api.command_line.runner
    import api.command_line.serve
    import api.command_line.study
    import api.command_line.submit
    import api.command_line.watch
    import api.command_line.worker  # noqa: F401
