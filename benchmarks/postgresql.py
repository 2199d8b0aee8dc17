"""A PostgreSQL server of our own with its default settings, for as long as a benchmark runs."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.peers.process import NoPeer


@contextlib.contextmanager
def server() -> Iterator[tuple[str, int]]:
    """The URL of an empty database, and the server's process. Raises NoPeer where no server is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise NoPeer("there is no PostgreSQL server: install the package postgresql")
    programs = found[-1].parent
    as_user: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="ruleforge-postgresql-"))
    try:
        if os.geteuid() == 0:  # the server refuses to run as root
            as_user = {"user": "postgres", "group": "postgres", "extra_groups": []}
            account = pwd.getpwnam("postgres")
            os.chown(folder, account.pw_uid, account.pw_gid)
        options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale")
        initdb: list[str | Path] = [programs / "initdb", "-D", folder / "data", *options]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **as_user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        command: list[str | Path] = [programs / "postgres", "-D", folder / "data", "-p", port, "-k", folder]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "-c", "listen_addresses=127.0.0.1"], stdout=log, stderr=log, cwd=folder, **as_user
            )
        try:
            ready: list[str | Path] = [programs / "pg_isready", "-q", "-t", "1", "-h", "127.0.0.1", "-p", port]
            while subprocess.run(ready, check=False).returncode != 0:
                if process.poll() is not None:
                    raise NoPeer(f"the PostgreSQL server ended at its start: {(folder / 'log').read_text()}")
            create: list[str | Path] = [
                programs / "createdb",
                "-h",
                "127.0.0.1",
                "-p",
                port,
                "-U",
                "postgres",
                "record",
            ]
            subprocess.run(create, check=True, capture_output=True)
            yield f"postgresql://postgres@127.0.0.1:{port}/record", process.pid
        finally:
            process.terminate()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def processor_seconds(server_process: int) -> float:
    """What the processes of a server have used of the processor so far, to the nanosecond (Linux: schedstat)."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # a process that has ended meanwhile
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == server_process:
                total += int((folder / "schedstat").read_text().split()[0])
    return total / 1e9
