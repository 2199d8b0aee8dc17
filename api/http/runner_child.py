"""The runner as a child of the service.

It works as `ruleforge runner` does, until its standard input ends: that is when the service closes it, or was killed.
The jobs then go back into the queue, so that the next service goes on with them at once. On standard output it says
once a second how many workers it has and how many jobs it runs, as JSON.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

import structlog

from api.http.runner_process import OPTIONS
from api.http.telemetry import configure_logging
from ruleforge.errors import RuleforgeError
from ruleforge.kernel.compilation import compilation
from ruleforge.store import open_store
from workers.evaluators.choose import make_evaluator
from workers.runner import DEFAULT_JOBS, Runner

STATUS_SECONDS = 1.0
_JOB = re.compile(r"\bJob ([0-9a-f]{12})\b")


def say(message: str) -> None:
    """A line of log; one that nobody reads any more must not stop a job."""
    found = _JOB.search(message)
    with suppress(OSError):  # standard error was closed with the service; the jobs go back into the queue all the same
        structlog.get_logger().info(message, source="runner", **({"job": found[1]} if found else {}))


def _wait_for_end(ended: threading.Event) -> None:
    # os.read, because a thread that waits inside sys.stdin would hold up the end of the interpreter.
    while os.read(0, 4096):
        pass
    ended.set()


def _tell(status: Any, ended: threading.Event) -> None:
    while not ended.wait(STATUS_SECONDS):
        try:
            sys.stdout.write(json.dumps(status()) + "\n")
            sys.stdout.flush()
        except OSError:
            return  # the service has gone, which the end of the input tells too


def main() -> int:
    """Run until the input ends. In the environment, under OPTIONS: {"database", "scheduler", "workers"} as JSON."""
    options = json.loads(os.environ.pop(OPTIONS))
    configure_logging()
    compilation.tell(say)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service, which then closes this process
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    try:
        # The service has made the record; one that has gone since is not to be made anew behind its back.
        with open_store(options["database"], create=False) as store:
            evaluator = make_evaluator(options["scheduler"], options["workers"], warn=say)
            try:
                runner = Runner(store, evaluator, DEFAULT_JOBS, say)

                def status() -> dict[str, int]:
                    return {"workers": evaluator.workers, "jobs": runner.running}

                threading.Thread(target=_tell, args=(status, ended), daemon=True).start()
                say(f"Waiting for jobs, {evaluator.workers} worker(s)")
                runner.run(ended.is_set)
            finally:
                evaluator.close()
    except RuleforgeError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
