"""An outlet publishes: it numbers messages, keeps the latest, and answers requests for them.

Knows: heads, heartbeats, and the two sockets of a publisher.
Refuses to know: who reads, and what the messages mean.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
import zmq

from affectstream.bus.endpoint import Endpoint
from affectstream.bus.handshakes import HandshakeWatch
from affectstream.bus.sockets import close, connect
from affectstream.bus.wall_clock import WallClock
from affectstream.codec import MAX_HEADER_BYTES, encode, pack_map, unpack_map
from affectstream.core.address import DEFAULT_ADDRESS, ports
from affectstream.core.delivery.fairness import FairQueue
from affectstream.core.delivery.retention import (
    MAX_PREFIXES,
    LastState,
    MessageStore,
    Ring,
    matches,
)
from affectstream.errors import brief, worth_logging
from affectstream.messages import Message, Progress, StreamClosed, StreamOpened
from affectstream.timebase import NS_PER_MS

_log = logging.getLogger(__name__)

RING_BYTES = 16 * 1024 * 1024
HEARTBEAT_NS = 500 * NS_PER_MS
FIRST_BEAT_AFTER_CLOSE_NS = 50 * NS_PER_MS
BEATS_AFTER_CLOSE = 10  # each after twice as long: 50 s in all
MAX_CLOSED_STREAMS = 4_096
HEARD_AT_ONCE = 1_000
ANSWERING_NS = 4 * NS_PER_MS
"""How long requests are answered before the outlet's owner goes on with its work."""


@dataclass(slots=True)
class _Published:
    """What an outlet knows of one of its streams."""

    heads: dict[str, int] = field(default_factory=dict)
    progress: Progress | None = None
    beat_ns: int | None = None
    beats_left: int | None = None  # counted once the stream is closed

    def next_beat(self, now_ns: int) -> None:
        """Note that a heartbeat was sent."""
        self.beat_ns = now_ns + HEARTBEAT_NS
        if self.beats_left is not None:
            self.beat_ns = now_ns + (
                FIRST_BEAT_AFTER_CLOSE_NS << (BEATS_AFTER_CLOSE - self.beats_left)
            )
            self.beats_left -= 1
            if self.beats_left <= 0:
                self.beats_left, self.beat_ns = 0, None

    def vouched(self) -> dict[str, int]:
        """Return the heads that a heartbeat vouches for: all but its own."""
        return {kind: count for kind, count in self.heads.items() if kind != "progress"}


class Outlet:
    """Publishes messages: numbers them, keeps the latest, answers requests for them.

    One thread uses it. ``service`` must be called whenever ``socket`` is readable and at
    ``next_wake_ns``; ``runner`` does both.

    Args:
        ring: where what is published is kept; default: the latest 16 MiB, in memory. One that
            outlives its process lets this outlet go on where the one before it ended.
        regenerated: what is published begins again where the outlet before began, as when a file
            is played; what was published then is not sent a second time.
    """

    def __init__(
        self,
        address: str | Endpoint = DEFAULT_ADDRESS,
        *,
        ring: MessageStore | None = None,
        regenerated: bool = False,
        clock: Callable[[], int] | None = None,
    ) -> None:
        endpoint = Endpoint.of(address)
        _, where, control = ports(endpoint.address)
        self._ring: MessageStore = ring or Ring(RING_BYTES)
        self.epoch = self._ring.epoch
        self.counts: Counter[str] = Counter()
        self._clock = clock or WallClock().now_ns
        self._context = zmq.Context(io_threads=1)
        self._publisher = connect(self._context, zmq.PUB, where, keys=endpoint.keys)
        name = str(self.epoch).encode()
        self.socket = connect(self._context, zmq.DEALER, control, keys=endpoint.keys, name=name)
        self._watch = HandshakeWatch(endpoint, (self._publisher, self.socket))
        self._state = LastState()
        self._requests = FairQueue()
        self._streams: dict[tuple[str, str], _Published] = {}
        self._closed: deque[tuple[str, str]] = deque()
        self._no_beat_before_ns: int | None = None  # so that not every turn looks at all streams
        self._heads: dict[tuple[str, str], dict[str, int]] = {}  # of an outlet before this one
        self._again: dict[str, int] = {}  # topic -> messages that will be regenerated
        self._regenerated = regenerated
        self._go_on()

    def _go_on(self) -> None:
        """Take up what the outlet before this one has published."""
        now_ns, recalled = self._clock(), self._ring.recall()
        for topic, head in recalled.heads.items():
            kind, session, source = topic.split("/")
            self._heads.setdefault((session, source), {})[kind] = head
            if self._regenerated and kind != "progress":
                self._again[topic] = head
        for message in recalled.messages:
            key = (message.session, message.source)
            stream = self._streams[key] = self._stream(key, now_ns)
            self._note(key, stream, message, now_ns)
            self._state.note(message)

    def _stream(self, key: tuple[str, str], now_ns: int) -> _Published:
        """Return what is known of a stream, perhaps of one that nothing was published of yet."""
        session, source = key
        return self._streams.get(key) or _Published(
            heads=dict(self._heads.get(key, {})),
            progress=Progress(session=session, source=source, watermark_ns=0),
            beat_ns=now_ns + HEARTBEAT_NS,
        )

    def publish(self, message: Message) -> None:
        """Number and send a message; never blocks.

        Raises:
            JournalError: the ring is a journal, and it cannot be written. Nothing was sent.
        """
        if not (self._regenerated and self._was_sent(message)):
            self._send(message)

    def _was_sent(self, message: Message) -> bool:
        """Return whether the outlet before this one has sent it, or promised as much."""
        if isinstance(message, Progress):
            stream = self._streams.get((message.session, message.source))
            known = stream.progress if stream is not None else None
            return known is not None and _reach(message) <= _reach(known)
        left = self._again.get(message.topic, 0)
        if left:
            self._again[message.topic] = left - 1
        return left > 0

    def _send(self, message: Message) -> None:
        now_ns = self._clock()
        key = (message.session, message.source)
        stream = self._stream(key, now_ns)
        if isinstance(message, Progress):
            message = msgspec.structs.replace(message, heads=stream.vouched())
        seq = stream.heads.get(message.kind, 0)
        message = msgspec.structs.replace(message, epoch=self.epoch, seq=seq, sent_ns=now_ns)
        frames = encode(message)  # what cannot be sent is not counted
        self._streams[key] = stream
        stream.heads[message.kind] = seq + 1
        self._note(key, stream, message, now_ns)
        self._ring.keep(message.topic, seq, frames)
        self._state.note(message)
        self._publisher.send_multipart(frames)

    def _note(
        self, key: tuple[str, str], stream: _Published, message: Message, now_ns: int
    ) -> None:
        """Plan the stream's next heartbeat."""
        if isinstance(message, Progress):
            stream.progress = message
            stream.next_beat(now_ns)
        elif isinstance(message, StreamOpened):
            stream.progress = Progress(
                session=message.session, source=message.source, watermark_ns=message.start_ns
            )
            stream.beat_ns, stream.beats_left = now_ns + HEARTBEAT_NS, None
        elif isinstance(message, StreamClosed):
            stream.beat_ns, stream.beats_left = now_ns, BEATS_AFTER_CLOSE
            self._closed.append(key)
            if len(self._closed) > MAX_CLOSED_STREAMS:
                self._forget(self._closed.popleft())
        known = self._no_beat_before_ns
        if stream.beat_ns is not None and (known is None or stream.beat_ns < known):
            self._no_beat_before_ns = stream.beat_ns

    def _forget(self, key: tuple[str, str]) -> None:
        stream = self._streams.get(key)
        if stream is not None and stream.beats_left is not None:  # not opened again since
            del self._streams[key]

    def next_wake_ns(self) -> int | None:
        """Return when the next heartbeat or answer may be due; never later than it is."""
        due = (self._no_beat_before_ns, self._requests.next_wake_ns())
        return min((d for d in due if d is not None), default=None)

    def service(self) -> None:
        """Answer the requests whose turn it is and send the heartbeats that are due.

        Raises:
            BusError: the hub refuses us.
        """
        self._watch.check()
        for _ in range(HEARD_AT_ONCE):
            if not int(self.socket.get(zmq.EVENTS)) & zmq.POLLIN:
                break
            self._hear(self.socket.recv_multipart(zmq.DONTWAIT))
        began_ns = time.thread_time_ns()  # what an answer takes, not how busy the machine is
        spent_ns = 0
        while spent_ns < ANSWERING_NS and (asked := self._requests.take(self._clock())):
            self._answer(*asked)
            took_ns = time.thread_time_ns() - began_ns - spent_ns
            spent_ns += took_ns
            self._requests.answered(asked[0], took_ns, self._clock())
        now_ns = self._clock()
        if self._no_beat_before_ns is None or now_ns < self._no_beat_before_ns:
            return
        for stream in list(self._streams.values()):
            if stream.beat_ns is None or stream.progress is None or now_ns < stream.beat_ns:
                continue
            self._send(stream.progress)
        due = (s.beat_ns for s in self._streams.values() if s.beat_ns is not None)
        self._no_beat_before_ns = min(due, default=None)

    def _hear(self, frames: list[bytes]) -> None:
        """Let a request wait for its turn."""
        if len(frames) != 2 or len(frames[1]) > MAX_HEADER_BYTES:
            self._complain("bad request", f"dropped a request of {sum(map(len, frames))} bytes")
        elif not self._requests.add(*frames):
            self._complain("requests not heard", "too many requests wait; readers will ask again")

    def _answer(self, sender: bytes, packed: bytes) -> None:
        try:
            request = unpack_map(packed)
            if request["op"] == "unreachable":  # our answer to a reader that went or does not read
                self.counts["undelivered answers"] += 1
                return
            body = self._body(request)
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            self._complain("bad request", f"dropped a request that cannot be read: {brief(error)}")
            return
        try:
            self.socket.send_multipart([sender, *body], zmq.DONTWAIT)
        except zmq.Again:
            self._complain("answers not sent", "an answer could not be sent; it is asked for again")

    def _complain(self, what: str, words: str) -> None:
        self.counts[what] += 1
        if worth_logging(self.counts[what]):
            _log.warning("%s", words)

    def _body(self, request: dict[str, object]) -> list[bytes]:
        if request["op"] == "resend":
            topic, first, last = str(request["topic"]), request["first"], request["last"]
            if not isinstance(first, int) or not isinstance(last, int):
                raise TypeError("first and last are counts")
            found = [
                encode(m)
                for m in self._state.messages([topic])
                if m.topic == topic
                and first <= m.seq <= last
                and not self._ring.holds(topic, m.seq)
            ] + self._ring.find(topic, first, last)
            answer = {"op": "resent", "epoch": self.epoch, "topic": topic}
            return [
                pack_map(answer | {"first": first, "last": last}),
                *(frame for frames in found for frame in frames),
            ]
        prefixes = request["prefixes"]
        if not isinstance(prefixes, list) or len(prefixes) > MAX_PREFIXES:
            raise TypeError(f"prefixes is a list of up to {MAX_PREFIXES}")
        if request["op"] == "history":
            return self._history(prefixes, request["position"], request.get("seen", {}))
        if request["op"] == "state":
            heads = {
                topic: count
                for (session, source), stream in self._streams.items()
                for kind, count in stream.heads.items()
                if matches(topic := f"{kind}/{session}/{source}", prefixes)
            }
            messages = self._state.messages(prefixes)
            return [
                pack_map({"op": "state", "epoch": self.epoch, "heads": heads}),
                *(frame for message in messages for frame in encode(message)),
            ]
        raise ValueError(f"no such request: {request['op']!r}")

    def _history(self, prefixes: list[str], position: object, seen: object) -> list[bytes]:
        if not isinstance(position, int) or not isinstance(seen, dict):
            raise TypeError("position is a count, and seen a map of counts")
        if not all(isinstance(first, int) for first in seen.values()):
            raise TypeError("seen is a map of counts")
        found, next_position = self._ring.page(position, prefixes, seen)
        if position == 0:
            found = [
                encode(m)
                for m in self._state.messages(prefixes)
                if m.seq >= seen.get(m.topic, 0) and not self._ring.holds(m.topic, m.seq)
            ] + found
        answer = {"op": "history", "epoch": self.epoch, "position": position}
        return [
            pack_map(answer | {"next": next_position}),
            *(frame for frames in found for frame in frames),
        ]

    def close(self, linger_ms: int = 500) -> None:
        """Let what was published leave, then disconnect."""
        close(self._publisher, linger_ms)
        close(self.socket, linger_ms)
        self._context.term()


def _reach(progress: Progress) -> tuple[int, int]:
    return progress.watermark_ns, progress.now_ns or 0
