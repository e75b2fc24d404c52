"""What a reader knows of one outlet, and what it holds of it until its turn comes.

Knows: numbers, queues and their bounds. Refuses to know: whose turn it is (``delivery``).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from affectstream.core.delivery.requests import Request
from affectstream.core.delivery.retry import RetryTimer
from affectstream.messages import Audio, Matrix, Message

MAX_HELD = 20_000
MAX_HELD_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Lost:
    """Messages ``first..last`` of ``topic`` cannot be had."""

    topic: str
    first: int
    last: int
    reason: str


@dataclass(slots=True)
class KnownOutlet:
    """What a reader knows of one outlet."""

    expected: OrderedDict[str, int] = field(default_factory=OrderedDict)
    earlier: deque[Message | Lost] = field(default_factory=deque)  # resent: before what is held
    held: deque[Message] = field(default_factory=deque)
    held_bytes: int = 0
    let_go: dict[str, int] = field(default_factory=dict)  # heads that found no place in held
    asked: Request | None = None
    patience: RetryTimer = field(default_factory=RetryTimer)
    known: bool = False
    history_at: int | None = None
    scope: tuple[str, ...] | None = None  # prefixes of the history that is asked for; None is all
    filled: tuple[str, int] | None = None  # the hole that a history was last asked for
    silent: bool = False  # it did not answer: what is missing now is not asked for

    @property
    def full(self) -> bool:
        """Whether as much is held as may be."""
        return len(self.held) >= MAX_HELD or self.held_bytes >= MAX_HELD_BYTES

    def hold(self, message: Message) -> None:
        """Keep a message until its turn comes."""
        self.held.append(message)
        self.held_bytes += _payload_bytes(message)

    def pop(self, queue: deque[Message] | deque[Message | Lost]) -> None:
        """Take the first item off one of the two queues."""
        item = queue.popleft()
        if queue is self.held and not isinstance(item, Lost):
            self.held_bytes -= _payload_bytes(item)


def _payload_bytes(message: Message) -> int:
    return len(message.payload) if isinstance(message, Audio | Matrix) else 0
