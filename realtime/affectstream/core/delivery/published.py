"""The streams that an outlet publishes: numbers, heads, and heartbeats.

Knows: how messages are numbered, what a heartbeat vouches for, and when one is due.
Refuses to know: sockets, who reads, and where messages are kept (``retention``).

A *head* is how many messages of one kind a stream has published. A *heartbeat* is the stream's last
watermark, published again with the heads of all its kinds: by it a reader learns that it has missed
a stream's last message.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from affectstream.core.delivery.retention import Recalled, matches
from affectstream.messages import Message, Progress, StreamClosed, StreamOpened
from affectstream.timebase import NS_PER_MS

HEARTBEAT_NS = 500 * NS_PER_MS
"""An open stream that says nothing is heard from at least so often."""

FIRST_BEAT_AFTER_CLOSE_NS = 50 * NS_PER_MS
"""The second heartbeat of a closed stream comes so long after the first, which comes at once.

Each later one comes after twice as long.
"""

BEATS_AFTER_CLOSE = 10
"""Heartbeats of a closed stream, within 50 s in all."""

MAX_CLOSED_STREAMS = 4_096
"""Closed streams whose numbers are remembered."""

_Key = tuple[str, str]
"""Session and source."""


@dataclass(slots=True)
class _PublishedStream:
    """One stream.

    Attributes:
        heads: kind -> how many messages were published.
        progress: its last watermark.
        beat_ns: when its next heartbeat is due; None where none will come.
        beats_left: heartbeats that are still to come; None while it is open.
    """

    heads: dict[str, int]
    progress: Progress
    beat_ns: int | None
    beats_left: int | None = None

    def plan_beat(self, now_ns: int) -> None:
        """Plan the next heartbeat: one was just published."""
        self.beat_ns = now_ns + HEARTBEAT_NS
        if self.beats_left is not None:
            doublings = BEATS_AFTER_CLOSE - self.beats_left
            self.beat_ns = now_ns + (FIRST_BEAT_AFTER_CLOSE_NS << doublings)
            self.beats_left -= 1
            if self.beats_left <= 0:
                self.beats_left, self.beat_ns = 0, None

    def vouched(self) -> dict[str, int]:
        """Return the heads that a heartbeat vouches for: all but its own."""
        return {kind: count for kind, count in self.heads.items() if kind != "progress"}


class PublishedStreams:
    """Numbers what an outlet publishes, and plans each stream's heartbeats.

    Args:
        epoch: the outlet's.
        recalled: what an outlet of this epoch has published before.
        regenerated: what is published begins again where that outlet began, as when a file is
            played; see ``was_sent``.
        now_ns: processing time.
    """

    def __init__(self, epoch: int, recalled: Recalled, *, regenerated: bool, now_ns: int) -> None:
        self._epoch = epoch
        self._streams: dict[_Key, _PublishedStream] = {}
        self._closed: deque[_Key] = deque()
        self._no_beat_before_ns: int | None = None  # so that not every wake looks at all streams
        self._recalled_heads: dict[_Key, dict[str, int]] = {}
        self._to_come_again: dict[str, int] = {}  # topic -> messages
        for topic, head in recalled.heads.items():
            kind, session, source = topic.split("/")
            self._recalled_heads.setdefault((session, source), {})[kind] = head
            if regenerated and kind != "progress":
                self._to_come_again[topic] = head
        for message in recalled.messages:
            key = _key(message)
            stream = self._streams[key] = self._stream(key, now_ns)
            self._plan(key, stream, message, now_ns)

    def __len__(self) -> int:
        return len(self._streams)

    def was_sent(self, message: Message) -> bool:
        """Return whether the outlet before this one has sent a regenerated message.

        Of watermarks: whether it has sent one that promised as much.
        """
        if isinstance(message, Progress):
            stream = self._streams.get(_key(message))
            return stream is not None and _reach(message) <= _reach(stream.progress)
        left = self._to_come_again.get(message.topic, 0)
        if left:
            self._to_come_again[message.topic] = left - 1
        return left > 0

    def numbered(self, message: Message, now_ns: int) -> Message:
        """Return a message as it is to be sent: with epoch, number, time, and a watermark's heads.

        Its number is given again unless ``note`` is told that it is sent.
        """
        stream = self._stream(_key(message), now_ns)
        if isinstance(message, Progress):
            message = msgspec.structs.replace(message, heads=stream.vouched())
        seq = stream.heads.get(message.kind, 0)
        return msgspec.structs.replace(message, epoch=self._epoch, seq=seq, sent_ns=now_ns)

    def note(self, message: Message, now_ns: int) -> None:
        """Count a numbered message that is about to be sent, and plan the next heartbeat."""
        key = _key(message)
        stream = self._streams[key] = self._stream(key, now_ns)
        stream.heads[message.kind] = message.seq + 1
        self._plan(key, stream, message, now_ns)

    def heads(self, prefixes: Sequence[str]) -> dict[str, int]:
        """Return topic -> how many messages were published, of the topics under ``prefixes``."""
        return {
            topic: count
            for (session, source), stream in self._streams.items()
            for kind, count in stream.heads.items()
            if matches(topic := f"{kind}/{session}/{source}", prefixes)
        }

    def next_beat_ns(self) -> int | None:
        """Return when the next heartbeat may be due; never later than it is."""
        return self._no_beat_before_ns

    def due_beats(self, now_ns: int) -> list[Progress]:
        """Return the heartbeats that are due, to be numbered and sent."""
        if self._no_beat_before_ns is None or now_ns < self._no_beat_before_ns:
            return []
        beats = [(s.beat_ns, s.progress) for s in self._streams.values() if s.beat_ns is not None]
        self._no_beat_before_ns = min((at for at, _ in beats if at > now_ns), default=None)
        return [beat for at, beat in beats if at <= now_ns]

    def _stream(self, key: _Key, now_ns: int) -> _PublishedStream:
        """Return what is known of a stream, perhaps of one that nothing was published of yet."""
        session, source = key
        return self._streams.get(key) or _PublishedStream(
            heads=dict(self._recalled_heads.get(key, {})),
            progress=Progress(session=session, source=source, watermark_ns=0),
            beat_ns=now_ns + HEARTBEAT_NS,
        )

    def _plan(self, key: _Key, stream: _PublishedStream, message: Message, now_ns: int) -> None:
        """Plan the stream's next heartbeat."""
        if isinstance(message, Progress):
            stream.progress = message
            stream.plan_beat(now_ns)
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

    def _forget(self, key: _Key) -> None:
        stream = self._streams.get(key)
        if stream is not None and stream.beats_left is not None:  # not opened again since
            del self._streams[key]


def _key(message: Message) -> _Key:
    return message.session, message.source


def _reach(progress: Progress) -> tuple[int, int]:
    return progress.watermark_ns, progress.now_ns or 0
