"""A picture is written to the very file that was named, or a sentence says why not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ruleforge.errors import InputError
from workers.pictures import write_picture


@pytest.mark.parametrize(
    "name",
    ["a.png", "what?.png", "a#b.svg", "a%20b.pdf", "a b.png", "a\nb.png", "~.png", "é.SVG", os.fsdecode(b"\xe9.png")],
)
def test_the_file_is_the_one_that_was_named(tmp_path, name):
    write_picture(tmp_path / name, lambda format: b"picture")
    assert os.listdir(tmp_path) == [name]
    assert (tmp_path / name).read_bytes() == b"picture"


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a.gif",
        ".png",
        "folder.png",
        "pipe.png",
        "folder/no/a.png",
        "file/a.png",
        "loop/a.png",
        f"{'n' * 300}.png",
        f"{'n' * 250}.png",
        f"{'d' * 300}/a.png",
        "",
        "/dev/null",
        "/proc/a.png",
    ],
)
def test_what_cannot_be_written_is_a_sentence_and_leaves_nothing(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for folder in ("folder", "folder.png"):
        Path(folder).mkdir()
    Path("file").write_text("")
    Path("loop").symlink_to("loop")
    os.mkfifo("pipe.png")
    before = sorted(os.listdir())
    with pytest.raises(InputError, match="--figure"):
        write_picture(Path(name), lambda format: b"picture")
    assert sorted(os.listdir()) == before
