"""A look at a Dask cluster from outside: who is in it, without joining and without keeping a connection."""

from __future__ import annotations

from pathlib import Path

from ruleforge.errors import InputError
from workers.cluster.connection import read_address, scheduler_place


def scheduler_address(text: str) -> str:
    """The address of a scheduler, which is given itself or written in its file. Raises InputError if there is none."""
    place = scheduler_place(text)
    if "address" in place:
        return place["address"]
    try:
        return read_address(Path(place["scheduler_file"]))
    except (OSError, ValueError) as error:
        raise InputError(f"scheduler: {text} says no address ({error}): is the scheduler running?") from None


async def workers_of(address: str) -> dict[str, int]:
    """Threads by worker address. Raises OSError if no scheduler answers."""
    from distributed.core import rpc

    async with rpc(address) as scheduler:
        identity = await scheduler.identity(n_workers=-1)
    return {name: int(worker["nthreads"]) for name, worker in identity["workers"].items()}
