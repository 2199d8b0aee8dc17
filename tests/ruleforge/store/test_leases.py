"""Leases: a job is run by one process at any time, and only that one commits to it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ruleforge.errors import InputError
from ruleforge.store import JobHeldError, LeaseLostError, open_store
from ruleforge.store import leases as leases_module
from ruleforge.store.holders import Holder, is_gone, this_process

ELSEWHERE = Holder("cluster-7", "another boot", 4242, "99")


@pytest.fixture
def later(monkeypatch):
    """Let the record's clock run ahead by so many seconds."""
    real = leases_module.now

    def advance(seconds: float) -> None:
        def ahead(connection) -> datetime:
            return real(connection) + timedelta(seconds=seconds)

        monkeypatch.setattr(leases_module, "now", ahead)

    return advance


@pytest.fixture
def dead_process():
    """A process of this machine that ran and ended."""
    program = "from ruleforge.store.holders import this_process as p\nprint(*p().__dict__.values(), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    host, machine, process, started = done.stdout.splitlines()
    return Holder(host, machine, int(process), started)


def test_a_taken_job_runs_and_says_where(store, records):
    id = store.create_job(records.job())
    store.take(id, "started")
    assert store.job(id).state == "running"
    me = this_process()
    assert store.events(id)[-1]["payload"] == {
        **{"state": "running", "previous": "queued", "reason": "started"},
        **{"host": me.host, "process": me.process},
    }
    assert me.process == os.getpid()


@pytest.mark.parametrize("holder", [None, ELSEWHERE])
def test_a_held_job_is_refused_with_host_and_process(store, records, contents, holder):
    id = store.create_job(records.job())
    store.take(id, "started", holder=holder)
    before = contents(store)
    who = holder or this_process()
    with pytest.raises(
        JobHeldError, match=f"job {id} is being run by process {who.process} on {who.host} .*pause"
    ) as e:
        store.take(id, "resumed")
    assert not e.value.stopping
    assert contents(store) == before
    assert store.waiting() == []


def test_a_job_that_was_told_to_stop_is_still_held_until_it_is_let_go(store, records):
    id = store.create_job(records.job())
    lease = store.take(id, "started")
    store.set_state(id, "paused", "requested")
    with pytest.raises(JobHeldError, match="still ending its last piece of work") as refused:
        store.take(id, "resumed")
    assert refused.value.stopping
    store.release(id, lease)
    assert store.take(id, "resumed") != lease


def test_a_dead_process_of_this_machine_is_taken_over_at_once(store, records, dead_process):
    id = store.create_job(records.job())
    store.take(id, "started", holder=dead_process)
    assert [(item.id, item.orphaned) for item in store.waiting()] == [(id, True)]
    store.take(id, "resumed")
    reason = store.events(id)[-1]["payload"]["reason"]
    assert reason == f"taken over from process {dead_process.process} on {dead_process.host}, which has ended"
    assert store.waiting() == []


def test_a_process_elsewhere_is_taken_over_after_ten_seconds_of_silence(store, records, later):
    id = store.create_job(records.job())
    old = store.take(id, "started", holder=ELSEWHERE)
    later(6)
    assert store.waiting() == []
    with pytest.raises(JobHeldError, match=r"cluster-7 \(last sign of life 6 s ago\)"):
        store.take(id, "resumed")
    assert store.renew(id, old) == "running"
    later(12)  # 6 after the heartbeat
    with pytest.raises(JobHeldError):
        store.take(id, "resumed")
    later(15.5)
    assert [item.orphaned for item in store.waiting()] == [True]
    store.take(id, "resumed")
    reason = store.events(id)[-1]["payload"]["reason"]
    assert reason.startswith("taken over from process 4242 on cluster-7, which has been silent for ")


def test_whoever_was_taken_over_cannot_change_anything(store, records, later, contents):
    id = store.create_job(records.job())
    old = store.take(id, "started", holder=ELSEWHERE)
    store.commit_generation(id, records.generation(0), old)
    later(11)
    new = store.take(id, "resumed")
    before = contents(store)
    writes = [
        lambda: store.commit_generation(id, records.generation(1), old),
        lambda: store.commit_generation(id, records.generation(1)),
        lambda: store.set_state(id, "failed", "late", lease=old),
        lambda: store.finish(id, "succeeded", None, "", {}, {}, [], old),
    ]
    for write in writes:
        with pytest.raises(LeaseLostError, match=f"job {id} is held by process {os.getpid()} "):
            write()
    assert store.renew(id, old) is None
    store.release(id, old)
    assert contents(store) == before
    store.commit_generation(id, records.generation(1), new)
    assert store.job(id).generation == 2


@pytest.mark.parametrize("state", ["paused", "queued"])
def test_a_holder_of_a_job_that_was_stopped_elsewhere_cannot_commit(store, records, state):
    id = store.create_job(records.job())
    lease = store.take(id, "started")
    store.set_state(id, state, "requested")
    assert store.renew(id, lease) == state
    with pytest.raises(LeaseLostError, match=f"was {state} from outside"):
        store.commit_generation(id, records.generation(), lease)
    with pytest.raises(LeaseLostError):
        store.finish(id, "succeeded", None, "", {}, {}, [], lease)
    assert (store.job(id).state, store.job(id).generation) == (state, 0)


def test_leaving_a_job_lets_go_of_it(store, records):
    id = store.create_job(records.job())
    for state in ("paused", "queued"):
        lease = store.take(id, "again")
        store.set_state(id, state, "enough", lease=lease)
        assert store.renew(id, lease) is None
    lease = store.take(id, "again")
    store.finish(id, "succeeded", "target", "", {}, {}, [], lease)
    assert store.renew(id, lease) is None
    with pytest.raises(InputError, match="has succeeded and cannot be run"):
        store.take(id, "again")


def test_only_allowed_states_are_left(store, records, contents):
    id = store.create_job(records.job())
    store.set_state(id, "paused", "requested")
    before = contents(store)
    with pytest.raises(InputError, match=f"job {id} is paused and cannot be run: expected a job that is queued or run"):
        store.take(id, "taken", allowed=("queued", "running"))
    with pytest.raises(InputError, match="is paused and cannot become paused: expected a job that is queued"):
        store.set_state(id, "paused", "", allowed=("queued",))
    assert contents(store) == before


def test_jobs_wait_in_order_of_priority_then_age(store, records):
    low, first, high, second = (store.create_job(records.job(priority=p)) for p in (-1, 0, 5, 0))
    store.create_job(records.job(kind="evaluation"))
    paused, ended = (store.create_job(records.job()) for _ in range(2))
    store.set_state(paused, "paused", "")
    store.set_state(ended, "cancelled", "")
    assert [item.id for item in store.waiting()] == [high, first, second, low]
    assert [item.priority for item in store.waiting()] == [5, 0, 0, -1]
    assert [item.kind for item in store.waiting(("evaluation",))] == ["evaluation"]
    store.take(first, "taken")
    assert [item.id for item in store.waiting()] == [high, second, low]
    store.set_state(paused, "queued", "resumed")
    assert [item.id for item in store.waiting()] == [high, second, paused, low]


def test_of_many_that_want_a_job_one_gets_it(record_url, records):
    with open_store(record_url) as one, open_store(record_url) as other:
        ids = [one.create_job(records.job()) for _ in range(5)]

        def take(attempt: int) -> int:
            taken = 0
            for id in ids:
                try:
                    (one, other)[attempt % 2].take(id, "taken")
                    taken += 1
                except JobHeldError:
                    pass
            return taken

        with ThreadPoolExecutor(6) as pool:
            assert sum(pool.map(take, range(6))) == len(ids)


def test_a_recycled_process_id_is_not_mistaken():
    me = this_process()
    assert not is_gone(me)
    assert is_gone(replace(me, started="1"))
    assert not is_gone(replace(me, machine="another boot", started="1"))
    assert not is_gone(replace(me, machine=""))


def test_a_dead_child_that_nobody_waited_for_is_gone():
    with subprocess.Popen(
        [sys.executable, "-c", "print('ready', flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        fields = Path(f"/proc/{child.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        holder = replace(this_process(), process=child.pid, started=fields[19])
        assert not is_gone(holder)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is a zombie still
        assert is_gone(holder)
    assert is_gone(holder)
