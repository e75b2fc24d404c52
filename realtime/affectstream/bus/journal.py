"""What an outlet published, kept on disk: it outlives its process.

Knows: which messages, numbers and streams are kept, for how long, and how they are found again.
Refuses to know: what the messages mean (``codec``), sockets, who asks, and SQLite's ways
(``database``).

A journal belongs to one outlet: its epoch and its numbers go on when the outlet is started again.
``keep`` returns when the message, and everything that was written before it, is in the file; only
then is it sent. A process that is killed loses nothing of it. A machine that loses power may lose
the last moments (``PRAGMA synchronous = NORMAL``), never more.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from affectstream.bus.database import JournalDatabase, JournalError, damaged
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
from affectstream.messages import Message

MAX_JOURNAL_BYTES = 256 * 1024 * 1024
"""Bytes of messages that are kept; the oldest make room."""

MAX_RECALLED = 64
"""Closed streams that are recalled after a start; of open ones all are."""

MAX_HEADS = 65_536
"""Topics whose numbers go on after a start; the longest unused are forgotten."""

_FORMAT = 2
"""1 was that of affectstream 0.1, which kept dialogues in another way."""

_TRIM_ROWS = 1_000
_TABLES = """
CREATE TABLE IF NOT EXISTS published (
    position INTEGER PRIMARY KEY, topic TEXT NOT NULL, seq INTEGER NOT NULL,
    header BLOB NOT NULL, payload BLOB NOT NULL, UNIQUE (topic, seq));
CREATE TABLE IF NOT EXISTS heads (
    topic TEXT PRIMARY KEY, next INTEGER NOT NULL, position INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS streams (
    stream TEXT PRIMARY KEY, opened BLOB, closed BLOB, position INTEGER NOT NULL) WITHOUT ROWID;
"""


class Journal(JournalDatabase):
    """One outlet's published messages on disk; see ``core.delivery.retention.MessageStore``.

    Args:
        path: the file; made if need be, with two more beside it while it is in use.
        max_bytes: of what was published.

    Raises (also from every method):
        JournalError: see ``JournalDatabase``; or the file is of another version.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_JOURNAL_BYTES) -> None:
        super().__init__(path, _TABLES)
        self._max_bytes = max_bytes
        try:
            self._take_up()
        except BaseException:
            self._opened.close()
            raise

    def _take_up(self) -> None:
        """Go on where the file ends."""
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

    @property
    def position(self) -> int:
        """How many messages were ever published."""
        return self._position

    def message(self, topic: str, header: bytes, payload: bytes = b"") -> Message:
        """Return a message that the journal keeps."""
        try:
            return decode([topic.encode(), header, payload])
        except DecodeError as error:
            raise JournalError(damaged(self.path, f"{topic}: {error}")) from error

    # What a MessageStore does

    def keep(self, topic: str, seq: int, frames: list[bytes]) -> None:
        """Write a message, and commit it with everything that was written before."""
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
        """See ``MessageStore``; rows are read one by one, so no page is larger than its bounds."""
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
        """Return the position of the last message before all that are wanted, by their numbers."""
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
