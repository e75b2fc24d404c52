"""How far each stream of a dialogue has come.

Knows: every open stream's watermark, and which streams have fallen silent.
Refuses to know: what the streams carry.

A watermark is a promise: nothing of this stream that ends at or before it is still to come. The
dialogue's watermark is the lowest of its open streams. A stream that has sent nothing for
``stall_ns`` of processing time is not waited for until it sends again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from affectstream.core.dialogue.snapshot import StreamSnapshot, WatermarksSnapshot
from affectstream.timebase import NS_PER_S

STALL_NS = 3 * NS_PER_S
MAX_STREAMS = 256
"""Streams of one dialogue that are followed at once."""


@dataclass(slots=True)
class _Stream:
    watermark_ns: int
    heard_ns: int
    stalled: bool = False


class Watermarks:
    """The open streams of one dialogue and their promises.

    Args:
        stall_ns: after so long without a message a stream is not waited for; None in a dialogue
            whose clock a stream drives: there the node cannot tell how long that is.
    """

    def __init__(self, stall_ns: int | None = STALL_NS) -> None:
        self.stall_ns = stall_ns
        self._streams: dict[str, _Stream] = {}

    def open(self, source: str, start_ns: int, now_ns: int) -> bool:
        """A stream begins; it promises nothing yet but what lies before its start.

        One that is open already keeps what it has promised. Returns whether it is followed: not
        where ``MAX_STREAMS`` others are.
        """
        known = self._streams.get(source)
        if known is None and len(self._streams) >= MAX_STREAMS:
            return False
        promised_ns = start_ns - 1 if known is None else max(start_ns - 1, known.watermark_ns)
        self._streams[source] = _Stream(promised_ns, now_ns)
        return True

    def close(self, source: str) -> None:
        """A stream ended and need not be waited for."""
        self._streams.pop(source, None)

    def hear(self, source: str, now_ns: int) -> None:
        """Any message shows that the stream lives."""
        if stream := self._streams.get(source):
            stream.heard_ns, stream.stalled = now_ns, False

    def advance(self, source: str, watermark_ns: int) -> None:
        """Take a promise; one that goes back is ignored, for a promise holds."""
        if stream := self._streams.get(source):
            stream.watermark_ns = max(stream.watermark_ns, watermark_ns)

    def passed(self, instant_ns: int) -> bool:
        """Return whether every stream that is waited for has passed ``instant_ns``."""
        return all(s.watermark_ns >= instant_ns for s in self._streams.values() if not s.stalled)

    def stall(self, now_ns: int) -> list[str]:
        """Return the streams that have just been found silent."""
        if self.stall_ns is None:
            return []
        found = []
        for source, stream in self._streams.items():
            if not stream.stalled and now_ns - stream.heard_ns >= self.stall_ns:
                stream.stalled = True
                found.append(source)
        return found

    def next_stall_ns(self) -> int | None:
        """Return when the next stream would be found silent."""
        if self.stall_ns is None:
            return None
        due = [s.heard_ns + self.stall_ns for s in self._streams.values() if not s.stalled]
        return min(due, default=None)

    def silent(self, source: str, since_ns: int, now_ns: int, limit_ns: int) -> bool:
        """Return whether a stream has sent nothing for ``limit_ns``.

        One that is not followed was last heard at ``since_ns``. Where a stream drives the clock,
        nobody is silent.
        """
        if self.stall_ns is None:
            return False
        stream = self._streams.get(source)
        return now_ns - (since_ns if stream is None else stream.heard_ns) >= limit_ns

    def silent_at_ns(self, source: str, limit_ns: int) -> int | None:
        """Return when a stream that is followed will have been silent for ``limit_ns``."""
        stream = self._streams.get(source)
        return None if stream is None or self.stall_ns is None else stream.heard_ns + limit_ns

    @property
    def lowest_ns(self) -> int | None:
        """The dialogue's watermark; None without a stream to wait for."""
        return min((s.watermark_ns for s in self._streams.values() if not s.stalled), default=None)

    def __contains__(self, source: str) -> bool:
        return source in self._streams

    def __len__(self) -> int:
        return len(self._streams)

    def snapshot(self) -> WatermarksSnapshot:
        """Return them as a journal keeps them."""
        streams = [
            StreamSnapshot(source, s.watermark_ns, s.heard_ns, s.stalled)
            for source, s in self._streams.items()
        ]
        return WatermarksSnapshot(self.stall_ns, streams)

    @classmethod
    def restored(cls, kept: WatermarksSnapshot) -> Self:
        """Return the watermarks that ``snapshot`` was taken of."""
        watermarks = cls(kept.stall_ns)
        watermarks._streams = {
            s.source: _Stream(s.watermark_ns, s.heard_ns, s.stalled) for s in kept.streams
        }
        return watermarks
