"""The machine of a motion-capture stream: frames in, messages out.

Knows: how frames are put into blocks, when a watermark is due, and how a loss is reported.
Refuses to know: files, pace, and what a face does.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np

from affectstream.messages import Gap, Message, Mocap, Progress, StreamClosed, StreamOpened
from affectstream.sources.mocap.formats import MocapLayout
from affectstream.sources.mocap.frames import MocapFrame, MocapLoss
from affectstream.timebase import NS_PER_MS, StampGuard

_log = logging.getLogger(__name__)

BLOCK_NS = 100 * NS_PER_MS
"""Event time of a block."""

_MOST_ROWS = 128  # of a block: their times must fit into the message's header


@dataclass(frozen=True, slots=True)
class MocapPosition:
    """No frame before ``time_ns``, since the start of the recording, will follow."""

    time_ns: int


@dataclass(frozen=True, slots=True)
class MocapFailed:
    """The recording cannot be read on."""

    reason: str


MocapItem = MocapFrame | MocapLoss | MocapPosition | MocapFailed


class MocapStream:
    """Turns what a recording gives into the messages of one stream.

    Args:
        layout: of the frames.
        session, source, speaker: whose stream this is.
        start_ns: event time of the recording's time 0.

    Attributes:
        frames: how many were published.
        lost: kind of loss -> how many.
        failure: why the recording could not be read on; None if it could.
    """

    def __init__(
        self, layout: MocapLayout, *, session: str, source: str, speaker: str, start_ns: int
    ) -> None:
        self.layout = layout
        self.frames = 0
        self.lost: dict[str, int] = {}
        self.failure: str | None = None
        self._session = session
        self._source = source
        self._speaker = speaker
        self._start_ns = start_ns
        self._opened = False
        self._guard = StampGuard()
        self._times_ns: list[int] = []
        self._values: list[bytes] = []
        self._watermark_ns = start_ns
        self._end_ns = start_ns

    def receive(self, message: MocapItem, now_ns: int) -> list[Message]:
        """Take one item of the recording; return the messages that it completes."""
        out = self._open()
        if isinstance(message, MocapFrame):
            out += self._frame(message)
        elif isinstance(message, MocapLoss):
            out += self._flush()
            out.append(self._lost(message))
        elif isinstance(message, MocapPosition):
            out += self._position(self._start_ns + message.time_ns)
        else:
            self.failure = message.reason
            out += self._flush()
            out.append(self._gap("rest of the recording", 1, message.reason))
        return out

    def wake(self, now_ns: int) -> list[Message]:
        """Return ``stream.opened``, once."""
        return self._open()

    def next_wake_ns(self) -> int | None:
        """Return 0 until the stream was opened, then None."""
        return None if self._opened else 0

    def close(self, now_ns: int) -> list[Message]:
        """Return the last block, the last watermark and ``stream.closed``."""
        out = self._open() + self._flush()
        self._watermark_ns = max(self._watermark_ns, self._end_ns)
        out.append(self._progress())
        reason = "failed" if self.failure else "end of the recording"
        out.append(
            StreamClosed(
                session=self._session, source=self._source, reason=reason, end_ns=self._end_ns
            )
        )
        return out

    def _open(self) -> list[Message]:
        if self._opened:
            return []
        self._opened = True
        return [
            StreamOpened(
                session=self._session,
                source=self._source,
                modality="mocap",
                start_ns=self._start_ns,
                speaker=self._speaker,
                channels=self.layout.channels,
                units=self.layout.units,
                nominal_rate_hz=self.layout.rate_hz,
            )
        ]

    def _frame(self, frame: MocapFrame) -> list[Message]:
        out: list[Message] = []
        wanted_ns = self._start_ns + frame.time_ns
        # A frame must not lie before the watermark that was published.
        stamp_ns = self._guard.accept(max(wanted_ns, self._watermark_ns))
        if self._times_ns and (
            stamp_ns >= self._times_ns[0] + BLOCK_NS or len(self._times_ns) >= _MOST_ROWS
        ):
            out += self._flush()
        if stamp_ns != wanted_ns:
            out.append(self._gap("stamp", 1, "time out of order", stamp_ns, stamp_ns))
        self.frames += 1
        self._times_ns.append(stamp_ns)
        self._values.append(np.ascontiguousarray(frame.values, "<f4").tobytes())
        self._end_ns = stamp_ns + 1
        return out

    def _position(self, position_ns: int) -> list[Message]:
        out = self._flush()
        if position_ns > self._watermark_ns:
            self._watermark_ns = position_ns
            out.append(self._progress())
        return out

    def _flush(self) -> list[Message]:
        if not self._times_ns:
            return []
        block = Mocap(
            session=self._session,
            source=self._source,
            layout=self.layout.name,
            speaker=self._speaker,
            rows=len(self._times_ns),
            columns=len(self.layout.channels),
            times_ns=tuple(self._times_ns),
            payload=b"".join(self._values),
        )
        self._times_ns, self._values = [], []
        return [block]

    def _progress(self) -> Message:
        return Progress(session=self._session, source=self._source, watermark_ns=self._watermark_ns)

    def _lost(self, loss: MocapLoss) -> Message:
        start_ns, end_ns = self._start_ns + loss.start_ns, self._start_ns + loss.end_ns
        return self._gap(loss.lost, loss.count, loss.reason, start_ns, end_ns)

    def _gap(
        self,
        lost: str,
        count: int,
        reason: str,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Message:
        self.lost[lost] = self.lost.get(lost, 0) + count
        _log.warning("%s: %d x %s lost: %s", self._source, count, lost, reason)
        return Gap(
            session=self._session,
            source=self._source,
            of=self._source,
            lost=lost,
            count=count,
            reason=reason[:400],
            start_ns=start_ns,
            end_ns=end_ns,
        )
