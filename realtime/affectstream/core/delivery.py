"""Loss made visible: what an outlet keeps, and how an inlet puts a stream together again.

Knows: sequence numbers, resend requests, heads, the bounded ring and the last state.
Refuses to know: sockets and clocks; requests and answers are values that the bus carries.

Rules:
1. An outlet counts the messages of each topic from 0 (``seq``) and keeps the latest in a ring
   that is bounded in bytes.
2. ``Progress.heads`` says how many messages of each kind the source has published. A reader that
   has seen fewer has a hole, even if nothing came after it.
3. While one topic of an outlet has a hole, everything later from that outlet waits, so that a
   watermark never overtakes what it vouches for.
4. A hole is asked for up to ``ATTEMPTS`` times. What cannot be had is said as a ``Gap`` in its
   place.
5. A reader that meets an outlet for the first time either asks for all that the ring still has,
   or for the last state of what is open; nothing is passed on before the answer.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from affectstream.messages import Emotion, Gap, Message, Progress, StreamClosed, StreamOpened

RETRY_NS = 250_000_000
ATTEMPTS = 4
MAX_HELD = 20_000
MAX_RESEND = 1_000
MAX_TOPICS = 65_536
MAX_OUTLETS = 1_024
MAX_RETAINED_ESTIMATES = 64


class Ring:
    """The latest messages of one outlet, as frames, bounded in bytes."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self._frames: OrderedDict[tuple[str, int], list[bytes]] = OrderedDict()

    def keep(self, topic: str, seq: int, frames: list[bytes]) -> None:
        """Remember a message; the oldest make room."""
        self._frames[(topic, seq)] = frames
        self.bytes += sum(map(len, frames))
        while self.bytes > self.max_bytes and len(self._frames) > 1:
            _, old = self._frames.popitem(last=False)
            self.bytes -= sum(map(len, old))

    def find(self, topic: str, first: int, last: int) -> list[list[bytes]]:
        """Return the frames of those messages ``first..last`` of ``topic`` that are still here."""
        last = min(last, first + MAX_RESEND - 1)
        wanted = (self._frames.get((topic, seq)) for seq in range(first, last + 1))
        return [frames for frames in wanted if frames is not None]


class LastState:
    """What a late reader must know: streams that are open, and their latest estimates."""

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


@dataclass(frozen=True, slots=True)
class Resend:
    """Ask the outlet ``epoch`` for messages ``first..last`` of ``topic``."""

    epoch: int
    topic: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class AskState:
    """Ask the outlet ``epoch`` for the last state under ``prefixes``."""

    epoch: int
    prefixes: tuple[str, ...]


Request = Resend | AskState


def matches(topic: str, prefixes: Iterable[str]) -> bool:
    """Return whether ``topic`` lies under one of the ``prefixes``."""
    return any(topic.startswith(prefix) for prefix in prefixes)


@dataclass(slots=True)
class _Outlet:
    """What a reader knows of one outlet."""

    expected: OrderedDict[str, int] = field(default_factory=OrderedDict)
    held: deque[Message] = field(default_factory=deque)
    refilled: dict[tuple[str, int], Message] = field(default_factory=dict)
    asked: Request | None = None
    attempts: int = 0
    retry_ns: int = 0
    known: bool = False


class Reassembler:
    """Puts the messages of many outlets in order, asks for what is missing, says what is lost.

    Args:
        prefixes: the reader's subscriptions.
        from_start: on first meeting an outlet, ask for everything its ring still holds; otherwise
            for the last state of what is open.
    """

    def __init__(self, prefixes: Sequence[str], *, from_start: bool) -> None:
        self.counts: Counter[str] = Counter()
        self._prefixes = tuple(prefixes)
        self._from_start = from_start
        self._outlets: OrderedDict[int, _Outlet] = OrderedDict()
        self._requests: list[Request] = []

    def receive(self, message: Message, now_ns: int) -> list[Message]:
        """Take a message in; return those whose turn has come."""
        outlet = self._meet(message.epoch, now_ns)
        outlet.held.append(message)
        if len(outlet.held) > MAX_HELD:
            return self._give_up(message.epoch, now_ns, "reader too slow")
        return self._drain(message.epoch, now_ns)

    def resent(
        self, epoch: int, topic: str, first: int, last: int, found: Sequence[Message], now_ns: int
    ) -> list[Message]:
        """Take the answer to a ``Resend``; what was not found is lost for good."""
        outlet = self._outlets.get(epoch)
        if outlet is None or outlet.asked != Resend(epoch, topic, first, last):
            return []
        for message in found:
            outlet.refilled[(topic, message.seq)] = message
        outlet.asked = None
        delivered = []
        lost = 0
        for seq in range(first, last + 1):
            message_or_none = outlet.refilled.pop((topic, seq), None)
            if message_or_none is None:
                lost += 1
                continue
            delivered.extend(self._gap(topic, lost, "no longer in the outlet's ring"))
            lost = 0
            delivered.append(message_or_none)
        delivered.extend(self._gap(topic, lost, "no longer in the outlet's ring"))
        outlet.expected[topic] = last + 1
        self.counts["resent"] += len(found)
        return self._wanted(delivered) + self._drain(epoch, now_ns)

    def state(
        self, epoch: int, heads: dict[str, int], messages: Sequence[Message], now_ns: int
    ) -> list[Message]:
        """Take the answer to an ``AskState``: the topics' heads and what is open."""
        outlet = self._outlets.get(epoch)
        if outlet is None or outlet.known:
            return []
        outlet.known, outlet.asked = True, None
        outlet.expected.update(heads)
        return self._wanted(messages) + self._drain(epoch, now_ns)

    def requests(self) -> list[Request]:
        """Return the requests that are to be sent now, once."""
        requests, self._requests = self._requests, []
        return requests

    def next_wake_ns(self) -> int | None:
        """Return when ``wake`` has something to do."""
        return min((o.retry_ns for o in self._outlets.values() if o.asked), default=None)

    def wake(self, now_ns: int) -> list[Message]:
        """Repeat requests that were not answered; give up those asked for often enough."""
        delivered: list[Message] = []
        for epoch, outlet in list(self._outlets.items()):
            if outlet.asked is None or now_ns < outlet.retry_ns:
                continue
            if outlet.attempts >= ATTEMPTS:
                delivered += self._give_up(epoch, now_ns, "the outlet does not answer")
            else:
                self._ask(outlet, outlet.asked, now_ns, again=True)
        return delivered

    def _meet(self, epoch: int, now_ns: int) -> _Outlet:
        outlet = self._outlets.get(epoch)
        if outlet is None:
            outlet = self._outlets[epoch] = _Outlet()
            if self._from_start:
                outlet.known = True
            else:
                self._ask(outlet, AskState(epoch, self._prefixes), now_ns)
            if len(self._outlets) > MAX_OUTLETS:
                self._outlets.popitem(last=False)
                self.counts["outlets forgotten"] += 1
        self._outlets.move_to_end(epoch)
        return outlet

    def _ask(self, outlet: _Outlet, request: Request, now_ns: int, again: bool = False) -> None:
        outlet.attempts = outlet.attempts + 1 if again else 1
        outlet.asked = request
        outlet.retry_ns = now_ns + RETRY_NS
        self._requests.append(request)

    def _drain(self, epoch: int, now_ns: int) -> list[Message]:
        """Deliver from the head of the queue until a hole."""
        outlet = self._outlets[epoch]
        delivered: list[Message] = []
        while outlet.held and outlet.asked is None:
            message = outlet.held[0]
            topic = message.topic
            expected = outlet.expected.setdefault(topic, 0)
            if message.seq < expected:
                self.counts["duplicates"] += 1
                outlet.held.popleft()
                continue
            hole = self._hole(outlet, message)
            if hole is not None:
                self._ask(outlet, Resend(epoch, *hole), now_ns)
                break
            outlet.expected[topic] = message.seq + 1
            outlet.expected.move_to_end(topic)
            if len(outlet.expected) > MAX_TOPICS:
                outlet.expected.popitem(last=False)
            delivered.append(outlet.held.popleft())
        return self._wanted(delivered)

    def _hole(self, outlet: _Outlet, message: Message) -> tuple[str, int, int] | None:
        """Return the first hole before ``message``: topic, first and last."""
        expected = outlet.expected[message.topic]
        if message.seq > expected:
            return (message.topic, expected, min(message.seq, expected + MAX_RESEND) - 1)
        if isinstance(message, Progress):
            for kind, head in message.heads.items():
                topic = f"{kind}/{message.session}/{message.source}"
                expected = outlet.expected.get(topic, 0)
                if head > expected and matches(topic, self._prefixes):
                    return (topic, expected, min(head, expected + MAX_RESEND) - 1)
        return None

    def _give_up(self, epoch: int, now_ns: int, reason: str) -> list[Message]:
        outlet = self._outlets[epoch]
        asked, outlet.asked = outlet.asked, None
        delivered: list[Message] = []
        if isinstance(asked, Resend):
            delivered += self._gap(asked.topic, asked.last - asked.first + 1, reason)
            outlet.expected[asked.topic] = asked.last + 1
        elif isinstance(asked, AskState):
            # Without its state the outlet is followed from here on.
            outlet.known = True
            for message in outlet.held:
                outlet.expected.setdefault(message.topic, message.seq)
                if isinstance(message, Progress):
                    for kind, head in message.heads.items():
                        outlet.expected.setdefault(
                            f"{kind}/{message.session}/{message.source}", head
                        )
        return delivered + self._drain(epoch, now_ns)

    def _gap(self, topic: str, count: int, reason: str) -> list[Message]:
        if count == 0:
            return []
        kind, session, source = topic.split("/")
        self.counts["lost"] += count
        return [
            Gap(session=session, source=source, of=source, lost=kind, count=count, reason=reason)
        ]

    def _wanted(self, messages: Iterable[Message]) -> list[Message]:
        """Drop the heartbeats that were followed for their heads alone."""
        return [m for m in messages if isinstance(m, Gap) or matches(m.topic, self._prefixes)]
