"""A record is the very file that its URL names, or a sentence says why not; nothing else is ever made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ruleforge.errors import StoreError
from ruleforge.store import open_store

OF_SQLITE = {"", "-wal", "-shm", "-journal"}


@pytest.mark.parametrize(
    "name",
    [
        "plain.db",
        "what#.db",
        "a b.db",
        " begins and ends ",
        "50%.db",
        "a%20b.db",
        "%3F.db",
        "%",
        "a\nb.db",
        "a\tb.db",
        "a;b.db",
        "a&b=c.db",
        "a@b:c.db",
        'it\'s "quoted".db',
        "~",
        "~nobody.db",
        "$HOME.db",
        "*.db",
        "-rf",
        "a\\b.db",
        "émoji 🧠.db",
        "e\u0301.db",
        "file.db",
        ".hidden",
        "n" * 200,
    ],
)
def test_the_file_is_the_one_that_was_named(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for url in (f"sqlite:///{name}", f"sqlite:///{tmp_path}/{name}"):
        store = open_store(url)
        made = {path.name for path in tmp_path.iterdir()}
        assert name in made
        assert made <= {name + suffix for suffix in OF_SQLITE}
        store.close()
    assert open_store(f"sqlite:///{name}", create=False).jobs() == []


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///what?.db",
        "sqlite:///what?",
        "sqlite:///?",
        "sqlite:///what?.db?mode=ro",
        "sqlite:///a.db?timeout=1",
        "sqlite:///file:a.db",
        "sqlite://a.db",
        "sqlite://user:secret@/a.db",
        "sqlite://host:80/a.db",
        "sqlite:a.db",
        "sqlite:/a.db",
        "sqlite+aiosqlite:///a.db",
        "SQLITE:///a.db",
        "oracle:///a.db",
        "mysql://host/a",
        "postgresql://host:port/a",
        "postgresql://[::1/a",
        "postgresql+asyncpg://host/a",
        "a.db",
        "",
        " ",
        "://",
        os.fsdecode(b"sqlite:///caf\xe9.db"),
        "sqlite:///a\0b.db",
        f"sqlite:///{'n' * 300}",
        f"sqlite:///{'n' * 254}",
        f"sqlite:///{'d/' * 3000}a.db",
        "sqlite:////dev/null",
        "sqlite:////dev/full",
        "sqlite:////proc/version",
        "sqlite:///folder",
        "sqlite:///folder/",
        "sqlite:///pipe",
        "sqlite:///loop",
        "sqlite:///file/a.db",
        "sqlite:///no/such/a.db",
    ],
)
def test_what_cannot_be_a_record_is_a_sentence_and_leaves_nothing(tmp_path, monkeypatch, url):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").write_text("")
    Path("loop").symlink_to("loop")
    os.mkfifo("pipe")
    before = sorted(os.listdir())
    with pytest.raises(StoreError) as refused:
        open_store(url)
    assert "secret" not in str(refused.value)
    assert sorted(os.listdir()) == before
    assert os.listdir("folder") == []
