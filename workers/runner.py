"""The runner: takes jobs that nobody runs, several at once, and runs them on one shared evaluator."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ruleforge.checked import whole_number
from ruleforge.errors import (
    EvaluatorLostError,
    Fault,
    InputError,
    JobStopped,
    RecordReplacedError,
    RuleforgeError,
    StoreError,
)
from ruleforge.search import Generation
from ruleforge.spec import JobSpec
from ruleforge.store import JobHeldError, JobRecord, Store, Waiting
from workers.ended_studies import STUDY, EndedStudies
from workers.evaluation import KIND, run_evaluation
from workers.evaluators.interface import Evaluator, never
from workers.evolve import SilentObserver, run_job
from workers.lease import fruitless_takeovers, leased
from workers.telling import harmless
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
# Between two tries of a job that was put back because of something that passes, in seconds: doubled from the first to
# the longest, until it has committed a generation.
FIRST_REST, LONGEST_REST = 0.5, 60.0


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
        self._store, self._evaluator, self._n_jobs = store, evaluator, n_jobs
        self._say = harmless(say, "What the runner does")
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
        # Jobs that were put back: how long each rests, and until when.
        self._rests: dict[str, tuple[float, float]] = {}
        self._studies = EndedStudies(store)

    @property
    def running(self) -> int:
        """How many jobs it runs."""
        return sum(thread.is_alive() for _, thread in self._active.values())

    def run(self, stop: Callable[[], bool] = never, *, until_idle: bool = False) -> dict[str, int]:
        """Take and run jobs until `stop`, or with `until_idle` until none is left; how many ended in each state.

        On `stop`, the generations in flight are dropped and the jobs go back into the queue. So they do if the
        evaluator is lost or the record is away, and are tried again; with `until_idle` EvaluatorLostError is raised
        then. Raises RecordReplacedError if the record's file is no longer at its path.
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
            waiting = [*self._store.waiting(KINDS), *self._studies.waiting()]
            waiting = [item for item in waiting if item.id not in self._active]
            for item in waiting:
                before = sum(active.priority >= item.priority for active, _ in self._active.values())
                _, until = self._rests.get(item.id, (0.0, 0.0))
                if before < self._n_jobs and time.monotonic() >= until and self._may_begin(item):
                    # Daemons: a second signal ends the process at once, and the record is whole at any moment.
                    work = self._judge if item.kind == STUDY else self._run
                    thread = threading.Thread(target=work, args=(item,), name=f"job-{item.id}", daemon=True)
                    self._active[item.id] = item, thread
                    thread.start()
        except RecordReplacedError:
            raise
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
        self._rests.pop(job, None)
        if self._suspect == job:
            self._suspect = ""

    def _run(self, item: Waiting) -> None:
        self.turns.join(item.id, item.priority)
        try:
            state, said = self._run_kind(item)
        except JobHeldError:
            pass  # another runner was faster
        except RuleforgeError as error:
            if error.fault is Fault.transient:
                self._put_back(item.id, error)
                return
            # A record that fails is no fault of the job, which has not ended.
            self._rest(item.id)
            self._count("paused" if isinstance(error, StoreError) else "failed")
            self._say(f"Job {item.id}: {error}")
        except Exception as error:  # noqa: BLE001 - one job's fault is in its record and must not end the others
            self._count("failed")
            self._say(f"Job {item.id} failed, {type(error).__name__}: {error}")
        else:
            self._count(state)
            self._say(f"Job {item.id} is {said}")
        finally:
            self.turns.leave(item.id)
            self._studies.look_again()

    def _judge(self, study: Waiting) -> None:
        """Score the winners of a study that has ended on its test stream."""
        self.turns.join(study.id, study.priority)
        try:
            self._studies.judge(study.id, SharedEvaluator(self._evaluator, self.turns, study.id), self._stopping.is_set)
        except JobStopped:
            pass  # the next runner judges it
        except EvaluatorLostError as error:
            self._lost = error
        except Exception as error:  # noqa: BLE001 - a study that cannot be judged must not end the jobs
            self._say(f"The winners of study {study.id} are not judged, {type(error).__name__}: {error}")
        finally:
            self.turns.leave(study.id)

    def _put_back(self, job: str, error: RuleforgeError) -> None:
        """The job is in the queue again, because of something that passes by itself."""
        if isinstance(error, EvaluatorLostError):
            self._lost = error
        self._rest(job)
        self._count("queued")
        self._say(f"Job {job} is put back: {error}")

    def _rest(self, job: str) -> None:
        """Leave the job alone for a while, twice as long as the last time."""
        pause = min(2 * self._rests.get(job, (FIRST_REST / 2, 0.0))[0], LONGEST_REST)
        self._rests[job] = pause, time.monotonic() + pause

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
