"""What a reader knows of one outlet, and what it holds of it until it may be passed on.

Knows: numbers, holes in them, queues and their bounds.
Refuses to know: when something is passed on, and what is asked for (``reassembler``).
"""

from __future__ import annotations

import sys
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from affectstream.core.delivery.hole_search import HoleSearch
from affectstream.core.delivery.requests import Request
from affectstream.core.delivery.retention import KEPT_BYTES, matches
from affectstream.core.delivery.retry import RetryTimer
from affectstream.messages import MESSAGE_KINDS, Message, Progress

MAX_HELD = 20_000
MAX_HELD_BYTES = 32 * 1024 * 1024
MAX_TOPICS = 65_536

_ITEM_BYTES = 40
"""What Python needs for each item of a list, beside a text's own bytes."""


@dataclass(frozen=True, slots=True)
class Lost:
    """Messages ``first..last`` of ``topic`` cannot be had."""

    topic: str
    first: int
    last: int
    reason: str


@dataclass(frozen=True, slots=True)
class Hole:
    """Messages ``first..last`` of ``topic`` are missing."""

    topic: str
    first: int
    last: int


@dataclass(slots=True)
class KnownOutlet:
    """What a reader knows of one outlet.

    Attributes:
        expected: topic -> number of its next message, the longest unused topic first.
        earlier: what was resent; it comes before what is held.
        held: what came and waits, in the order in which it came.
        let_go: topic -> head, of messages that found no place in ``held``.
        asked: the request that is not answered yet.
        retry: when that is repeated, or given up.
        is_met: whether what was published before the reader came is known, or is not wanted.
        history_at: position of the page of history that is to be asked for next.
        history_of: prefixes of that history; None is all that the reader subscribed to.
        filled: the last hole for which a history was asked: topic and first number.
        hole: what is being asked for by number.
        search: where a long hole ends that is no longer there from its beginning.
        is_silent: it did not answer; what is missing now is not asked for.
    """

    expected: OrderedDict[str, int] = field(default_factory=OrderedDict)
    earlier: deque[Message | Lost] = field(default_factory=deque)
    held: deque[Message] = field(default_factory=deque)
    held_bytes: int = 0
    let_go: dict[str, int] = field(default_factory=dict)
    asked: Request | None = None
    retry: RetryTimer = field(default_factory=RetryTimer)
    is_met: bool = False
    history_at: int | None = None
    history_of: tuple[str, ...] | None = None
    filled: tuple[str, int] | None = None
    hole: Hole | None = None
    search: HoleSearch | None = None
    is_silent: bool = False

    @property
    def is_full(self) -> bool:
        """Whether as much is held as may be."""
        return len(self.held) >= MAX_HELD or self.held_bytes >= MAX_HELD_BYTES

    def hold(self, message: Message) -> None:
        """Keep a message until it may be passed on."""
        self.held.append(message)
        self.held_bytes += held_bytes(message)

    def let_one_go(self, message: Message) -> None:
        """Note a message for which there is no place, so that it can be asked for later."""
        if isinstance(message, Progress) or len(self.let_go) >= MAX_TOPICS:
            return  # a later watermark will say as much
        head = max(message.seq + 1, self.let_go.get(message.topic, 0))
        self.let_go[message.topic] = head

    def pop(self, queue: deque[Message] | deque[Message | Lost]) -> None:
        """Take the first item off ``earlier`` or ``held``."""
        item = queue.popleft()
        if queue is self.held and not isinstance(item, Lost):
            self.held_bytes -= held_bytes(item)

    def expect(self, topic: str, seq: int) -> None:
        """Note the number of a topic's next message."""
        self.expected[topic] = seq
        self.expected.move_to_end(topic)
        if len(self.expected) > MAX_TOPICS:
            self.expected.popitem(last=False)

    def first_hole(self, message: Message, prefixes: Sequence[str]) -> Hole | None:
        """Return the first hole before ``message`` under ``prefixes``, if there is one."""
        expected = self.expected[message.topic]
        if message.seq > expected and matches(message.topic, prefixes):
            return Hole(message.topic, expected, message.seq - 1)
        if isinstance(message, Progress):
            for kind, head in message.heads.items():
                topic = f"{kind}/{message.session}/{message.source}"
                expected = self.expected.get(topic, 0)
                if head > expected and kind in MESSAGE_KINDS and matches(topic, prefixes):
                    return Hole(topic, expected, head - 1)
        return None

    def take_state(self, heads: Mapping[str, int]) -> None:
        """Take the heads that a state was given with; what is held already is news all the same."""
        self.is_met = True
        self.expected.update(heads)
        for message in self.held:
            expected = self.expected.get(message.topic, message.seq)
            self.expected[message.topic] = min(message.seq, expected)

    def follow_from_here(self) -> None:
        """Take what is held for the outlet's beginning, since its state is not to be had."""
        self.is_met = True
        for message in self.held:
            self.expected.setdefault(message.topic, message.seq)
            if isinstance(message, Progress):
                for kind, head in message.heads.items():
                    topic = f"{kind}/{message.session}/{message.source}"
                    self.expected.setdefault(topic, head)


def with_losses(
    topic: str, first: int, last: int, found: Mapping[int, Message]
) -> list[Message | Lost]:
    """Return messages ``first..last`` of ``topic`` by number, and what is lost between them."""
    reason = "no longer in the outlet's ring"
    items: list[Message | Lost] = []
    expected = first
    for seq in sorted(seq for seq in found if first <= seq <= last):
        if seq > expected:
            items.append(Lost(topic, expected, seq - 1, reason))
        items.append(found[seq])
        expected = seq + 1
    if expected <= last:
        items.append(Lost(topic, expected, last, reason))
    return items


def held_bytes(message: Message) -> int:
    """Return about how many bytes of memory a message takes: its header and its payload."""
    return KEPT_BYTES + sum(_bytes_of(getattr(message, n)) for n in message.__struct_fields__)


def _bytes_of(value: object) -> int:
    if isinstance(value, str):
        return sys.getsizeof(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return len(value)
    if isinstance(value, Mapping):
        return sum(_ITEM_BYTES + _bytes_of(k) + _bytes_of(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return sum(_ITEM_BYTES + _bytes_of(item) for item in value)
    if isinstance(value, msgspec.Struct):
        return sum(_ITEM_BYTES + _bytes_of(getattr(value, n)) for n in value.__struct_fields__)
    return 0  # a number, which KEPT_BYTES covers
