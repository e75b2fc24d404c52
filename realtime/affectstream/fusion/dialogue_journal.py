"""What a fusion node must know to go on after it was killed, kept beside what it has published.

Knows: each open dialogue's last saved state and all that happened to it since; what was read of
whom. Refuses to know: what a state holds, and how a dialogue is restored (``journaled_node``).

A dialogue is a function of what it was told and when: so what it was told since its state was last
saved is noted, message by message, in the transaction that keeps what the node said to it. Nothing
that the node has said can depend on something that is not in the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from affectstream.bus.journal import Journal
from affectstream.codec import encode
from affectstream.core.delivery.reassembler import MAX_OUTLETS
from affectstream.fusion.session import NODE_SOURCE
from affectstream.messages import MESSAGE_KINDS, Message

_RESUMED = ""
"""In place of a topic."""

_MAX_HAD = 10_000_000
"""Commits after which an outlet that was not heard meanwhile is forgotten."""

_TABLES = """
CREATE TABLE IF NOT EXISTS dialogues (
    session TEXT PRIMARY KEY, state BLOB, position INTEGER NOT NULL,
    now_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS happened (
    id INTEGER PRIMARY KEY, session TEXT NOT NULL, now_ns INTEGER NOT NULL,
    topic TEXT, header BLOB, payload BLOB);
CREATE INDEX IF NOT EXISTS happened_to ON happened (session, id);
CREATE TABLE IF NOT EXISTS had (
    epoch INTEGER NOT NULL, topic TEXT NOT NULL, next INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (epoch, topic)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Happened:
    """What happened to a dialogue at one moment: it was told a message, stepped, or resumed.

    Attributes:
        message: None where it was stepped or resumed.
        resumed: it goes on after a node was killed.
    """

    now_ns: int
    message: Message | None = None
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """A dialogue as it was left.

    Attributes:
        state: when it was last saved, at ``saved_ns``; None if never.
        happened: what happened to it since.
        published: what the node has published of it since, in order; all but progress.
    """

    session: str
    state: bytes | None
    saved_ns: int
    happened: list[Happened]
    published: list[Message]

    @property
    def left_ns(self) -> int:
        """When it was left."""
        return self.happened[-1].now_ns if self.happened else self.saved_ns


class DialogueJournal:
    """The dialogues' part of a journal. What is noted is made last by ``Journal.keep``."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        journal.make_tables(_TABLES)
        journal.before_commit = self._write_had
        self._turn = 0
        self._had: dict[tuple[int, str], int] = {}

    def begin(self, session: str, now_ns: int) -> None:
        """Note a dialogue that has no state yet."""
        self._keep(session, None, now_ns)

    def told(self, message: Message, now_ns: int) -> int:
        """Note what a dialogue was told; return how many bytes that took."""
        topic, header, payload = encode(message)
        self._journal.execute(
            "INSERT INTO happened (session, now_ns, topic, header, payload) VALUES (?, ?, ?, ?, ?)",
            message.session, now_ns, topic.decode(), header, payload,
        )  # fmt: skip
        return len(topic) + len(header) + len(payload)

    def stepped(self, session: str, now_ns: int) -> None:
        """Note that a dialogue was stepped."""
        self._journal.execute(
            "INSERT INTO happened (session, now_ns) VALUES (?, ?)", session, now_ns
        )

    def resumed(self, session: str, now_ns: int) -> None:
        """Note that a dialogue goes on."""
        self._journal.execute(
            "INSERT INTO happened (session, now_ns, topic) VALUES (?, ?, ?)",
            session, now_ns, _RESUMED,
        )  # fmt: skip

    def had(self, message: Message) -> None:
        """Note that a message was read, so that it is not asked for again."""
        if message.epoch:
            self._had[message.epoch, message.topic] = message.seq + 1

    def _write_had(self) -> None:
        self._turn += 1
        for (epoch, topic), onward in self._had.items():
            self._journal.execute(
                "INSERT OR REPLACE INTO had VALUES (?, ?, ?, ?)", epoch, topic, onward, self._turn
            )
        self._had.clear()

    def save(self, session: str, state: bytes, now_ns: int) -> None:
        """Keep a dialogue's state in place of what happened to it before."""
        self._keep(session, state, now_ns)
        self._journal.execute("DELETE FROM happened WHERE session = ?", session)

    def _keep(self, session: str, state: bytes | None, now_ns: int) -> None:
        self._journal.execute(
            "INSERT OR REPLACE INTO dialogues VALUES (?, ?, ?, ?)",
            session, state, self._journal.position, now_ns,
        )  # fmt: skip

    def forget(self, session: str) -> None:
        """A dialogue has ended."""
        self._journal.execute("DELETE FROM dialogues WHERE session = ?", session)
        self._journal.execute("DELETE FROM happened WHERE session = ?", session)

    def kept(self) -> Iterator[Kept]:
        """Yield every dialogue that was open."""
        rows = self._journal.select("SELECT session, state, position, now_ns FROM dialogues")
        for session, state, position, now_ns in list(rows):
            happened = [
                self._read(*row)
                for row in self._journal.select(
                    "SELECT now_ns, topic, header, payload FROM happened "
                    "WHERE session = ? ORDER BY id",
                    session,
                )
            ]
            yield Kept(session, state, now_ns, happened, self._published(session, position))

    def _read(self, now_ns: int, topic: str | None, header: bytes, payload: bytes) -> Happened:
        if topic is None or topic == _RESUMED:
            return Happened(now_ns, resumed=topic is not None)
        return Happened(now_ns, self._journal.message(topic, header, payload))

    def _published(self, session: str, position: int) -> list[Message]:
        topics = [f"{kind}/{session}/{NODE_SOURCE}" for kind in MESSAGE_KINDS if kind != "progress"]
        rows = self._journal.select(
            f"SELECT topic, header FROM published WHERE topic IN ({', '.join('?' * len(topics))}) "
            "AND position > ? ORDER BY position",
            *topics, position,
        )  # fmt: skip
        return [self._journal.message(topic, header) for topic, header in rows]

    def positions(self) -> dict[int, dict[str, int]]:
        """Return what was read of each outlet; those not read for longest are forgotten."""
        latest: dict[int, dict[str, int]] = {}
        rows = self._journal.select("SELECT epoch, topic, next, at FROM had ORDER BY at DESC")
        for epoch, topic, onward, at in rows:
            self._turn = max(self._turn, at)
            if epoch in latest or len(latest) < MAX_OUTLETS:
                latest.setdefault(epoch, {})[topic] = onward
        self._journal.execute("DELETE FROM had WHERE at < ?", self._turn - _MAX_HAD)
        return latest
