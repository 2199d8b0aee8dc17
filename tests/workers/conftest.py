"""Small jobs that end in a tenth of a second, and ways to run them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from ruleforge import family as families
from ruleforge.spec import JobSpec, job_spec
from ruleforge.store import Store, open_store
from tests.workers.clusters import Cluster
from workers.evaluators import Evaluator, SerialEvaluator
from workers.evaluators.dask import DaskEvaluator
from workers.evolve import run_job, submit

HELPERS = Path(__file__).parent / "helpers"


class Jobs:
    """Specifications of small jobs, and the run of one from its submission."""

    SMALL: Mapping[str, Any] = {
        "task": "reward",
        "seed": 3,
        "parameters": {"n_trials": 20},
        "instances": {"training": 2, "validation": 3, "test": 3},
        "search": {"population": 8, "offspring": 8},
        "budget": {"generations": 5},
    }

    def spec(self, **changes: Any) -> JobSpec:
        """The small job, with other keys of the specification over its own."""
        return job_spec({**self.SMALL, **changes})

    def run(
        self, store: Store, evaluator: Evaluator | None = None, spec: JobSpec | None = None, **options: Any
    ) -> dict[str, Any]:
        """Submit a job and run it; the result."""
        return run_job(store, submit(store, spec or self.spec()), evaluator or SerialEvaluator(), **options)

    @staticmethod
    def essence(result: Mapping[str, Any]) -> dict[str, Any]:
        """A result without what may differ between two runs of one specification: job id and running time."""
        return {name: value for name, value in result.items() if name not in ("job", "seconds")}


@pytest.fixture(scope="session")
def jobs() -> Jobs:
    """Small jobs."""
    return Jobs()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A record in a file."""
    with open_store(f"sqlite:///{tmp_path}/record.db") as opened:
        yield opened


@pytest.fixture(scope="session")
def undisturbed(jobs: Jobs) -> Callable[..., dict[str, Any]]:
    """The result of a job that ran alone, in one go, in a fresh record."""

    def run(spec: JobSpec | None = None) -> dict[str, Any]:
        with open_store("sqlite://") as fresh:
            return jobs.run(fresh, spec=spec)

    return run


def _forget_families() -> None:
    families._entry_points.cache_clear()
    families.family_class.cache_clear()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder from which the family `made` is installed, in this process and in those that it starts."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.copy(HELPERS / "made_family.py", folder)
    information = folder / "made_family-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: made_family\nVersion: 1.0\n", "utf-8")
    (information / "entry_points.txt").write_text("[ruleforge.tasks]\nmade = made_family:Made\n", "utf-8")
    sys.path.insert(0, str(folder))
    _forget_families()
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("made_family", None)
    _forget_families()


@pytest.fixture(scope="module")
def embedded(installed: Path) -> Iterator[DaskEvaluator]:
    """An embedded Dask cluster of two processes."""
    evaluator = DaskEvaluator("local", 2)
    yield evaluator
    evaluator.close()


@pytest.fixture
def cluster(tmp_path: Path, installed: Path) -> Iterator[Cluster]:
    """A scheduler, without any worker yet."""
    started = Cluster(tmp_path, installed)
    yield started
    started.close()
