"""The way to a Dask scheduler: found by address or file, checked, and found again after it was lost."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distributed import Client

from ruleforge.errors import EvaluatorLostError, InputError, JobStopped
from workers.cluster.compatibility import METADATA, cautions, facts, refusals, reported_facts
from workers.cluster.embedded import start_embedded_cluster
from workers.cluster.logs import quieten

# How long a scheduler may take to answer at first, and to come back after it was lost.
CONNECT_SECONDS = 30.0
RECONNECT_SECONDS = 120.0
RETRY_SECONDS = 0.5
# How old the knowledge of who is in the cluster may be.
REFRESH_SECONDS = 1.0
# After this time without any worker the user is told what is missing.
PATIENCE_SECONDS = 5.0

LOCAL = "local"


def scheduler_place(text: str) -> dict[str, str]:
    """Keywords for Dask's Client and Nanny: an address (tcp://host:port, host:port) or the path of a scheduler file.

    Raises InputError for what is neither.
    """
    if "://" in text:
        return {"address": text}
    if text.endswith(".json") or "/" in text:
        return {"scheduler_file": text}
    host, _, port = text.rpartition(":")
    if host and port.isdigit():
        return {"address": f"tcp://{text}"}
    raise InputError(
        f"scheduler: expected 'local', an address like tcp://host:8786, or a scheduler file, and {text!r} came"
    )


def read_address(file: Path) -> str:
    """The address in a scheduler file. Raises OSError or ValueError if it is not there, or not yet written."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{file} is nested too deeply") from None
    if not isinstance(content, dict) or not isinstance(content.get("address"), str):
        raise ValueError(f"{file} names no address")
    return str(content["address"])


class Connection:
    """A client of one scheduler, shared by all calls of a process; safe between threads.

    Raises InputError if the scheduler cannot be reached or a worker there does not fit.
    """

    def __init__(self, scheduler: str, workers: int | None, warn: Callable[[str], None]) -> None:
        quieten()
        self._warn = warn
        self._lock = threading.RLock()
        self._reconnecting = threading.Lock()
        self._place = {} if scheduler == LOCAL else scheduler_place(scheduler)
        self._cluster = None if self._place else start_embedded_cluster(workers or 1)
        self.name = "the embedded cluster" if self._cluster else scheduler
        self._known: dict[str, int] = {}  # threads by address
        self._unfit: dict[str, str] = {}  # why, by address
        self._refreshed = self._last_seen = 0.0
        self._told_of_no_worker = False
        self._warned: set[str] = set()
        try:
            self.client = self._connect(CONNECT_SECONDS)
        except (OSError, ValueError) as error:  # no answer; no address that Dask knows how to reach
            raise InputError(
                f"no Dask scheduler answers at {scheduler} ({error}): start one with `dask scheduler`, "
                "or use `--scheduler local`"
            ) from None
        try:
            self._look(strict=True)
            self.client.set_metadata(METADATA, dict(facts()))
        except BaseException:
            self.close()
            raise

    def _connect(self, seconds: float) -> Client:
        if self._cluster is not None:
            return Client(self._cluster, set_as_default=False)
        if file := self._place.get("scheduler_file"):
            deadline = time.monotonic() + seconds
            while not os.path.exists(file):  # a batch system may not have started the scheduler yet
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"there is no such file after {seconds:.0f} s")
                time.sleep(RETRY_SECONDS)
            return Client(read_address(Path(file)), timeout=seconds, set_as_default=False)
        return Client(**self._place, timeout=seconds, set_as_default=False)

    @property
    def threads(self) -> int:
        """Threads of all workers that can be used, at least 1; as of a second ago."""
        with self._lock:
            return max(1, sum(n for address, n in self._known.items() if address not in self._unfit))

    def usable(self) -> list[str] | None:
        """Addresses that units are confined to, maybe none at the moment; None if every worker can be used."""
        with self._lock:
            return [address for address in self._known if address not in self._unfit] if self._unfit else None

    def present(self) -> list[tuple[str, int]]:
        """Address and threads of the workers that can be used, as of a second ago, in an order that stays."""
        with self._lock:
            return sorted((address, n) for address, n in self._known.items() if address not in self._unfit)

    def exclude(self, address: str, why: str) -> None:
        """Send no more units to a worker, and say so once."""
        with self._lock:
            if address not in self._unfit:
                self._unfit[address] = f"the worker at {address} does not fit: {why}. Install the same versions there"
                self._warn(f"{self._unfit[address]}; it is left out")
                self._look(strict=False)

    def refresh(self) -> None:
        """Look who is in the cluster, if the last look was some time ago."""
        with self._lock:
            if time.monotonic() - self._refreshed >= REFRESH_SECONDS:
                self._look(strict=False)

    def _look(self, *, strict: bool) -> None:
        now = self._refreshed = time.monotonic()
        try:
            present: dict[str, int] = self.client.nthreads()
        except Exception as error:  # noqa: BLE001 - whatever it is, the loss of the scheduler shows in the units
            logging.getLogger(__name__).debug("the workers cannot be listed: %s", error)
            return
        new = [address for address in present if address not in self._known]
        self._known = present
        self._unfit = {address: why for address, why in self._unfit.items() if address in present}
        if present or not self._last_seen:
            self._last_seen, self._told_of_no_worker = now, False
        elif now - self._last_seen > PATIENCE_SECONDS and not self._told_of_no_worker:
            self._told_of_no_worker = True
            self._warn(f"waiting for a worker to join {self.name}: start one with `ruleforge worker {self.name}`")
        if new and self._cluster is None:
            self._compare(new, strict=strict)

    def _compare(self, addresses: list[str], *, strict: bool) -> None:
        answers: dict[str, Any] = self.client.run(reported_facts, workers=addresses, on_error="return")
        faults = []
        for address, theirs in answers.items():
            if isinstance(theirs, OSError):
                continue  # it has left again
            if isinstance(theirs, Exception):
                why = [f"ruleforge cannot be used there ({type(theirs).__name__}: {theirs})"]
            else:
                why = refusals(facts(), theirs)
                for caution in cautions(facts(), theirs):
                    if caution not in self._warned:
                        self._warned.add(caution)
                        self._warn(f"the same seed may not give the same last bits on {address}: {caution}")
            if not why:
                continue
            if strict:
                faults.append(f"the worker at {address} does not fit: {'; '.join(why)}")
            else:
                self.exclude(address, "; ".join(why))
        if faults:
            raise InputError(
                f"{self.name} cannot be used: {'. '.join(faults)}. Install the same versions on both sides"
            )

    def reconnect(self, lost: Client, stop: Callable[[], bool]) -> None:
        """Connect anew after `lost` lost its scheduler; another thread may have done so already.

        Raises EvaluatorLostError if the scheduler does not come back, JobStopped if `stop` becomes true before.
        """
        deadline = time.monotonic() + RECONNECT_SECONDS
        while not self._reconnecting.acquire(timeout=RETRY_SECONDS):
            if stop():
                raise JobStopped("scoring was stopped on request")
        try:
            if self.client is lost:
                self._find_again(lost, deadline, stop)
        finally:
            self._reconnecting.release()

    def _find_again(self, lost: Client, deadline: float, stop: Callable[[], bool]) -> None:
        self._warn(f"the scheduler at {self.name} was lost: waiting up to {RECONNECT_SECONDS:.0f} s for it")
        threading.Thread(target=lost.close, kwargs={"timeout": 1}, daemon=True).start()
        while True:
            if stop():
                raise JobStopped("scoring was stopped on request")
            try:
                found = self._connect(RETRY_SECONDS * 2)
                break
            except OSError as error:
                if time.monotonic() >= deadline:
                    raise EvaluatorLostError(
                        f"the scheduler at {self.name} was lost and did not come back within {RECONNECT_SECONDS:.0f} s "
                        f"({error}): start it again, and the job goes on where it stands"
                    ) from None
                time.sleep(RETRY_SECONDS)
        with self._lock:
            self.client, self._known, self._last_seen = found, {}, 0.0
            self._warn(f"the scheduler at {self.name} is back")
            self.client.set_metadata(METADATA, dict(facts()))
            self._look(strict=False)

    def close(self) -> None:
        """Leave the cluster; an embedded one ends."""
        client = getattr(self, "client", None)
        if client is not None:
            client.close()
        if self._cluster is not None:
            self._cluster.close()
