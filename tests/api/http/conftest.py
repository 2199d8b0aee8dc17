"""The service as a process of its own, on a record that one small job has filled."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from ruleforge.spec import job_spec
from ruleforge.store import open_store
from workers.evaluators import SerialEvaluator
from workers.evolve import run_job, submit

# A job that ends within a second.
SMALL: Mapping[str, Any] = {
    **{"task": "reward", "seed": 5, "budget": {"generations": 4}, "parameters": {"n_trials": 20}},
    **{"instances": {"training": 2, "validation": 3, "test": 3}, "search": {"population": 8, "offspring": 16}},
}
SCRIPT = Path(sys.executable).parent / "ruleforge"


class Service:
    """A running `ruleforge serve`, and a client of it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.log: list[dict[str, Any]] = []
        self._begun = threading.Event()
        # The log is read to its end, or the process would wait for a reader.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._begun.wait(60), f"it did not begin: {self.log}"
        begun = [line for line in self.log if line.get("event") == "serving"]
        assert begun, self.log
        self.address: str = begun[0]["address"]
        self.client = httpx.Client(base_url=self.address, timeout=30)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(json.loads(line) if line.startswith("{") else {"text": line})
            if self.log[-1].get("event") == "serving":
                self._begun.set()
        self._begun.set()

    def read_to_the_end(self) -> None:
        """The log is complete after this: its runner, which writes there too, has ended as well."""
        self._reader.join(timeout=30)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def submit(self, **over: Any) -> str:
        """Queue the small job with these keys over it; its id."""
        answer = self.client.post("/api/v1/jobs", json={**SMALL, **over})
        assert answer.status_code == 202, answer.text
        id: str = answer.json()["id"]
        return id

    def job(self, id: str) -> dict[str, Any]:
        """The job as it stands."""
        found: dict[str, Any] = self.client.get(f"/api/v1/jobs/{id}").json()
        return found

    def until(self, id: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The job, as soon as it is as wanted."""
        while not condition(job := self.job(id)):
            assert self.process.poll() is None, self.log[-20:]
            threading.Event().wait(0.05)
        return job


@contextmanager
def serving(url: str, *options: str) -> Iterator[Service]:
    """A service on the record at `url`, ended with SIGTERM."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RULEFORGE_DB")}
    process = subprocess.Popen(
        [SCRIPT, "serve", "--port", "0", "--db", url, *options],
        env=environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            service = Service(process)
            with service.client:
                yield service
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
            service.read_to_the_end()


@pytest.fixture(scope="session")
def filled_record(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with one finished job."""
    path = tmp_path_factory.mktemp("record") / "filled.db"
    with open_store(f"sqlite:///{path}") as store:
        run_job(store, submit(store, job_spec({**SMALL, "name": "first"})), SerialEvaluator())
    return path


@pytest.fixture(scope="session")
def service(filled_record: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service without a runner, on a copy of the filled record; shared by all tests of a process."""
    path = tmp_path_factory.mktemp("service") / "record.db"
    shutil.copy(filled_record, path)
    with serving(f"sqlite:///{path}", "--no-runner") as running:
        yield running


@pytest.fixture(scope="session")
def done(service: Service) -> dict[str, Any]:
    """The finished job."""
    (job,) = service.get("/api/v1/jobs", params={"state": "succeeded"}).json()["items"]
    found: dict[str, Any] = service.job(job["id"])
    return found


@pytest.fixture
def with_runner(tmp_path: Path) -> Iterator[Service]:
    """A service of its own record, with its runner."""
    with serving(f"sqlite:///{tmp_path}/record.db", "--workers", "1") as running:
        yield running
