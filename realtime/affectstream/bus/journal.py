"""What an outlet published, kept on disk: it outlives its process.

Knows: an SQLite file in write-ahead mode, its transactions, what can go wrong with a disk.
Refuses to know: what the messages mean (``codec``), sockets, and who asks.

A journal belongs to one outlet: its epoch and its numbers go on when the outlet is started again.
``keep`` returns when the message, and everything that was noted before it, is in the file; only
then is it sent. A process that is killed loses nothing of it. A machine that loses power may lose
the last moments (``PRAGMA synchronous = NORMAL``), never more.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from affectstream.codec import DecodeError, decode
from affectstream.core.delivery.retention import (
    MAX_PAGE_BYTES,
    MAX_RESEND,
    MAX_RETAINED_ESTIMATES,
    MAX_SCANNED,
    RESENT_AT_ONCE,
    Recalled,
    matches,
)
from affectstream.errors import AffectstreamError
from affectstream.messages import Message

MAX_JOURNAL_BYTES = 256 * 1024 * 1024
"""What is kept of what was published; the oldest makes room."""

MAX_RECALLED = 64
"""Closed streams whose end is told again after a start."""

MAX_HEADS = 65_536
"""Topics whose numbers go on after a start; the longest unused are forgotten."""

_FORMAT = 2
"""1 was that of affectstream 0.1, which kept dialogues in another way."""

_TRIM_ROWS = 1_000
_TABLES = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS published (
    position INTEGER PRIMARY KEY, topic TEXT NOT NULL, seq INTEGER NOT NULL,
    header BLOB NOT NULL, payload BLOB NOT NULL, UNIQUE (topic, seq));
CREATE TABLE IF NOT EXISTS heads (
    topic TEXT PRIMARY KEY, next INTEGER NOT NULL, position INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS streams (
    stream TEXT PRIMARY KEY, opened BLOB, closed BLOB, position INTEGER NOT NULL) WITHOUT ROWID;
"""


class JournalError(AffectstreamError):
    """A journal cannot be used; one sentence with a remedy."""


class Journal:
    """One outlet's published messages on disk; see ``core.delivery.retention.MessageStore``.

    Args:
        path: the file; made if need be, with two more beside it while it is in use.
        max_bytes: of what was published.

    Attributes:
        before_commit: called when what was noted is about to last, to note what was put off.

    Raises (also from every method):
        JournalError: it cannot be opened or written, is damaged, or is in use.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_JOURNAL_BYTES) -> None:
        self.path = path
        self.before_commit: Callable[[], None] = lambda: None
        self._max_bytes = max_bytes
        with self._named("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # it holds what people said
            self._database = sqlite3.connect(path, timeout=1.0, isolation_level=None)
        try:
            self._open()
        except BaseException:
            self._database.close()
            raise

    def _open(self) -> None:
        with self._named("opened"):
            # Exclusive: two nodes with one journal would publish under the same numbers.
            self.execute("PRAGMA locking_mode = EXCLUSIVE")
            self.execute("PRAGMA journal_mode = WAL")
            self.execute("PRAGMA synchronous = NORMAL")
            self.execute("BEGIN IMMEDIATE")
            damage = next(self.select("PRAGMA quick_check(1)"))[0]
            if damage != "ok":
                raise sqlite3.DatabaseError(str(damage).splitlines()[-1])
            self.make_tables(_TABLES)
        written = self.meta("format", _FORMAT)
        if written != _FORMAT:
            by = "affectstream 0.1" if written == 1 else "another version"
            raise JournalError(
                f"the journal {self.path} was written by {by}: it is of format {written}, and this "
                f"version reads format {_FORMAT} alone; finish its dialogues with the one that "
                "wrote it, or choose another --journal"
            )
        self.epoch = int(self.meta("epoch", secrets.randbits(61)))
        last, size = next(
            self.select(
                "SELECT max(position), sum(length(header) + length(payload)) FROM published"
            )
        )
        self._position, self._bytes = last or 0, size or 0
        self.execute(
            "DELETE FROM heads WHERE position <= "
            "(SELECT position FROM heads ORDER BY position DESC LIMIT 1 OFFSET ?)",
            MAX_HEADS,
        )
        self.commit()

    # What every part of the journal is written with.

    @property
    def position(self) -> int:
        """How many messages were ever published."""
        return self._position

    def execute(self, statement: str, *values: object) -> None:
        """Run one statement within the open transaction."""
        with self._named("written"):
            self._database.execute(statement, values)

    def select(self, statement: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a query."""
        with self._named("read"):
            yield from self._database.execute(statement, values)

    def make_tables(self, statements: str) -> None:
        """Make what is missing of some tables."""
        for statement in filter(str.strip, statements.split(";")):
            self.execute(statement)

    def meta(self, name: str, default: int | str) -> Any:
        """Return a value that is kept once; ``default`` is kept where there is none."""
        self.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", name, default)
        return next(self.select("SELECT value FROM meta WHERE name = ?", name))[0]

    def commit(self) -> None:
        """Make everything that was noted last, and begin anew."""
        self.before_commit()
        with self._named("written"):
            self._database.execute("COMMIT")
            self._database.execute("BEGIN IMMEDIATE")

    def message(self, topic: str, header: bytes, payload: bytes = b"") -> Message:
        """Return a message that the journal keeps."""
        try:
            return decode([topic.encode(), header, payload])
        except DecodeError as error:
            raise JournalError(_damaged(self.path, f"{topic}: {error}")) from error

    @contextmanager
    def _named(self, done: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise JournalError(_explain(self.path, done, error)) from error
        except OSError as error:
            raise JournalError(
                f"the journal {self.path} cannot be {done} ({error.strerror}); choose another "
                "--journal"
            ) from error

    # What a MessageStore does

    def keep(self, topic: str, seq: int, frames: list[bytes]) -> None:
        """Note a message and make it last, with everything that was noted before it."""
        _, header, payload = frames
        self._position += 1
        self.execute(
            "INSERT INTO published VALUES (?, ?, ?, ?, ?)",
            self._position, topic, seq, header, payload,
        )  # fmt: skip
        self.execute(
            "INSERT OR REPLACE INTO heads VALUES (?, ?, ?)", topic, seq + 1, self._position
        )
        kind, _, stream = topic.partition("/")
        if kind == "stream.opened":
            self.execute(
                "INSERT OR REPLACE INTO streams VALUES (?, ?, NULL, ?)",
                stream, header, self._position,
            )  # fmt: skip
        elif kind == "stream.closed":
            self.execute(
                "UPDATE streams SET closed = ?, position = ? WHERE stream = ?",
                header, self._position, stream,
            )  # fmt: skip
            self._forget_streams()
        self._bytes += len(header) + len(payload)
        if self._bytes > self._max_bytes:
            self._trim()
        self.commit()

    def _forget_streams(self) -> None:
        self.execute(
            "DELETE FROM streams WHERE closed IS NOT NULL AND position <= (SELECT position "
            "FROM streams WHERE closed IS NOT NULL ORDER BY position DESC LIMIT 1 OFFSET ?)",
            MAX_RECALLED,
        )

    def _trim(self) -> None:
        while self._bytes > self._max_bytes:
            (oldest,) = self.select(
                "SELECT max(position), sum(length(header) + length(payload)) FROM "
                "(SELECT * FROM published WHERE position < ? ORDER BY position LIMIT ?)",
                self._position, _TRIM_ROWS,
            )  # fmt: skip
            last, size = oldest
            if last is None:
                return  # the newest alone is larger than all that may be kept
            self.execute("DELETE FROM published WHERE position <= ?", last)
            self._bytes -= size

    def find(self, topic: str, first: int, last: int) -> list[list[bytes]]:
        """Return the frames of those messages ``first..last`` of ``topic`` that are still here."""
        rows = self.select(
            "SELECT header, payload FROM published WHERE topic = ? AND seq BETWEEN ? AND ? "
            "ORDER BY seq LIMIT ?",
            topic, first, last, MAX_RESEND,
        )  # fmt: skip
        return [[topic.encode(), header, payload] for header, payload in rows]

    def holds(self, topic: str, seq: int) -> bool:
        """Return whether that message is still here."""
        found = self.select("SELECT 1 FROM published WHERE topic = ? AND seq = ?", topic, seq)
        return any(found)

    def page(
        self, position: int, prefixes: Sequence[str], seen: Mapping[str, int]
    ) -> tuple[list[list[bytes]], int | None]:
        """See ``MessageStore``; a page is read row by row, so one is never more than its bounds."""
        position = max(position, self._before_unseen(prefixes, seen)) if seen else position
        found: list[list[bytes]] = []
        size = 0
        rows = self.select(
            "SELECT position, topic, seq, header, payload FROM published WHERE position > ? "
            "ORDER BY position",
            position,
        )
        for scanned, (at, topic, seq, header, payload) in enumerate(rows):
            if len(found) >= RESENT_AT_ONCE or size >= MAX_PAGE_BYTES or scanned >= MAX_SCANNED:
                return found, at - 1
            if matches(topic, prefixes) and seq >= seen.get(topic, 0):
                found.append([topic.encode(), header, payload])
                size += len(header) + len(payload)
        return found, None

    def _before_unseen(self, prefixes: Sequence[str], seen: Mapping[str, int]) -> int:
        """Return the position after which lies all that is wanted, by the topics' numbers."""
        heads = list(self.select("SELECT topic, next FROM heads"))
        wanted = [
            (topic, seen.get(topic, 0))
            for topic, head in heads
            if seen.get(topic, 0) < head and matches(topic, prefixes)
        ]
        firsts = [
            at
            for topic, first in wanted
            for (at,) in self.select(
                "SELECT position FROM published WHERE topic = ? AND seq >= ? ORDER BY seq LIMIT 1",
                topic, first,
            )
        ]  # fmt: skip
        return min(firsts, default=self._position + 1) - 1

    def recall(self) -> Recalled:
        """Return what the outlet before this one has published."""
        heads = {
            str(topic): int(head) for topic, head in self.select("SELECT topic, next FROM heads")
        }
        messages: list[Message] = []
        streams = self.select("SELECT stream, opened, closed FROM streams ORDER BY position")
        for stream, opened, closed in list(streams):
            messages.append(self.message(f"stream.opened/{stream}", opened))
            if closed is None:
                messages += self._newest(f"emotion/{stream}", MAX_RETAINED_ESTIMATES)
            messages += self._newest(f"progress/{stream}", 1)
            if closed is not None:
                messages.append(self.message(f"stream.closed/{stream}", closed))
        return Recalled(heads, messages)

    def _newest(self, topic: str, count: int) -> list[Message]:
        rows = self.select(
            "SELECT header FROM published WHERE topic = ? ORDER BY seq DESC LIMIT ?", topic, count
        )
        return [self.message(topic, header) for (header,) in reversed(list(rows))]

    def close(self) -> None:
        """Make last what was noted, and let go of the file."""
        try:
            self.commit()
        finally:
            self._database.close()


def _explain(path: Path, done: str, error: sqlite3.DatabaseError) -> str:
    """Say what is wrong with a journal, and what to do."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = None if code is None else code & 0xFF
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return f"the journal {path} is in use by another process; stop it, or choose another"
    if primary == sqlite3.SQLITE_FULL:
        return (
            f"the journal {path} cannot be {done}: the disk is full; free some space and start "
            "again: what was published is kept, what was not is asked for again"
        )
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return f"the journal {path} cannot be {done} ({error}); choose a folder that can be written"
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, None):
        return _damaged(path, error)
    return f"the journal {path} cannot be {done} ({error}); see to the disk and start again"


def _damaged(path: Path, why: object) -> str:
    return (
        f"the journal {path} is damaged ({why}); move it away to begin anew, or put a copy in its "
        "place"
    )
