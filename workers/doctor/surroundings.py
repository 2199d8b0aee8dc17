"""Looks at what stands around: the record, the scheduler, the port, disk space, encoding, proxies, the clock."""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ruleforge.errors import InputError
from ruleforge.family import family_names
from ruleforge.kernel.version import cache_root
from ruleforge.store import open_store
from ruleforge.store.checking import contents, integrity
from ruleforge.store.database import Address
from workers.doctor.findings import ACTION, NOTE, OK

Found = Iterator[tuple[str, str, str]]
# Below so many bytes a job may fail to commit, or will do so soon.
LITTLE, TOO_LITTLE = 2e9, 1e8
LONG_IN_QUEUE = timedelta(hours=1)
BUILT = datetime(2026, 1, 1, tzinfo=UTC)  # no clock that is right shows an earlier time


def record(url: str) -> Callable[[], Found]:
    """The record opens, is whole, and holds nothing that nobody works on or reads."""

    def look() -> Found:
        address = Address.parse(url)
        if address.path is not None and not os.path.lexists(address.path):
            yield NOTE, f"there is no record at {address.name} yet", f"ruleforge evolve reward --db {address.name}"
            return
        faults = integrity(url)
        if faults:
            for fault in faults:
                yield ACTION, f"{address.name} is damaged: {fault}", f"sqlite3 {address.path} .recover"
            return
        try:
            store = open_store(url, create=False)
        except InputError as error:
            remedy = f"ruleforge db upgrade --db {address.name}" if "db upgrade" in str(error) else ""
            yield ACTION, str(error), remedy
            return
        with store:
            orphaned = [each.id for each in store.waiting(("evolution", "evaluation")) if each.orphaned]
            figures = store.statistics()
        held = contents(url)
        installed = family_names()
        for task, n in sorted(held.rules.items()):
            if task not in installed:
                yield NOTE, f"{n} rules are of the family {task!r}, which is not installed here", f"pip install {task}"
        if orphaned:
            yield (
                ACTION,
                f"the processes that ran {', '.join(orphaned)} have died: a runner goes on with them",
                f"ruleforge runner --until-idle --db {address.name}",
            )
        since = figures.oldest_queued
        if since is not None and datetime.now(UTC) - since.astimezone(UTC) > LONG_IN_QUEUE:
            yield (
                ACTION,
                f"{figures.queued} jobs wait, the oldest since {since:%Y-%m-%d %H:%M}: no runner takes them",
                f"ruleforge runner --db {address.name}",
            )
        jobs, rules = sum(held.jobs.values()), sum(held.rules.values())
        yield OK, f"{address.name} is whole: {jobs} jobs, {rules} rules", ""

    return look


def scheduler(place: str) -> Callable[[], Found]:
    """The scheduler answers, and its workers have our versions."""

    def look() -> Found:
        from workers.cluster.connection import Connection

        said: list[str] = []
        connection = Connection(place, None, said.append)
        try:
            n = len(connection.present())
        finally:
            connection.close()
        for sentence in said:
            yield NOTE, sentence, ""
        if n:
            yield OK, f"{place} answers, with {n} worker(s) of the same versions", ""
        else:
            yield ACTION, f"{place} answers and has no worker", f"ruleforge worker {place}"

    return look


def port(host: str, number: int) -> Callable[[], Found]:
    """The service's port is free."""

    def look() -> Found:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((host, number))
            except OSError as error:
                text = f"{number} of {host} cannot be had ({error.strerror}): a service may be running there"
                yield NOTE, text, "ruleforge serve --port 0"
                return
        yield OK, f"{number} of {host} is free", ""

    return look


def disk(url: str) -> Callable[[], Found]:
    """There is room for the record, for kernels and for what is temporary."""

    def look() -> Found:
        path = Address.parse(url).path
        places = {"the record": path.parent if path else None, "kernels": cache_root(), "temporary files": None}
        places["temporary files"] = Path(tempfile.gettempdir())
        for what, folder in places.items():
            if folder is None:
                continue
            while not folder.is_dir() and folder != folder.parent:
                folder = folder.parent  # noqa: PLW2901 - what is not there yet will be on the disk of what is above
            free = shutil.disk_usage(folder).free
            state = ACTION if free < TOO_LITTLE else NOTE if free < LITTLE else OK
            yield (
                state,
                f"{free / 1e9:.1f} GB are free for {what} in {folder}",
                "" if state == OK else f"df -h {folder}",
            )

    return look


def encoding() -> Found:
    """Characters of formulas can be written, names of files read."""
    used = (getattr(sys.__stdout__, "encoding", None) or "none", sys.getfilesystemencoding())
    if all(each.lower().replace("-", "") == "utf8" for each in used):
        yield OK, "UTF-8", ""
    else:
        text = f"output is in {used[0]} and names of files in {used[1]}: characters that they lack are replaced"
        yield NOTE, text, "export PYTHONUTF8=1"


def proxies() -> Found:
    """No proxy stands between a client and a service that is not meant to."""
    from urllib.request import getproxies

    named = {name: value for name, value in getproxies().items() if name in ("http", "https", "all")}
    if named:
        yield (
            NOTE,
            f"services elsewhere are reached through a proxy ({', '.join(sorted(named))})",
            "export NO_PROXY=HOST",
        )
    else:
        yield OK, "none", ""


def clock() -> Found:
    """The clock shows a time that can be."""
    moment = datetime.now(UTC)
    if moment < BUILT:
        yield ACTION, f"the clock shows {moment:%Y-%m-%d}", "timedatectl set-ntp true"
    else:
        yield OK, f"{moment:%Y-%m-%d %H:%M} UTC", ""
