"""What an outlet keeps for readers that ask: the latest messages, and the state of what is open.

Knows: a ring that is bounded in bytes, open streams and their latest estimates.
Refuses to know: sockets, requests, and who asks.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from affectstream.messages import Emotion, Message, StreamClosed, StreamOpened

MAX_RESEND = 1_000
"""The most messages in one answer to a ``Resend``."""

RESENT_AT_ONCE = 250
"""Messages of a page of history, and what our readers ask for at once.

A larger answer would keep the outlet, and the hub, from other readers for too long.
"""

MAX_PAGE_BYTES = 1024 * 1024
MAX_SCANNED = 16 * RESENT_AT_ONCE
"""How many messages are looked at for one page, whether they are wanted or not."""

MAX_RETAINED_ESTIMATES = 64
"""Estimates of one stream in the last state: of the utterances that changed last."""

MAX_PREFIXES = 64
"""Subscriptions of one reader: what it asks for is compared with each of them."""

KEPT_BYTES = 400
"""What a message that is kept costs beside its frames' bytes: the objects around them."""


def matches(topic: str, prefixes: Iterable[str]) -> bool:
    """Return whether ``topic`` lies under one of the ``prefixes``."""
    return topic.startswith(tuple(prefixes))


@dataclass(frozen=True, slots=True)
class Recalled:
    """What an outlet published before it was started again.

    Attributes:
        heads: topic -> how many messages of it were published.
        messages: of each stream that is open, or was closed of late: how it was opened, its latest
            estimates and progress, and how it was closed.
    """

    heads: Mapping[str, int] = field(default_factory=dict)
    messages: Sequence[Message] = ()


class MessageStore(Protocol):
    """Where an outlet keeps what it publishes: in memory (``Ring``), or in a journal."""

    @property
    def epoch(self) -> int:
        """The outlet's epoch: it changes when an outlet begins to count anew."""

    def recall(self) -> Recalled:
        """Return what was published before, for an outlet that goes on with it."""

    def keep(self, topic: str, seq: int, frames: list[bytes]) -> None:
        """Remember a message that is about to be sent."""

    def find(self, topic: str, first: int, last: int) -> list[list[bytes]]:
        """Return the frames of those messages ``first..last`` of ``topic`` that are still here.

        At most ``MAX_RESEND``.
        """

    def holds(self, topic: str, seq: int) -> bool:
        """Return whether that message is still here."""

    def page(
        self, position: int, prefixes: Sequence[str], seen: Mapping[str, int]
    ) -> tuple[list[list[bytes]], int | None]:
        """Return messages under ``prefixes`` from ``position`` on, and the next page's position.

        Positions count the messages that were ever kept. The next position is None where this page
        is the last.

        Args:
            seen: topic -> number of the first message of it that is wanted; 0 where it is not
                named.
        """


class Ring:
    """The latest messages of one outlet, as frames, bounded in bytes of memory.

    Most messages are small, so what Python needs around each one counts too (``KEPT_BYTES``).

    Attributes:
        bytes: what is kept now.
    """

    def __init__(self, max_bytes: int) -> None:
        self.epoch = secrets.randbits(61)
        self.max_bytes = max_bytes
        self.bytes = 0
        self._dropped = 0
        self._frames: OrderedDict[tuple[str, int], list[bytes]] = OrderedDict()

    def recall(self) -> Recalled:
        """Return nothing: memory does not outlive its process."""
        return Recalled()

    def keep(self, topic: str, seq: int, frames: list[bytes]) -> None:
        """Remember a message; the oldest make room."""
        self._frames[(topic, seq)] = frames
        self.bytes += KEPT_BYTES + sum(map(len, frames))
        while self.bytes > self.max_bytes and len(self._frames) > 1:
            _, old = self._frames.popitem(last=False)
            self.bytes -= KEPT_BYTES + sum(map(len, old))
            self._dropped += 1

    def find(self, topic: str, first: int, last: int) -> list[list[bytes]]:
        """Return the frames of those messages ``first..last`` of ``topic`` that are still here."""
        last = min(last, first + MAX_RESEND - 1)
        wanted = (self._frames.get((topic, seq)) for seq in range(first, last + 1))
        return [frames for frames in wanted if frames is not None]

    def holds(self, topic: str, seq: int) -> bool:
        """Return whether that message is still here."""
        return (topic, seq) in self._frames

    def page(
        self, position: int, prefixes: Sequence[str], seen: Mapping[str, int]
    ) -> tuple[list[list[bytes]], int | None]:
        """See ``MessageStore``."""
        found: list[list[bytes]] = []
        prefixes = tuple(prefixes)
        size = 0
        skip = max(0, position - self._dropped)
        for index, ((topic, seq), frames) in enumerate(islice(self._frames.items(), skip, None)):
            if len(found) >= RESENT_AT_ONCE or size >= MAX_PAGE_BYTES or index >= MAX_SCANNED:
                return found, self._dropped + skip + index
            if matches(topic, prefixes) and seq >= seen.get(topic, 0):
                found.append(frames)
                size += sum(map(len, frames))
        return found, None


class LastState:
    """What a reader that comes late must know: open streams, and their latest estimates."""

    def __init__(self) -> None:
        self._opened: dict[tuple[str, str], Message] = {}
        self._estimates: dict[tuple[str, str], OrderedDict[str, Emotion]] = {}

    def note(self, message: Message) -> None:
        """Update the state by a message that was just published."""
        stream = (message.session, message.source)
        if isinstance(message, StreamOpened):
            self._opened[stream] = message
        elif isinstance(message, StreamClosed):
            self._opened.pop(stream, None)
            self._estimates.pop(stream, None)
        elif isinstance(message, Emotion):
            latest = self._estimates.setdefault(stream, OrderedDict())
            latest[message.utterance] = message
            latest.move_to_end(message.utterance)
            if len(latest) > MAX_RETAINED_ESTIMATES:
                latest.popitem(last=False)

    def messages(self, prefixes: Sequence[str]) -> list[Message]:
        """Return the state under ``prefixes``: openings first, then estimates, oldest first."""
        estimates = [e for latest in self._estimates.values() for e in latest.values()]
        return [m for m in (*self._opened.values(), *estimates) if matches(m.topic, prefixes)]
