"""A journal keeps what was published, and says what is wrong with it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from affectstream.bus.database import JournalError
from affectstream.bus.journal import MAX_RECALLED, Journal
from affectstream.codec import decode, encode
from affectstream.core.delivery.retention import MAX_RESEND, Ring
from affectstream.messages import Message
from fakes import closed, opened, progress, transcript


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.journal"


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    journal = Journal(path)
    yield journal
    journal.close()


def keep(journal: Journal | Ring, message: Message, seq: int) -> None:
    numbered = msgspec.structs.replace(message, epoch=journal.epoch, seq=seq)
    journal.keep(message.topic, seq, encode(numbered))


def said(found: list[list[bytes]]) -> list[tuple[str, int]]:
    return [(m.topic, m.seq) for m in map(decode, found)]


def test_it_answers_as_a_ring_does(journal: Journal) -> None:
    ring = Ring(1 << 22)
    for store in (journal, ring):
        for seq in range(MAX_RESEND + 10):
            keep(store, transcript(f"u{seq}", "x"), seq)
            keep(store, progress(seq, "mic.ann"), seq)
    text, mark = transcript("u", "x").topic, progress(0, "mic.ann").topic
    for store in (journal, ring):
        assert said(store.find(text, 3, 5)) == [(text, 3), (text, 4), (text, 5)]
        assert store.holds(text, 7)
        assert not store.holds(text, MAX_RESEND + 10)
    for prefixes, seen in ((("",), {}), (("transcript/",), {}), (("",), {text: 900, mark: 5})):
        pages: list[list[tuple[str, int]]] = []
        for store in (journal, ring):
            position: int | None = 0
            whole: list[tuple[str, int]] = []
            while position is not None:
                found, position = store.page(position, prefixes, seen)
                assert len(found) <= MAX_RESEND
                whole += said(found)
            pages.append(whole)
        assert pages[0] == pages[1]
        assert pages[0]
        assert all(seq >= seen.get(topic, 0) for topic, seq in pages[0])


def test_it_outlives_its_process_and_its_numbers_go_on(path: Path) -> None:
    first = Journal(path)
    for seq, message in enumerate([opened("mic.ann"), closed("mic.ann")]):
        keep(first, message, 0)
        keep(first, opened("mic.ben"), seq)
    keep(first, progress(9, "mic.ben"), 0)
    first._database.close()  # killed
    second = Journal(path)
    assert second.epoch == first.epoch
    assert second.position == 5
    recalled = second.recall()
    assert recalled.heads[opened("mic.ben").topic] == 2
    assert [(m.kind, m.source) for m in recalled.messages] == [
        ("stream.opened", "mic.ann"),
        ("stream.closed", "mic.ann"),
        ("stream.opened", "mic.ben"),
        ("progress", "mic.ben"),
    ]
    second.close()


def test_nobody_else_may_read_it(journal: Journal, path: Path) -> None:
    keep(journal, opened("mic.ann"), 0)
    modes = [file.stat().st_mode & 0o777 for file in path.parent.iterdir()]
    assert len(modes) == 2  # the write-ahead log too
    assert set(modes) == {0o600}


def test_the_oldest_makes_room_and_the_file_does_not_grow(path: Path) -> None:
    journal = Journal(path, max_bytes=100_000)
    for seq in range(4_000):
        keep(journal, transcript("u", "x" * 500), seq)
    size = path.stat().st_size
    topic = transcript("u", "x").topic
    assert journal.holds(topic, 3_999)
    assert not journal.holds(topic, 0)
    for seq in range(4_000, 8_000):
        keep(journal, transcript("u", "x" * 500), seq)
    assert path.stat().st_size == size < 2_000_000
    journal.close()
    journal = Journal(path, max_bytes=100_000)
    assert journal.recall().heads == {topic: 8_000}
    journal.close()


def test_only_the_latest_ends_are_told_again(journal: Journal) -> None:
    for number in range(MAX_RECALLED + 20):
        keep(journal, opened(f"mic.{number}"), 0)
        keep(journal, closed(f"mic.{number}"), 0)
    ends = [m.source for m in journal.recall().messages if m.kind == "stream.closed"]
    assert ends == [f"mic.{number}" for number in range(20, MAX_RECALLED + 20)]


def test_one_that_is_in_use_is_refused(journal: Journal, path: Path) -> None:
    with pytest.raises(JournalError, match="in use by another process; stop it, or choose"):
        Journal(path)


@pytest.mark.parametrize(("where", "length"), [(0, 3_000), (5_000, 100_000)])
def test_one_that_is_damaged_is_refused(path: Path, where: int, length: int) -> None:
    journal = Journal(path)
    for seq in range(200):
        keep(journal, transcript("u", "x" * 500), seq)
    journal.close()
    with path.open("r+b") as file:
        file.seek(where)
        file.write(os.urandom(length))
    with pytest.raises(JournalError, match=r"is damaged \(.*\); move it away to begin anew"):
        Journal(path)


def test_a_message_that_is_damaged_is_said(path: Path) -> None:
    journal = Journal(path)
    keep(journal, opened("mic.ann"), 0)
    journal.execute("UPDATE streams SET opened = ?", b"\x00")
    with pytest.raises(JournalError, match=r"damaged \(stream.opened/s1/mic.ann: not MessagePack"):
        journal.recall()
    journal.close()


def test_one_that_was_cut_short_is_refused(path: Path) -> None:
    journal = Journal(path)
    for seq in range(200):
        keep(journal, transcript("u", "x" * 500), seq)
    journal.close()
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(JournalError, match="is damaged"):
        Journal(path)


def test_one_of_another_version_is_refused(path: Path) -> None:
    journal = Journal(path)
    journal.execute("UPDATE meta SET value = 99 WHERE name = 'format'")
    journal.close()
    with pytest.raises(JournalError, match="written by another version"):
        Journal(path)


def test_one_of_affectstream_0_1_is_refused_by_name(path: Path) -> None:
    journal = Journal(path)
    journal.execute("UPDATE meta SET value = 1 WHERE name = 'format'")
    journal.close()
    with pytest.raises(JournalError, match=r"written by affectstream 0\.1: it is of format 1"):
        Journal(path)


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "file" / "journal")
    with pytest.raises(JournalError, match="choose another --journal"):
        Journal(tmp_path)


FULL = """
import sys
from pathlib import Path
from affectstream.bus.database import JournalError
from affectstream.bus.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.execute("PRAGMA max_page_count = 60")
kept = 0
try:
    while True:
        journal.keep("emotion/s/fusion", kept, [b"", b"x" * 900, b""])
        kept += 1
except JournalError as error:
    print(kept, error)
"""


def test_a_full_disk_is_said_and_what_was_kept_is_kept(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, check=True
    )
    kept, _, words = done.stdout.partition(" ")
    assert "the disk is full; free some space and start again" in words
    journal = Journal(path)
    assert int(kept) > 50
    assert journal.recall().heads == {"emotion/s/fusion": int(kept)}
    journal.close()


def test_a_journal_that_cannot_be_written_is_said(path: Path) -> None:
    Journal(path).close()
    journal = Journal(path)
    journal.execute("COMMIT")
    journal.execute("PRAGMA query_only = 1")
    with pytest.raises(JournalError, match="choose a folder that can be written"):
        keep(journal, transcript("u", "x"), 0)
    journal._database.close()


@pytest.mark.parametrize("kind", ["database", "letter"])
def test_a_file_of_somebody_else_is_refused_and_left_as_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "places"
    if kind == "database":
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("CREATE TABLE bookmarks (address TEXT)")
            database.execute("INSERT INTO bookmarks VALUES ('here')")
    else:
        path.write_text("dear anna\n" * 1_000)
    before = path.read_bytes()
    with pytest.raises(JournalError, match=r"something else|damaged"):
        Journal(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
