"""The runner: takes jobs that nobody runs, several at once, and runs them on one shared evaluator."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ruleforge.checked import whole_number
from ruleforge.errors import EvaluatorLostError, InputError, RuleforgeError, StoreError
from ruleforge.search import Generation
from ruleforge.spec import JobSpec
from ruleforge.store import JobHeldError, JobRecord, Store, Waiting
from workers.evaluation import KIND, run_evaluation
from workers.evaluators.interface import Evaluator, never
from workers.evolve import SilentObserver, run_job
from workers.lease import fruitless_takeovers, leased
from workers.turns import SharedEvaluator, Turns, jobs_at_once

# Between two looks for work, in seconds.
LOOK_SECONDS = 0.5
DEFAULT_JOBS = 8
MAX_JOBS = 1000
# What a runner takes: paused jobs wait for somebody who wants them to go on.
TAKEN = ("queued", "running")
KINDS = ("evolution", KIND)
# A job that was taken over so often, without a generation since, is what ends its processes.
MAX_TAKEOVERS = 3


class Runner:
    """Runs jobs of a record, at most `n_jobs` at once, until it is told to stop.

    A job of a higher priority than those that run is begun beside them, and has all turns that it can use. Every job
    has a thread, which breeds and records; scoring goes to the shared evaluator by turns of equal time.
    say: told what happens, in sentences.
    """

    def __init__(
        self, store: Store, evaluator: Evaluator, n_jobs: int = DEFAULT_JOBS, say: Callable[[str], None] = print
    ) -> None:
        n_jobs = whole_number("jobs", n_jobs, 1, MAX_JOBS, of="jobs at once")
        self._store, self._evaluator, self._n_jobs, self._say = store, evaluator, n_jobs, say
        self.turns = Turns(lambda: jobs_at_once(evaluator.workers))
        self._active: dict[str, tuple[Waiting, threading.Thread]] = {}
        self._stopping = threading.Event()
        self._ended: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._fault = ""
        self._lost: EvaluatorLostError | None = None
        # A job that was taken over before without a generation since: whatever ended its process may do so again, and
        # no second such job is to be there then. Empty once it has committed one.
        self._suspect = ""

    @property
    def running(self) -> int:
        """How many jobs it runs."""
        return sum(thread.is_alive() for _, thread in self._active.values())

    def run(self, stop: Callable[[], bool] = never, *, until_idle: bool = False) -> dict[str, int]:
        """Take and run jobs until `stop`, or with `until_idle` until none is left; how many ended in each state.

        On `stop`, the generations in flight are dropped and the jobs go back into the queue. So they do if the
        evaluator is lost, and are tried again; with `until_idle` EvaluatorLostError is raised then.
        """
        try:
            while not stop():
                self._active = {id: held for id, held in self._active.items() if held[1].is_alive()}
                if until_idle and self._lost:
                    break
                idle = not self._look() and not self._active
                if until_idle and idle:
                    break
                time.sleep(LOOK_SECONDS)
        finally:
            self._stopping.set()
        for _, thread in self._active.values():
            thread.join()
        if until_idle and self._lost:
            raise self._lost
        return dict(self._ended)

    def _look(self) -> bool:
        """Begin what waits and has a place; whether anything waits."""
        try:
            waiting = [item for item in self._store.waiting(KINDS) if item.id not in self._active]
            for item in waiting:
                before = sum(active.priority >= item.priority for active, _ in self._active.values())
                if before < self._n_jobs and self._may_begin(item):
                    # Daemons: a second signal ends the process at once, and the record is whole at any moment.
                    thread = threading.Thread(target=self._run, args=(item,), name=f"job-{item.id}", daemon=True)
                    self._active[item.id] = item, thread
                    thread.start()
        except StoreError as error:  # the record may come back: what runs goes on until it has to write
            if str(error) != self._fault:
                self._say(str(error))
            self._fault = str(error)
            return True
        self._fault = ""
        return bool(waiting)

    def _may_begin(self, item: Waiting) -> bool:
        """Whether nothing speaks against running a job now; one that ends whoever runs it is ended instead."""
        takeovers = fruitless_takeovers(self._store, item.id) if item.orphaned else 0
        if takeovers >= MAX_TAKEOVERS:
            reason = (
                f"its process ended {takeovers + 1} times without another generation, and it is not tried again: most "
                "often a process is ended for want of memory. Look at the runner's logs, and submit the job anew"
            )
            with suppress(InputError), leased(self._store, item.id, reason, ("running",)) as lease:
                lease.leave("failed", reason)
                self._count("failed")
                self._say(f"Job {item.id} has failed: {reason}")
            return False
        if takeovers:
            if self._suspect in self._active:
                return False
            self._suspect = item.id
        return True

    def _trust(self, job: str) -> None:
        """The job has committed a generation."""
        if self._suspect == job:
            self._suspect = ""

    def _run(self, item: Waiting) -> None:
        self.turns.join(item.id, item.priority)
        try:
            state, said = self._run_kind(item)
        except JobHeldError:
            pass  # another runner was faster
        except EvaluatorLostError as error:
            self._lost = error
            self._count("queued")
            self._say(f"Job {item.id} is put back: {error}")
        except RuleforgeError as error:
            self._count("failed")
            self._say(f"Job {item.id}: {error}")
        except Exception as error:  # noqa: BLE001 - one job's fault is in its record and must not end the others
            self._count("failed")
            self._say(f"Job {item.id} failed, {type(error).__name__}: {error}")
        else:
            self._count(state)
            self._say(f"Job {item.id} is {said}")
        finally:
            self.turns.leave(item.id)

    def _run_kind(self, item: Waiting) -> tuple[str, str]:
        """Run a job of either kind: the state that it is in then, and that in words."""
        evaluator = SharedEvaluator(self._evaluator, self.turns, item.id)
        stop = self._stopping.is_set
        if item.kind == KIND:
            state = run_evaluation(self._store, item.id, evaluator, stop=stop, when_stopped="queued", allowed=TAKEN)
            return state, state
        result = run_job(
            self._store,
            item.id,
            evaluator,
            observer=_Saying(self._say, self._trust),
            stop=stop,
            when_stopped="queued",
            allowed=TAKEN,
        )
        return result["state"], _in_words(result)

    def _count(self, state: str) -> None:
        with self._counting:
            self._ended[state] += 1


def _in_words(result: dict[str, Any]) -> str:
    if result["champion"] is None:
        return f"{result['state']} after {result['generations']} generations"
    return f"{result['state']}, stopped by {result['stopped_by']}: {result['champion']['rule']}"


class _Saying(SilentObserver):
    """Says that a job begins, and what its user should know; tells who asks that it has committed a generation."""

    def __init__(self, say: Callable[[str], None], trust: Callable[[str], None]) -> None:
        self._say, self._trust, self._job = say, trust, ""

    def on_start(self, job: JobRecord, spec: JobSpec) -> None:
        """Which job begins."""
        self._job = job.id
        verb = f"goes on after generation {job.generation}" if job.generation else "begins"
        self._say(f"Job {job.id} {verb}: {spec.task}, seed {spec.seed}")

    def on_warning(self, message: str) -> None:
        """Pass it on."""
        self._say(f"Job {self._job}: warning: {message}")

    def on_generation(self, generation: Generation, seconds: float) -> None:
        """Tell."""
        self._trust(self._job)
