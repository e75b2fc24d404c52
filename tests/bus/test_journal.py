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

from affectstream.bus import journal as journal_module
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
    first._opened.close()  # killed
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
    assert len(modes) == 3  # the write-ahead log and the lock too
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


@pytest.mark.parametrize("count", [3, 4, 7])
def test_of_too_many_topics_the_numbers_of_those_used_last_go_on(
    path: Path, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MAX_HEADS", 3)
    journal = Journal(path)
    topics = [opened(f"mic.{number}").topic for number in range(count)]
    for number in [*range(count), 0]:  # the first is used once more
        head = journal.recall().heads.get(topics[number], 0)
        keep(journal, opened(f"mic.{number}"), head)
    journal.close()
    journal = Journal(path)
    assert journal.recall().heads == {topics[0]: 2, topics[-2]: 1, topics[-1]: 1}
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
from contextlib import closing
from pathlib import Path
from affectstream.bus.database import JournalError
from affectstream.bus.journal import Journal
kept = 0
try:
    with closing(Journal(Path(sys.argv[1]))) as journal:
        journal.before_commit = lambda: journal.meta("count", 0)
        journal.execute("PRAGMA max_page_count = 60")
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


def test_after_an_error_nothing_is_written_and_the_error_is_said_again(path: Path) -> None:
    journal = Journal(path)
    keep(journal, transcript("u0", "x"), 0)
    with pytest.raises(JournalError, match="no such table: nowhere"):
        journal.execute("DELETE FROM nowhere")
    for _ in range(2):
        with pytest.raises(JournalError, match="no such table: nowhere"):
            keep(journal, transcript("u1", "x"), 1)
    journal.close()
    assert said(Journal(path).find(transcript("u", "x").topic, 0, 9)) == [
        (transcript("u", "x").topic, 0)
    ]


def write_over(path: Path, other: Path) -> None:
    with path.open("r+b") as file:
        file.write(other.read_bytes())


def delete_the_log(path: Path, other: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


TAKINGS = {
    "deleted": (lambda path, other: path.unlink(), 0),
    "moved": (lambda path, other: path.rename(path.with_name("elsewhere")), 0),
    "replaced": (lambda path, other: other.replace(path), 50),
    "written over": (write_over, 50),
    "emptied": (lambda path, other: os.truncate(path, 0), 0),
    "its log deleted": (delete_the_log, 9),
}
"""How a journal is taken away, and how many messages are at its path afterwards."""


@pytest.mark.parametrize("how", TAKINGS)
def test_one_that_is_taken_away_is_noticed_and_the_path_stays_taken(path: Path, how: str) -> None:
    other, topic = path.with_name("other.journal"), transcript("u", "x").topic
    for at, count in ((other, 50), (path, 9)):
        journal = Journal(at)
        for seq in range(count):
            keep(journal, transcript("u", "x" * 900), seq)
        if at == other:
            journal.close()
    journal.check_in_place()
    take, left = TAKINGS[how]
    take(path, other)
    with pytest.raises(JournalError, match="in use by another process; stop it, or choose"):
        Journal(path)
    for _ in range(2):
        with pytest.raises(JournalError, match="deleted, moved or replaced while it was in use"):
            keep(journal, transcript("u", "x"), 9)
    with pytest.raises(JournalError, match="deleted, moved or replaced while it was in use"):
        journal.check_in_place()
    journal.close()
    assert len(messages_at(path, topic)) == left
    if how == "moved":
        assert len(messages_at(path.with_name("elsewhere"), topic)) == 9


def messages_at(path: Path, topic: str) -> list[tuple[str, int]]:
    with closing(Journal(path)) as journal:
        return said(journal.find(topic, 0, 100))


def test_the_path_is_free_again_once_the_first_has_let_go(path: Path) -> None:
    journal = Journal(path)
    path.unlink()
    with pytest.raises(JournalError, match="was deleted"):
        journal.close()
    Journal(path).close()


def test_a_link_to_one_that_is_in_use_is_refused(journal: Journal, path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(JournalError, match="in use by another process"):
        Journal(link)


def test_a_journal_that_cannot_be_written_is_said(path: Path) -> None:
    Journal(path).close()
    journal = Journal(path)
    journal.execute("COMMIT")
    journal.execute("PRAGMA query_only = 1")
    with pytest.raises(JournalError, match="choose a folder that can be written"):
        keep(journal, transcript("u", "x"), 0)
    journal._opened.close()


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
