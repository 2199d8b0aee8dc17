"""What is sent of those who run jobs and score rules, as models."""

from __future__ import annotations

from pydantic import BaseModel, Field


class RunnerObject(BaseModel):
    """The runner that this service started."""

    alive: bool
    process: int | None
    workers: int | None = Field(description="that score at the same time; null before it has said so")
    jobs: int | None = Field(description="that it runs")
    restarts: int


class WorkerObject(BaseModel):
    """A worker of the Dask cluster."""

    address: str
    threads: int


class Scheduler(BaseModel):
    """The Dask cluster that was named at start."""

    address: str
    reachable: bool
    workers: list[WorkerObject]


class Holding(BaseModel):
    """A job that is run, and by which process."""

    job: str
    host: str
    process: int
    silent: float = Field(description="seconds since its last sign of life")


class Cluster(BaseModel):
    """Who scores, and what is waiting."""

    runner: RunnerObject | None
    scheduler: Scheduler | None
    running: list[Holding]
    queued: int
    oldest_queued_seconds: float | None
