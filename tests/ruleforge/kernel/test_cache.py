"""Whatever becomes of the kernels on disk, the numbers are right: a line of warning, and they are compiled anew."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ruleforge.kernel.cache import DIGEST_SIZE, UntrustedError, read_checked, write_checked

KERNEL = """
from ruleforge.kernel.compiler import kernel

@kernel()
def doubled(x):
    return 2.0 * x

@kernel(inline=True)
def tripled(x):
    return 3.0 * x
"""
# Numba is loaded and used before another user is taken on, who may not be able to read the installation.
SAY = """
import os, sys
from alone import doubled, tripled
tripled(10.0)
if len(sys.argv) > 1:
    os.setuid(int(sys.argv[1]))
print(doubled(10.0), sum(doubled.stats.cache_hits.values()))
"""
NOBODY = 65534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "alone.py").write_text(KERNEL)
    return tmp_path


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """As `folder`, where other users may look."""
    with tempfile.TemporaryDirectory(prefix="ruleforge-cache-") as name:
        os.chmod(name, 0o755)
        (Path(name) / "alone.py").write_text(KERNEL)
        yield Path(name)


def start(folder: Path, cache: Path | None = None, user: int | None = None) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(folder), "RULEFORGE_CACHE": str(cache or folder / "cache")}
    command = [sys.executable, "-c", SAY, *([str(user)] if user is not None else [])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def say(folder: Path, cache: Path | None = None, user: int | None = None) -> tuple[list[str], list[str]]:
    """What the kernel gave and how often it came from disk; the lines on standard error."""
    with start(folder, cache, user) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.split(), err.splitlines()


def the_file(folder: Path) -> Path:
    (found,) = (folder / "cache").glob("*/*.nbc")
    return found


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere" / "kernel")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def other_content(path: Path) -> None:
    """As whole as a file of ours, and nothing that numba could load: what another version would have written."""
    write_checked(path, b"no pickle")


def other_object(path: Path) -> None:
    write_checked(path, b"\x80\x04N.")  # None, pickled


DAMAGE: dict[str, Callable[[Path], object]] = {
    "cut_short": lambda path: os.truncate(path, 40),
    "cut_by_one": lambda path: os.truncate(path, path.stat().st_size - 1),
    "empty": lambda path: os.truncate(path, 0),
    "shorter_than_its_digest": lambda path: os.truncate(path, DIGEST_SIZE - 1),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "random": lambda path: path.write_bytes(bytes(range(256)) * 40),
    "bit": flip_a_bit,
    "longer": append,
    "link_loop": link_to_itself,
    "pipe": pipe,
    "device": device,
    "other_content": other_content,
    "other_object": other_object,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_replaced_with_one_line_of_warning(folder, damage):
    assert say(folder) == (["20.0", "0"], [])
    DAMAGE[damage](the_file(folder))
    found, lines = say(folder)
    assert found == ["20.0", "0"]
    assert len(lines) == 1
    assert the_file(folder).name in lines[0]
    assert "compiled anew" in lines[0]
    assert say(folder) == (["20.0", "1"], [])
    assert [path.name for path in the_file(folder).parent.iterdir()] == [the_file(folder).name]


def test_a_link_to_nowhere_is_no_file(folder):
    say(folder)
    dangle(the_file(folder))
    assert say(folder) == (["20.0", "0"], [])
    assert say(folder) == (["20.0", "1"], [])


def test_a_folder_in_the_place_of_the_file_is_left_alone(folder):
    say(folder)
    file = the_file(folder)
    file.unlink()
    (file / "kept").mkdir(parents=True)
    for _ in range(2):
        found, lines = say(folder)
        assert found == ["20.0", "0"]
        assert len(lines) == 1
    assert (file / "kept").is_dir()


def full_disk(folder: Path) -> Path:
    return Path("/dev/full")


def file_in_the_way(folder: Path) -> Path:
    (folder / "file").write_text("")
    return folder / "file" / "cache"


def loop_of_links(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"


@pytest.mark.parametrize(
    "place",
    [
        full_disk,
        file_in_the_way,
        loop_of_links,
        lambda _: Path("/proc/cache"),
        lambda folder: folder / ("long" * 100),
        lambda folder: folder / "deep" / Path(*["x" * 200] * 30),
    ],
    ids=["device", "file", "loop", "proc", "long name", "long path"],
)
def test_where_no_cache_can_be_kernels_stay_in_memory(folder, place):
    found, lines = say(folder, place(folder))
    assert found == ["20.0", "0"]
    assert len(lines) == 1
    assert "cannot be" in lines[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
def test_another_user_s_files_are_not_run_and_a_folder_that_cannot_be_written_is_read(open_folder):
    folder = open_folder
    say(folder)
    assert say(folder, user=NOBODY) == (["20.0", "1"], [])  # of root, who could do anything anyway
    os.chown(the_file(folder), NOBODY - 1, -1)
    for user in (NOBODY, None):
        found, lines = say(folder, user=user)
        assert found == ["20.0", "0"]
        assert len(lines) == 1
        assert "belongs to another user" in lines[0]
    assert say(folder) == (["20.0", "1"], [])
    os.chmod(the_file(folder), 0o600)
    found, lines = say(folder, user=NOBODY)
    assert found == ["20.0", "0"]
    assert len(lines) == 1


def test_processes_that_compile_at_the_same_time_do_not_disturb_each_other(folder):
    together = [start(folder) for _ in range(4)]
    for process in together:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out.split()[0], err) == (0, "20.0", "")
    assert say(folder) == (["20.0", "1"], [])


def test_what_is_read_is_what_was_written(tmp_path):
    path = tmp_path / "file"
    for content in (b"", b"x", bytes(range(256)) * 1000):
        write_checked(path, content)
        assert read_checked(path) == content
    for size in range(DIGEST_SIZE + 3):
        write_checked(path, b"abc")
        os.truncate(path, size)
        with pytest.raises(UntrustedError, match="damaged"):
            read_checked(path)


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    (tmp_path / "file" / "below").mkdir(parents=True)
    with pytest.raises(OSError, match="file"):
        write_checked(tmp_path / "file", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
