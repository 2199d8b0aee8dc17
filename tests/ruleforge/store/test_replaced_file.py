"""A file that is no longer the one at its path: noticed at every transaction, and nothing is reported as kept."""

from __future__ import annotations

import os
import shutil

import pytest

from ruleforge.errors import Fault, RecordReplacedError
from ruleforge.store import open_store


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "records"
    made.mkdir()
    return made


@pytest.fixture
def path(folder):
    return folder / "record.db"


def deleted(path):
    path.unlink()


def deleted_with_its_log(path):
    for file in path.parent.iterdir():
        file.unlink()


def folder_deleted(path):
    shutil.rmtree(path.parent)


def moved(path):
    path.rename(path.with_name("elsewhere.db"))


def folder_moved(path):
    path.parent.rename(path.parent.with_name("renamed"))


def folder_became_a_file(path):
    shutil.rmtree(path.parent)
    path.parent.touch()


def another_record(path):
    other = path.with_name("other.db")
    open_store(f"sqlite:///{other}").close()
    os.replace(other, path)


def empty_file(path):
    path.unlink()
    path.touch()


def link_elsewhere(path):
    other = path.with_name("other.db")
    shutil.copy(path, other)
    path.unlink()
    path.symlink_to(other)


def cut_to_nothing(path):
    os.truncate(path, 0)


def cut_to_a_page(path):
    os.truncate(path, 4096)


def cut_inside_a_page(path):
    os.truncate(path, path.stat().st_size - 1000)


def cut_inside_the_header(path):
    os.truncate(path, 20)


@pytest.mark.parametrize(
    ("replace", "what"),
    [
        (deleted, "was deleted or moved"),
        (deleted_with_its_log, "was deleted or moved"),
        (folder_deleted, "was deleted or moved"),
        (moved, "was deleted or moved"),
        (folder_moved, "was deleted or moved"),
        (folder_became_a_file, "was deleted or moved"),
        (another_record, "was replaced by another file"),
        (empty_file, "was replaced by another file"),
        (link_elsewhere, "was replaced by another file"),
        (cut_to_nothing, "was cut short"),
        (cut_to_a_page, "was cut short"),
        (cut_inside_a_page, "was cut short"),
        (cut_inside_the_header, "was cut short"),
    ],
)
def test_it_is_noticed_by_who_writes_and_by_who_reads(path, records, replace, what):
    open_store(f"sqlite:///{path}").close()
    with open_store(f"sqlite:///{path}") as store:
        store.create_job(records.job())
        replace(path)
        for act in (lambda: store.create_job(records.job()), store.jobs):
            with pytest.raises(
                RecordReplacedError, match=rf"{what} while it was open.*--db sqlite:///ANOTHER\.db"
            ) as e:
                act()
            assert e.value.fault is Fault.permanent
    assert (
        not path.exists()
        or path.stat().st_size == 0
        or "cut" in replace.__name__
        or replace
        in (
            another_record,
            link_elsewhere,
        )
    ), "nothing was made anew behind the user's back"


def test_it_is_noticed_at_the_commit_of_what_was_begun_before(path, records):
    with open_store(f"sqlite:///{path}") as store:
        with pytest.raises(RecordReplacedError), store._database.writing():
            path.unlink()
        assert not path.exists()


def test_a_file_that_is_put_back_is_the_record_again(path, records):
    with open_store(f"sqlite:///{path}") as store:
        job = store.create_job(records.job())
        moved(path)
        with pytest.raises(RecordReplacedError):
            store.jobs()
        path.with_name("elsewhere.db").rename(path)
        assert [item.id for item in store.jobs()] == [job]


def test_what_makes_a_file_smaller_by_right_is_no_fault(path, records):
    with open_store(f"sqlite:///{path}") as store:
        for _ in range(60):
            store.create_job(records.job())
        with store._database.without_transaction() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        before = path.stat().st_size
        for job in store.jobs()[1:]:
            store.set_state(job.id, "cancelled", "unwanted")
            store.delete_job(job.id)
        with store._database.without_transaction() as connection:
            connection.exec_driver_sql("VACUUM")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        assert path.stat().st_size < before
        assert len(store.jobs()) == 1
