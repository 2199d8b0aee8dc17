"""The service's runner: a child process that is started, watched, replaced when it dies, and ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

import structlog

# A runner that dies at once is not started again at once: seconds, doubled each time up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
# A runner that has lived so long had no fault at its start.
SETTLED_SECONDS = 30.0
# How long the jobs may take to go back into the queue at the end.
END_SECONDS = 25.0
# The variable that tells the child its options.
OPTIONS = "RULEFORGE_RUNNER_OPTIONS"


class RunnerProcess:
    """`api.http.runner_child`, kept alive until `close`. Its status is what it said last, None before."""

    def __init__(self, database: str, scheduler: str | None, workers: int | None) -> None:
        self._options = json.dumps({"database": database, "scheduler": scheduler, "workers": workers})
        self._closing = threading.Event()
        self._starting = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self.workers: int | None = None
        self.jobs: int | None = None
        self.restarts = 0
        # Before the thread that keeps it alive, so that a service that is up has a runner.
        self._start()
        self._keeper = threading.Thread(target=self._keep, name="runner-keeper", daemon=True)
        self._keeper.start()

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._child is not None and self._child.poll() is None

    @property
    def process(self) -> int | None:
        """Its process id."""
        return self._child.pid if self._child is not None and self.alive else None

    def close(self) -> None:
        """Let the jobs go back into the queue, and wait for that."""
        with self._starting:
            self._closing.set()
            child = self._child
        if child is None:
            return
        assert child.stdin is not None
        child.stdin.close()
        try:
            child.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            structlog.get_logger().warning("runner_killed", reason=f"it did not end within {END_SECONDS:.0f} s")
            child.kill()
            child.wait()
        self._keeper.join()

    def _start(self) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "api.http.runner_child"],
            # Not an argument, which every user of the machine could read: the record's address may have a password.
            env={**os.environ, OPTIONS: self._options},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Not in the terminal's group: Ctrl-C reaches the service alone, which ends the runner in order.
            start_new_session=True,
        )

    def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            self._listen()
            assert self._child is not None
            code = self._child.wait()
            self.workers = self.jobs = None
            if self._closing.is_set():
                return
            if time.monotonic() - began > SETTLED_SECONDS:
                pause = FIRST_PAUSE
            structlog.get_logger().error("runner_died", exit_code=code, next_one_in_seconds=pause)
            if self._closing.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE)
            with self._starting:
                if self._closing.is_set():
                    return
                self.restarts += 1
                self._start()

    def _listen(self) -> None:
        assert self._child is not None
        assert self._child.stdout is not None
        with self._child.stdout as lines:
            for line in lines:
                status = json.loads(line)
                self.workers, self.jobs = status["workers"], status["jobs"]
