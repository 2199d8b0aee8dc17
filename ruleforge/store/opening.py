"""Opening a record: create it, recognise its schema, bring it up to date, or refuse and leave nothing behind."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, column, inspect, select, table

from ruleforge.errors import StoreError
from ruleforge.store import schema
from ruleforge.store.database import BUSY_TIMEOUT, Address, Database
from ruleforge.store.faults import READ_ONLY, LockedError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"

# Alembic keeps the migration that runs in global variables.
_one_migration_at_a_time = threading.Lock()
_version = table(schema.VERSION_TABLE, column("version_num"))


def open_database(url: str, *, create: bool = True, busy_timeout: float = BUSY_TIMEOUT) -> Database:
    """Connect to the record at `url`, creating its schema where there is none yet.

    create: False refuses a record that does not exist; busy_timeout: seconds to wait for another process's lock.
    Raises StoreError, a sentence with the remedy, for a URL, a file or a schema that cannot be used. A refused open
    changes nothing.
    """
    address = Address.parse(url)
    with _new_file(address, create=create), _connected(address, busy_timeout) as database:
        with database.reading() as connection:
            up_to_date = _revision(connection, address) == schema.REVISION
        if not up_to_date:  # else nothing is to be written, and nobody who writes is to be waited for
            with database.writing(one_at_a_time=True) as connection:
                revision = _revision(connection, address)
                if revision is None and not create:
                    raise StoreError(
                        f"{address.name} holds no record yet: check the name, or start a job to create one"
                    )
                if revision is None:
                    _migrate(connection)
                elif revision != schema.REVISION:
                    raise _other_revision(revision, address)
        if address.path is not None:
            _write_ahead(database, busy_timeout)
        return database


def upgrade(url: str, *, busy_timeout: float = BUSY_TIMEOUT) -> str:
    """Bring the record at `url` to the newest schema, in one transaction, and return the name of that schema.

    Raises StoreError as `open_database`; a record that is up to date stays as it is.
    """
    address = Address.parse(url)
    with _new_file(address, create=False), _connected(address, busy_timeout) as database:
        with database.writing(one_at_a_time=True) as connection:
            revision = _revision(connection, address)
            if revision is None:
                raise StoreError(f"{address.name} holds no record yet, so there is nothing to upgrade: check the name")
            if revision != schema.REVISION:
                if revision not in known_revisions():
                    raise _other_revision(revision, address)
                _migrate(connection)
        database.close()
    return schema.REVISION


def migrations_config() -> Config:
    """Alembic's configuration of the migrations in this package; there is no alembic.ini."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def known_revisions() -> list[str]:
    """The names of all schemas that this version knows, newest first."""
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory.from_config(migrations_config()).walk_revisions()]


@contextmanager
def _connected(address: Address, busy_timeout: float) -> Iterator[Database]:
    database = Database(address, busy_timeout)
    try:
        yield database
    except BaseException:
        database.close()
        raise


@contextmanager
def _new_file(address: Address, *, create: bool) -> Iterator[None]:
    """Create the SQLite file if it is missing, and take it away again if what follows fails."""
    if address.path is None:
        yield
        return
    path = address.path
    created = False
    # os.path, and not Path, whose questions raise where a folder may not be searched or a name is too long.
    exists = os.path.exists(path)
    if exists and not os.path.isfile(path):
        raise StoreError(f"{address.name} names a folder or a device: name a file")
    if not os.path.isdir(path.parent):
        raise StoreError(
            f"{address.name} cannot be opened, there is no folder {str(path.parent)!r}: create it, or name another one"
        )
    if not create and not exists:
        raise StoreError(f"there is no record at {address.name}: check the name, or start a job to create one")
    # Asked before SQLite is, which would open a read-only file and leave its log beside it.
    if exists and not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise StoreError(f"the record {address.name} {READ_ONLY}")
    try:
        # Exclusively, so that of two processes only the one that made the file may remove it.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        created = True
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreError(
            f"{address.name} cannot be created in {str(path.parent)!r} ({error.strerror}): "
            "make the folder writable, or name a file in another one"
        ) from None
    try:
        yield
    except BaseException:
        if created and path.stat().st_size == 0:
            path.unlink()
        raise


def _revision(connection: Connection, address: Address) -> str | None:
    """The schema that the database says it has; None if it is empty."""
    tables = set(inspect(connection).get_table_names())
    if not tables:
        return None
    versions = list(connection.scalars(select(_version.c.version_num))) if schema.VERSION_TABLE in tables else []
    # Other programs use Alembic too; every schema of ours has had these two.
    if len(versions) != 1 or not {schema.jobs.name, schema.rules.name} <= tables:
        raise StoreError(
            f"{address.name} is another program's database (it has the table {min(tables)!r} and no record "
            "of ruleforge): name another one"
        )
    return str(versions[0])


def _other_revision(revision: str, address: Address) -> StoreError:
    if revision in known_revisions():
        return StoreError(
            f"the record {address.name} has schema {revision}, and this version of ruleforge works on "
            f"{schema.REVISION}: make a copy of it, then run `ruleforge db upgrade --db {address.name}`"
        )
    return StoreError(
        f"the record {address.name} has schema {revision}, which is newer than this version of ruleforge "
        f"({schema.REVISION}): install the newest ruleforge"
    )


def _migrate(connection: Connection) -> None:
    from alembic import command

    with _one_migration_at_a_time:
        config = migrations_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _write_ahead(database: Database, busy_timeout: float) -> None:
    """Switch a SQLite file to its write-ahead log, where readers and the writer do not wait for each other.

    The mode lasts, so only the first to open a new record changes it; SQLite itself does not wait for others then.
    """
    deadline = time.monotonic() + busy_timeout
    while True:
        try:
            with database.without_transaction() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            return
        except LockedError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.02)
