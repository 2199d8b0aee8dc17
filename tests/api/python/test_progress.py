"""Jobs watched from Python: what is shown and where, what Ctrl-C does, and that nothing shown changes a result."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

import ruleforge
from api.command_line.display import JobDisplay
from ruleforge.errors import InputError, SpecificationError
from ruleforge.spec import job_spec
from ruleforge.store import open_store
from tests.api.test_interruption import at_generation, essence

SMALL = {
    "parameters": {"n_trials": 20},
    "instances": {"training": 2, "validation": 3, "test": 3},
    "search": {"population": 8, "offspring": 8},
}
IN_MEMORY = {**SMALL, "db": "sqlite://"}
MIDDLING = {
    "seed": 8,
    "generations": 20,
    "parameters": {"n_trials": 100},
    "instances": {"training": 4, "validation": 3, "test": 3},
    "search": {"population": 16, "offspring": 16},
}
BEGIN = f"import json, ruleforge\nasked = dict(db='sqlite:///record.db', workers=2, **{MIDDLING!r})\n"
EVOLVE = BEGIN + "result = ruleforge.evolve('reward', **asked)\n"
WATCHED = BEGIN + "result = ruleforge.evolve('reward', progress=True, **asked)\n"
SAY = "print(json.dumps([result.state, result.job, len(result.front), repr(result)]))\n"
# A notebook's kernel, as far as it is asked: whether it is one, and to show and to change what is shown.
IPYTHON = "class Shell:\n    kernel = object()\ndef get_ipython():\n    return Shell()\n"
DISPLAY = """
import sys
class Handle:
    def update(self, forms, raw):
        assert raw and set(forms) == {"text/plain", "text/html"}
        sys.stderr.write("UPDATE " + repr(forms["text/plain"]) + "\\n")
def display(forms, raw, display_id):
    assert raw and display_id is True
    sys.stderr.write("DISPLAY " + repr(forms["text/plain"]) + "\\n")
    return Handle()
"""


def start(folder: Path, script: str, *options: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("RULEFORGE_DB", "FORCE_COLOR")}
    return subprocess.Popen(
        [sys.executable, *options, "-c", script],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, script: str, *options: str) -> tuple[int, str, str]:
    with start(folder, script, *options) as process:
        out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def test_ctrl_c_gives_a_paused_result_and_resume_goes_on_to_the_same_end(tmp_path, undisturbed):
    with start(tmp_path, WATCHED + SAY) as process:
        job = at_generation(process, tmp_path, 1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert "Pausing: the generation in flight is dropped" in err
    assert err.endswith(f"Job {job} is paused: ruleforge.resume({job!r}) goes on with it.\n")
    state, id, in_front, shown = json.loads(out)
    assert (state, id) == ("paused", job)
    assert in_front > 0  # what was found until then
    assert shown.startswith(f"<Result of job {job} (reward): paused, {in_front} rules, champion ")
    db = f"sqlite:///{tmp_path}/record.db"
    with open_store(db) as store:
        assert store.job(job).state == "paused"
    result = ruleforge.resume(job, db=db)
    assert result.state == "succeeded"
    assert essence(result.raw) == essence(undisturbed)
    assert ruleforge.resume(result, db=db).raw == result.raw
    assert ruleforge.resume(job[:5], db=db).raw == result.raw


def test_ctrl_c_where_nothing_is_shown_is_python_s_own_and_names_the_job(tmp_path):
    with start(tmp_path, EVOLVE) as process:
        job = at_generation(process, tmp_path, 1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    last = err.strip().splitlines()[-2:]
    assert last == ["KeyboardInterrupt", f"Job {job} is paused: ruleforge.resume({job!r}) goes on with it."]
    with open_store(f"sqlite:///{tmp_path}/record.db") as store:
        assert store.job(job).state == "paused"


@pytest.mark.parametrize(
    ("options", "progress", "shown"),
    [((), "None", False), ((), "False", False), (("-i",), "None", True), (("-i",), "False", False), ((), "True", True)],
)
def test_progress_is_shown_where_somebody_sits_or_asks_for_it(tmp_path, options, progress, shown):
    script = (
        f"import ruleforge\nr = ruleforge.evolve('reward', progress={progress}, budget=9, db='sqlite://', **{SMALL!r})"
    )
    code, out, err = run(tmp_path, script, *options)
    assert code == 0
    assert out.strip() == ""
    assert bool(re.search(r"Job [0-9a-f]{12} started: reward, seed 0, until evaluations 9\n", err)) is shown
    assert ("Validating the front" in err) is shown


def test_a_notebook_has_one_display_that_changes(tmp_path):
    (tmp_path / "IPython").mkdir()
    (tmp_path / "IPython" / "__init__.py").write_text(IPYTHON)
    (tmp_path / "IPython" / "display.py").write_text(DISPLAY)
    script = f"import IPython, ruleforge\nruleforge.evolve('reward', budget=20, **{IN_MEMORY!r})"
    code, _, err = run(tmp_path, script)
    assert code == 0
    lines = [line for line in err.splitlines() if line.startswith(("DISPLAY", "UPDATE"))]
    assert [line.partition(" ")[0] for line in lines].count("DISPLAY") == 1
    assert lines[0].startswith("DISPLAY 'Job ")
    assert any("waiting for generation 0" in line for line in lines)
    assert any("Validating the front" in line and "waiting for validation" in line for line in lines)
    assert "waiting" not in lines[-1]
    assert not any("\\x1b" in line for line in lines)  # a display of text and HTML, not a terminal


def test_without_ipython_nothing_of_it_is_needed(tmp_path):
    script = (
        f"import sys, ruleforge\nruleforge.evolve('reward', progress=True, budget=9, db='sqlite://', **{SMALL!r})\n"
    )
    assert run(tmp_path, script + "assert 'IPython' not in sys.modules")[0] == 0


def test_what_is_shown_and_who_watches_change_nothing(capfd):
    class Watching:
        def __init__(self):
            self.seen = []

        def on_start(self, job, spec):
            self.seen.append("start")

        def on_warning(self, message):
            self.seen.append(message)

        def on_generation(self, generation, seconds):
            self.seen.append(generation.number)

        def on_validation(self, n_rules, n_instances):
            self.seen.append("validation")

    observer = Watching()
    silent, shown = (
        ruleforge.evolve("reward", seed=3, budget=30, db="sqlite://", progress=progress, observer=watching, **SMALL)
        for progress, watching in ((False, None), (True, observer))
    )
    assert essence(silent.raw) == essence(shown.raw)
    assert observer.seen == ["start", *range(shown.raw["generations"]), "validation"]
    assert "Job" in capfd.readouterr().err


def test_in_another_thread_it_is_shown_and_ctrl_c_stays_what_it_is(capfd):
    before = signal.getsignal(signal.SIGINT)
    found = []

    def evolve() -> None:
        found.append(ruleforge.evolve("reward", budget=9, db="sqlite://", progress=True, **SMALL))

    thread = threading.Thread(target=evolve)
    thread.start()
    thread.join()
    assert found[0].state == "succeeded"
    assert signal.getsignal(signal.SIGINT) is before
    assert "Validating" in capfd.readouterr().err


def test_ctrl_c_is_python_s_own_again_after_a_fault():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(InputError):
        ruleforge.evolve("nothing", progress=True)
    assert signal.getsignal(signal.SIGINT) is before


def test_it_is_never_silent_for_long():
    told = io.StringIO()
    with open_store("sqlite://") as store, JobDisplay(Console(file=told, width=200), silence=0.02) as display:
        spec = job_spec({"task": "reward", "budget": 9})
        from workers.evolve import submit

        display.on_start(store.job(submit(store, spec)), spec)
        while told.getvalue().count("waiting for generation 0,") < 3:
            time.sleep(0.01)
        display.on_validation(3, 10)
        while told.getvalue().count("waiting for validation,") < 3:
            time.sleep(0.01)
    ended = told.getvalue()
    assert re.search(r"^waiting for validation, \d+ s so far …$", ended, re.MULTILINE)
    time.sleep(0.1)
    assert told.getvalue() == ended


def test_a_display_that_cannot_be_written_ends_nothing():
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            if "waiting" in text:
                raise OSError("the terminal has gone")
            return super().write(text)

    with open_store("sqlite://") as store, JobDisplay(Console(file=Gone(), width=200), silence=0.01) as display:
        spec = job_spec({"task": "reward", "budget": 9})
        from workers.evolve import submit

        display.on_start(store.job(submit(store, spec)), spec)
        time.sleep(0.1)
        display.on_validation(3, 10)


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"budget": 9}, {"evaluations": 9}),
        ({"budget": {"evaluations": 9}}, {"evaluations": 9}),
        ({"generations": 1}, {"generations": 1}),
        ({"budget": 9, "target": 1e6}, {"evaluations": 9, "target": 1e6}),
        (
            {"budget": {"evaluations": 9, "target": 5.0}, "target": 1e6, "time": 60},
            {"evaluations": 9, "target": 1e6, "seconds": 60.0},
        ),
    ],
)
def test_limits_as_keywords(tmp_path, limits, expected):
    db = f"sqlite:///{tmp_path}/record.db"
    result = ruleforge.evolve("reward", db=db, **limits, **SMALL)
    with open_store(db) as store:
        budget = store.job(result.job).spec["budget"]
    assert {name: value for name, value in budget.items() if value is not None} == expected


def test_limits_go_over_those_of_a_file(tmp_path):
    (tmp_path / "job.toml").write_text("budget = 9\n", encoding="utf-8")
    db = f"sqlite:///{tmp_path}/record.db"
    result = ruleforge.evolve("reward", config=tmp_path / "job.toml", db=db, target=1e6, **SMALL)
    with open_store(db) as store:
        assert (budget := store.job(result.job).spec["budget"])["evaluations"] == 9
    assert budget["target"] == 1e6


@pytest.mark.parametrize(
    "limits",
    [{"budget": "9", "time": 3}, {"time": 0}, {"time": "3"[1:]}, {"generations": 1.5}, {"target": float("nan")}],
)
def test_limits_that_are_refused(limits):
    with pytest.raises(SpecificationError, match=r"budget"):
        ruleforge.evolve("reward", db="sqlite://", **limits, **SMALL)


@pytest.mark.parametrize("job", [None, 3, "", "zz", "0123", ["a"]])
def test_what_cannot_be_resumed(tmp_path, job):
    db = f"sqlite:///{tmp_path}/record.db"
    open_store(db).close()
    with pytest.raises(InputError, match=r"job"):
        ruleforge.resume(job, db=db)
