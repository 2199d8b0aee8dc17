"""docker-compose.yml as it would run: each service's own command and environment, as processes of this machine."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

import ruleforge
from ruleforge.store import END_STATES, open_store
from tests.ports import free_port

ROOT = Path(__file__).parent.parent
PROGRAMS = Path(sys.executable).parent
JOB = {
    **{"seed": 4, "budget": {"generations": 4}, "parameters": {"n_trials": 20}},
    **{"instances": {"training": 2, "validation": 3, "test": 3}, "search": {"population": 8, "offspring": 8}},
}
OPTIONS = (
    *("--seed", "4", "--generations", "4", "--set", "n_trials=20", "--set", "instances.training=2"),
    *(
        "--set",
        "instances.validation=3",
        "--set",
        "instances.test=3",
        "--set",
        "search.population=8",
        "--set",
        "search.offspring=8",
    ),
)


def filled(value: Any) -> Any:
    """The value with ${NAME:-default} replaced by the default, as for a user who sets nothing."""
    if isinstance(value, str):
        return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
    if isinstance(value, dict):
        return {key: filled(item) for key, item in value.items()}
    return [filled(item) for item in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    """The services of the file, with defaults filled in."""
    found: dict[str, Any] = filled(yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8")))[
        "services"
    ]
    return found


def answers(client: httpx.Client) -> bool:
    """Whether the service has begun; whoever else may answer at its port makes it end, which the caller sees."""
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


class Machine:
    """The services on this machine: host names and ports of the file become local ones."""

    def __init__(self, services: dict[str, Any], postgresql_port: int, folder: Path) -> None:
        self.services, self.folder = services, folder
        self.scheduler_port, self.api_port = free_port(), free_port()
        self._places = {
            "postgres:5432": f"127.0.0.1:{postgresql_port}",
            "scheduler:8786": f"127.0.0.1:{self.scheduler_port}",
        }

    def here(self, text: str) -> str:
        """A word of a command or environment, for this machine."""
        for place, local in self._places.items():
            text = text.replace(place, local)
        return {"8786": str(self.scheduler_port), "8000": str(self.api_port), "0.0.0.0": "127.0.0.1"}.get(text, text)

    def environment(self, service: str) -> dict[str, str]:
        """Of a service: its own variables, and none of ours that it would not have."""
        own = {name: self.here(value) for name, value in self.services[service].get("environment", {}).items()}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RULEFORGE")}
        return kept | own

    @contextmanager
    def start(self, service: str, number: int = 0) -> Iterator[subprocess.Popen[str]]:
        """One process of a service, ended as a container is: SIGTERM, and after a while SIGKILL."""
        program, *arguments = [self.here(word) for word in self.services[service]["command"]]
        log = (self.folder / f"{service}-{number}.log").open("w+", encoding="utf-8")
        with (
            log,
            subprocess.Popen(
                [PROGRAMS / program, *arguments],
                cwd=self.folder,
                env=self.environment(service),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(timeout=30)
                except subprocess.TimeoutExpired:
                    process.kill()

    def logs(self) -> str:
        """What all said."""
        return "\n".join(f"--- {path.name}\n{path.read_text()}" for path in sorted(self.folder.glob("*.log")))


def test_the_services_name_each_other(services):
    assert set(services) >= {"postgres", "scheduler", "worker", "runner", "api"}
    for service in services.values():
        assert set(service.get("depends_on", [])) <= set(services)
        assert "ports" not in service, "nothing is published by default"


def test_the_image_has_what_its_services_run():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"^COPY (.*) \S+$", text, flags=re.MULTILINE)
    for source in " ".join(copied).split():
        assert (ROOT / source).exists(), source
    assert "--constraint constraints.txt '.[postgresql]'" in text
    assert "python -m tasks.warm_up" in text


@pytest.mark.timeout(200)
def test_a_job_goes_through_all_services(services, postgresql_server, tmp_path):
    machine = Machine(services, postgresql_server.port, tmp_path)
    # The image of the database makes user and database from its environment at its first start.
    assert services["postgres"]["command"] == ["postgres"]
    own = services["postgres"]["environment"]
    postgresql_server.sql(f"CREATE ROLE {own['POSTGRES_USER']} LOGIN PASSWORD '{own['POSTGRES_PASSWORD']}'")
    postgresql_server.sql(f"CREATE DATABASE {own['POSTGRES_DB']} OWNER {own['POSTGRES_USER']} TEMPLATE template0")
    url = machine.environment("runner")["RULEFORGE_DB"]
    expected = ruleforge.evolve("reward", db="sqlite://", **JOB).raw
    with ExitStack() as running:
        running.enter_context(machine.start("scheduler"))
        workers = services["worker"]["deploy"]["replicas"]
        for number in range(workers):
            running.enter_context(machine.start("worker", number))
        runner = running.enter_context(machine.start("runner"))
        queued = subprocess.run(
            [PROGRAMS / "ruleforge", "evolve", "reward", *OPTIONS, "--detach"],
            env=machine.environment("runner"),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        with open_store(url) as store:
            while (job := store.job(queued.stdout.strip())).state not in END_STATES:
                assert runner.poll() is None, machine.logs()
                time.sleep(0.1)
            assert job.state == "succeeded", machine.logs()
            assert job.result["history"] == expected["history"]
            assert job.result["front"] == expected["front"]
            api = running.enter_context(machine.start("api"))
            with httpx.Client(base_url=f"http://127.0.0.1:{machine.api_port}", timeout=30) as client:
                while not answers(client):
                    assert api.poll() is None, machine.logs()
                    time.sleep(0.1)
                assert [item["id"] for item in client.get("/api/v1/jobs").json()["items"]] == [job.id]
                cluster = client.get("/api/v1/cluster").json()
                assert (cluster["scheduler"]["reachable"], cluster["runner"]) == (True, None)
                assert len(cluster["scheduler"]["workers"]) >= workers
                over_http = client.post("/api/v1/jobs", json={"task": "reward", **JOB}).json()["id"]
                while (again := client.get(f"/api/v1/jobs/{over_http}").json())["state"] not in END_STATES:
                    assert runner.poll() is None, machine.logs()
                    time.sleep(0.1)
                assert again["result"]["history"] == expected["history"]
            api.send_signal(signal.SIGTERM)
            assert api.wait(timeout=30) == 0, machine.logs()
        runner.send_signal(signal.SIGTERM)
        assert runner.wait(timeout=30) == 0, machine.logs()
