"""Worker processes for somebody's scheduler: join, stay through its restarts, leave when told."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dask
from distributed import Nanny
from distributed.core import rpc
from distributed.security import Security

from ruleforge.errors import InputError
from tasks.warm_up import load_kernels
from workers.cluster.compatibility import METADATA, cautions, facts, refuse_to_join
from workers.cluster.connection import read_address
from workers.cluster.embedded import QUIET
from workers.cluster.logs import LOGGING_OF_PROCESSES

# How long to wait for a scheduler that is not there yet, or not any more.
WAIT_SECONDS = 300.0
RETRY_SECONDS = 1.0
ANSWER_SECONDS = 5.0


class _Nanny(Nanny):
    """Remembers that the scheduler ended in an orderly way, unlike one that was lost and may come back."""

    dismissed = False

    def close_gracefully(self, reason: str = "nanny-close-gracefully") -> None:
        """As Dask's."""
        self.dismissed = self.dismissed or reason == "scheduler-close"
        super().close_gracefully(reason=reason)


def run_workers(place: Mapping[str, str], n_workers: int, say: Callable[[str], None]) -> None:
    """Run worker processes of one thread each until SIGINT or SIGTERM, or until the scheduler ends or stays
    away.

    place: `address` or `scheduler_file`. say: told what happens, in sentences. Raises InputError if no scheduler
    answers, or if the versions of its cluster are others than ours, both of which it names.
    """
    logging.getLogger("distributed").setLevel(logging.WARNING)
    with dask.config.set({**QUIET, LOGGING_OF_PROCESSES: "warning"}):
        asyncio.run(_run(place, n_workers, say))


async def _run(place: Mapping[str, str], n_workers: int, say: Callable[[str], None]) -> None:
    told_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told_to_end.set)
    joined_before = False
    while True:
        try:
            address, theirs = await _scheduler(place, told_to_end)
        except TimeoutError as error:
            if joined_before:
                say(f"The scheduler did not come back ({error}): the workers end")
                return
            where = " ".join(place.values())
            raise InputError(
                f"no Dask scheduler answers at {where} ({error}): start one with `dask scheduler`"
            ) from None
        if told_to_end.is_set():
            return
        refuse_to_join(address, theirs)
        for caution in cautions(facts(), theirs):
            say(f"The same seed may not give the same last bits here: {caution}")
        if not joined_before:
            load_kernels()  # once, and not by every process at the same time
        dismissed = await _serve(address, n_workers, told_to_end, say)
        if told_to_end.is_set():
            return
        if dismissed:
            say(f"The scheduler at {address} has ended, and so do its workers")
            return
        joined_before = True
        say(f"The scheduler at {address} is gone: waiting up to {WAIT_SECONDS:.0f} s for it")


async def _scheduler(place: Mapping[str, str], told_to_end: asyncio.Event) -> tuple[str, Mapping[str, str]]:
    """Address of the scheduler and the facts of its cluster, once it answers; the first to come sets the facts."""
    deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
    while True:
        try:
            address = place.get("address") or read_address(Path(place["scheduler_file"]))
            scheduler: Any = rpc(
                address, timeout=ANSWER_SECONDS, connection_args=Security().get_connection_args("worker")
            )
            async with scheduler:
                theirs = await scheduler.get_metadata(keys=[METADATA], default=None)
                if theirs is None:
                    theirs = dict(facts())
                    await scheduler.set_metadata(keys=[METADATA], value=theirs)
            return address, theirs
        except (OSError, ValueError) as error:
            if told_to_end.is_set():
                return "", facts()
            if asyncio.get_running_loop().time() >= deadline:
                raise TimeoutError(f"{type(error).__name__}: {error}") from None
            await asyncio.sleep(RETRY_SECONDS)


async def _serve(address: str, n_workers: int, told_to_end: asyncio.Event, say: Callable[[str], None]) -> bool:
    """Run the processes until one of them has left the cluster for good, or the end was asked for.

    Whether the scheduler dismissed them.
    """
    nannies = [
        _Nanny(address, nthreads=1, preload=["workers.cluster.preload"], dashboard_address=None)
        for _ in range(n_workers)
    ]
    try:
        await asyncio.gather(*nannies)
    except (OSError, RuntimeError) as error:
        say(f"The workers could not join {address}: {error}")
    else:
        say(f"{n_workers} worker(s) joined {address}")
        ends: list[asyncio.Future[Any]] = [asyncio.ensure_future(_left(nanny)) for nanny in nannies]
        ends.append(asyncio.ensure_future(told_to_end.wait()))
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
    finally:
        await asyncio.gather(*(nanny.close() for nanny in nannies), return_exceptions=True)
    return any(nanny.dismissed for nanny in nannies)


async def _left(nanny: Nanny) -> None:
    await nanny.finished()
