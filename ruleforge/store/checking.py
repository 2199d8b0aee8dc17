"""Whether a record is whole, as far as that can be told from outside: read, and never changed."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from ruleforge.store.database import Address, Database
from ruleforge.store.schema import jobs, rules

MOST_FAULTS = 5


@dataclass(frozen=True)
class Contents:
    """rules, jobs: how many there are, by task family."""

    rules: dict[str, int]
    jobs: dict[str, int]


def integrity(url: str) -> list[str]:
    """What the database itself finds damaged, at most MOST_FAULTS sentences. Raises StoreError where it cannot look."""
    address = Address.parse(url)
    if address.backend != "sqlite":
        return []  # a server looks after its own files
    database = Database(address)
    try:
        with database.reading() as connection:
            found = [str(row[0]) for row in connection.exec_driver_sql(f"PRAGMA integrity_check({MOST_FAULTS})")]
            astray = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(MOST_FAULTS)
    finally:
        database.close()
    damaged = [line for line in found if line != "ok"]
    return (damaged + [f"a row of {row[0]} refers to one of {row[2]} that is not there" for row in astray])[
        :MOST_FAULTS
    ]


def contents(url: str) -> Contents:
    """What a record holds. Raises StoreError where it cannot be read."""
    database = Database(Address.parse(url))
    try:
        with database.reading() as connection:
            held = [
                {
                    str(task): int(n)
                    for task, n in connection.execute(select(each.c.task, func.count()).group_by("task"))
                }
                for each in (rules, jobs)
            ]
    finally:
        database.close()
    return Contents(*held)
