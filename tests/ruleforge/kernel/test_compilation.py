"""Compiling is said once and with its time, in whatever thread it happens; nothing is said of a warm cache."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from ruleforge.kernel.compilation import Compilation

KERNELS = """
from ruleforge.kernel.compiler import kernel

@kernel()
def halved(x):
    return 0.5 * x

@kernel()
def quartered(x):
    return halved(halved(x))
"""
USE = """
import sys
from concurrent.futures import ThreadPoolExecutor
from ruleforge.kernel.compilation import compilation
from made_kernels import halved, quartered

compilation.tell(lambda sentence: print(sentence))

def score(x):
    with compilation.using("made"):
        return quartered(x) + halved(x)

if sys.argv[1] == "threads":
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(score, [4.0] * 8)) == [3.0] * 8
elif sys.argv[1] == "nobody":
    compilation.tell(None)
    score(4.0)
elif sys.argv[1] == "outside":
    quartered(4.0)
else:
    score(4.0)
score(4.0)
"""


@pytest.fixture
def use(tmp_path):
    (tmp_path / "made_kernels.py").write_text(KERNELS)

    def run(how: str) -> list[str]:
        environment = os.environ | {"PYTHONPATH": str(tmp_path), "RULEFORGE_CACHE": str(tmp_path / "cache")}
        asked = [sys.executable, "-c", USE, how]
        done = subprocess.run(asked, capture_output=True, text=True, env=environment, check=True)
        return done.stdout.splitlines()

    return run


def test_compiling_is_said_once_with_its_time_and_a_warm_cache_says_nothing(use):
    begins, ended = use("once")
    assert begins.startswith("Compiling the kernels of made, once")
    assert re.fullmatch(r"The kernels of made took \d+\.\d s and are kept for the next time", ended)
    assert use("once") == []


def test_threads_that_wait_for_the_same_kernels_say_it_once(use):
    begins, ended = use("threads")
    assert begins.startswith("Compiling the kernels of made")
    assert ended.startswith("The kernels of made took")
    assert use("threads") == []


@pytest.mark.parametrize("how", ["nobody", "outside"])
def test_nothing_is_said_where_nobody_listens_or_no_family_is_used(use, how):
    assert use(how) == []


def test_who_cannot_be_told_stops_nothing():
    compilation, told = Compilation(), []

    def say(sentence: str) -> None:
        told.append(sentence)
        raise OSError("the terminal has gone")

    compilation.tell(say)
    for _ in range(2):
        with compilation.using("reward"):
            compilation.begin()
            compilation.begin()  # a function that the first one calls
            compilation.end()
            compilation.end()
    assert len(told) == 1


def test_a_second_family_is_said_by_its_own_name_also_inside_another():
    compilation, told = Compilation(), []
    compilation.tell(told.append)
    with compilation.using("reward"):
        with compilation.using("supervised"):
            compilation.begin()
            compilation.end()
        compilation.begin()
        compilation.end()
    assert [re.findall("kernels of ([a-z]+)", sentence)[0] for sentence in told] == [
        "supervised",
        "supervised",
        "reward",
        "reward",
    ]


def test_a_fault_while_compiling_ends_the_announcement():
    compilation, told = Compilation(), []
    compilation.tell(told.append)

    def score(fails: bool) -> None:
        with compilation.using("reward"):
            compilation.begin()
            try:
                if fails:
                    raise ValueError("no such type")
            finally:
                compilation.end()

    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match="no such type"):
            pool.submit(score, True).result()
        pool.submit(score, False).result()
    assert len(told) == 4


def test_the_first_evaluation_says_that_kernels_are_compiled_and_the_second_does_not(tmp_path):
    environment = os.environ | {"RULEFORGE_CACHE": str(tmp_path / "cache")}
    asked = [sys.executable, "-m", "api.command_line", "evaluate", "reward", "--rule", "R*E", "--n", "2", "--json"]
    first, second = (
        subprocess.run(asked, capture_output=True, text=True, env=environment, check=True) for _ in range(2)
    )
    begins, ended = first.stderr.splitlines()
    assert begins.startswith("Compiling the kernels of reward, once")
    assert ended.startswith("The kernels of reward took")
    assert second.stderr == ""
    assert second.stdout == first.stdout
