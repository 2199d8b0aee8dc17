"""Shared by all tests: a PostgreSQL server of our own, started when the first test asks for it."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.ports import free_port

# Ends the server when this process ends, however it does: the pipe then closes, and `read` returns.
_WATCHED = '"$@" & server=$!; read -r _; kill -QUIT $server; wait $server'


@dataclass(frozen=True)
class PostgresqlServer:
    """A running server that trusts everybody on this machine."""

    programs: Path
    folder: Path
    port: int

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run one statement; what it answers."""
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database)
        command = [self.programs / "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", *where, "-c", statement]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _programs() -> Path:
    """Where the newest server is installed; skips the test where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    somewhere = shutil.which("postgres")
    if somewhere is None:
        pytest.skip("there is no PostgreSQL server: install the package postgresql")
    return Path(somewhere).resolve().parent


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A server with an empty cluster, in a temporary folder."""
    programs = _programs()
    root = os.geteuid() == 0  # the server refuses to run as root
    as_user = {"user": "postgres", "group": "postgres", "extra_groups": []} if root else {}
    folder = Path(tempfile.mkdtemp(prefix="ruleforge-postgresql-"))
    if root:
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
    try:
        options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        initdb = [programs / "initdb", "-D", folder / "data", *options]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **as_user)
        port = free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "fsync": "off",
            "max_connections": "300",
            "shared_buffers": "32MB",
        }
        server = [programs / "postgres", "-D", folder / "data", "-p", str(port)]
        for name, value in settings.items():
            server += ["-c", f"{name}={value}"]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(
                ["sh", "-c", _WATCHED, "sh", *server],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=folder,
                **as_user,
            ) as process,
        ):
            ready = [programs / "pg_isready", "-q", "-t", "1", "-h", "127.0.0.1", "-p", str(port)]
            while subprocess.run(ready, check=False).returncode != 0:
                assert process.poll() is None, (folder / "log").read_text()
            yield PostgresqlServer(programs, folder, port)
            assert process.stdin is not None
            process.stdin.close()
            process.wait(timeout=30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


_numbers = itertools.count()


@pytest.fixture
def new_database(postgresql_server: PostgresqlServer) -> Callable[[], str]:
    """Create an empty database, and return its URL."""

    def create() -> str:
        name = f"test_{next(_numbers)}"
        postgresql_server.sql(f"CREATE DATABASE {name} TEMPLATE template0")
        return postgresql_server.url(name)

    return create


@pytest.fixture(scope="session")
def _shared_record(postgresql_server: PostgresqlServer) -> str:
    from ruleforge.store import open_store

    postgresql_server.sql("CREATE DATABASE record TEMPLATE template0")
    url = postgresql_server.url("record")
    open_store(url).close()
    return url


@pytest.fixture
def postgresql_record(postgresql_server: PostgresqlServer, _shared_record: str) -> str:
    """The URL of an empty record on PostgreSQL: one for all tests, emptied, because to make one takes longer."""
    from ruleforge.store.schema import metadata

    left = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'record' AND pid <> pg_backend_pid()"
    postgresql_server.sql(left, "record")
    postgresql_server.sql(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY", "record")
    return _shared_record


@pytest.fixture(params=["sqlite", "postgresql"])
def record_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty record, once on each kind of database that processes can share."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/record.db"
    url: str = request.getfixturevalue("postgresql_record")
    return url
