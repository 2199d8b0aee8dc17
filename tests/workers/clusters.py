"""Clusters of real processes for tests, and small calls of `score` on the family `made` to send there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ruleforge.family import InstanceKey, Scores, family
from ruleforge.language.rule import Rule
from tests.ports import free_port
from workers.evaluators.dask import DaskEvaluator

PROGRAMS = Path(sys.executable).parent


def made(**parameters):
    return family("made", parameters)


def made_rules(n):
    return [Rule.parse(f"{number}*x", "made") for number in range(n)]


def made_keys(n):
    return [InstanceKey("sampled", "training", 0, index) for index in range(n)]


def values(scores: list[Scores]):
    return [item.fitness.tolist() for item in scores]


def wait_for(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)


class Killer:
    """As `stop` of a call: kills one worker as soon as work was seen, and never asks to stop."""

    def __init__(self, evaluator: DaskEvaluator, seen: Path) -> None:
        self.evaluator, self.seen, self.killed = evaluator, seen, False

    def __call__(self) -> bool:
        if not self.killed and self.seen.exists():
            os.kill(next(iter(self.evaluator.connection.client.run(os.getpid).values())), signal.SIGKILL)
            self.killed = True
        return False


class Cluster:
    """A scheduler in a process of its own, and workers that join it by its scheduler file."""

    def __init__(self, folder: Path, path: Path):
        self.folder, self.file = folder, folder / "scheduler.json"
        paths = [str(path), os.environ.get("PYTHONPATH", "")]
        self.environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self.port = str(free_port())
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.running: list[subprocess.Popen] = []
        self.scheduler = self.start_scheduler()

    def start(self, program: str, *arguments: str) -> subprocess.Popen:
        with (self.folder / "log").open("a") as log:
            process = subprocess.Popen(
                [PROGRAMS / program, *arguments],
                env=self.environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.running.append(process)
        return process

    def start_scheduler(self, **settings: str) -> subprocess.Popen:
        self.environment |= settings
        options = ("--host", "127.0.0.1", "--port", self.port, "--no-dashboard")
        return self.start("dask", "scheduler", *options, "--scheduler-file", str(self.file))

    def start_worker(self) -> subprocess.Popen:
        return self.start("ruleforge", "worker", "--scheduler-file", str(self.file), "--workers", "1")

    def start_foreign_worker(self, *options: str) -> subprocess.Popen:
        return self.start("dask", "worker", self.address, "--nthreads", "1", "--no-dashboard", *options)

    def kill(self, process: subprocess.Popen, number: int = signal.SIGKILL) -> None:
        """End a process and all that it started."""
        if process.poll() is None:
            os.killpg(process.pid, number)
            process.wait()

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def close(self) -> None:
        for process in self.running:
            self.kill(process)
