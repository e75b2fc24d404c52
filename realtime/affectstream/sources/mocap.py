"""A recording of motion capture, played as a stream.

Knows: the messages of a mocap stream, and the pace at which a recording is played.
Refuses to know: files' formats, and what a face does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from affectstream.core.pacing import Pacer
from affectstream.messages import Gap, Message, Mocap, Progress, StreamClosed, StreamOpened
from affectstream.sources.mocap_files import MocapError, MocapLayout
from affectstream.sources.mocap_frames import MocapFrame, MocapLoss, MocapRecording
from affectstream.timebase import NS_PER_MS, NS_PER_S, StampGuard

logger = logging.getLogger(__name__)

BLOCK_NS = 100 * NS_PER_MS
"""How much event time a block spans."""
_MOST_ROWS = 128  # a block of a very fast tracker is split: its times travel in the header
_MOST_PER_READ_NS = NS_PER_S


@dataclass(frozen=True, slots=True)
class MocapPosition:
    """The recording was played up to here: no frame before ``time_ns`` will come any more."""

    time_ns: int


@dataclass(frozen=True, slots=True)
class MocapFailed:
    """The recording cannot be read on."""

    reason: str


MocapItem = MocapFrame | MocapLoss | MocapPosition | MocapFailed


class MocapStream:
    """The machine: frames, losses and positions in, messages out.

    Args:
        start_ns: event time of the recording's time 0.
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
        """Take one item of the recording in."""
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
        """Say that the stream began, once."""
        return self._open()

    def next_wake_ns(self) -> int | None:
        """Return 0 until the stream was opened."""
        return None if self._opened else 0

    def close(self, now_ns: int) -> list[Message]:
        """Send the last block and say that the stream ended."""
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
        # A frame may not lie before the watermark that was already given.
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
        logger.warning("%s: %d x %s lost: %s", self._source, count, lost, reason)
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


class MocapReplay:
    """The input: a recording's frames at their own pace, or ``speed`` times it.

    It is anchored at the first read: the recording's time 0 is played then.
    """

    def __init__(self, recording: MocapRecording, speed: float = 1.0) -> None:
        self._recording = recording
        self._items: Iterator[MocapFrame | MocapLoss] = recording.frames()
        self._next: MocapFrame | MocapLoss | None = None
        self._pacer = Pacer(speed)
        self._started = False
        self._position_ns = 0
        self._ended = False

    @property
    def exhausted(self) -> bool:
        """Whether the recording is over."""
        return self._ended

    def fileno(self) -> int:
        """Return -1: when to read is said by ``next_read_ns``."""
        return -1

    def next_read_ns(self) -> int | None:
        """Return when the next block is complete."""
        if self._ended:
            return None
        return self._pacer.due_ns(self._position_ns + BLOCK_NS) if self._started else 0

    def read(self, now_ns: int) -> list[MocapItem]:
        """Return what was played until ``now_ns``, at most a second of it at once."""
        if not self._started:
            self._pacer.start(0, now_ns)
            self._started = True
        out: list[MocapItem] = []
        last_ns = self._position_ns + _MOST_PER_READ_NS
        while not self._ended and self._position_ns < last_ns:
            until_ns = self._position_ns + BLOCK_NS
            if self._pacer.due_ns(until_ns) > now_ns:
                break
            out += self._take(until_ns)
            self._position_ns = until_ns
            if not self._ended:
                out.append(MocapPosition(until_ns))
        return out

    def close(self) -> None:
        """Close the recording's files."""
        self._recording.close()

    def _take(self, until_ns: int) -> list[MocapItem]:
        out: list[MocapItem] = []
        try:
            while True:
                if self._next is None:
                    self._next = next(self._items, None)
                if self._next is None:
                    self._ended = True
                    return out
                if isinstance(self._next, MocapFrame) and self._next.time_ns >= until_ns:
                    return out
                out.append(self._next)
                self._next = None
        except MocapError as error:
            self._ended = True
            return [*out, MocapFailed(str(error))]


def run_mocap(
    paths: Path | Sequence[Path],
    *,
    speaker: str,
    session: str,
    address: str,
    start_ns: int = 0,
    speed: float = 1.0,
    stopping: Callable[[], bool] = lambda: False,
    source: str | None = None,
) -> MocapStream:
    """Play a recording as the stream ``face.{speaker}`` until its end or ``stopping()``.

    Args:
        paths: one file, or the rotated, hand and head files of one recording.
        start_ns: event time of the recording's time 0.
        speed: times the recording's own pace; ``math.inf`` for as fast as it can be read.

    Returns:
        The machine, with its counts (``frames``, ``lost``).

    Raises:
        MocapError: a file cannot be read, or more than half of its rows are bad; the stream was
            closed properly before.
    """
    from affectstream.runner import run

    recording = MocapRecording([paths] if isinstance(paths, Path) else list(paths))
    machine = MocapStream(
        recording.layout,
        session=session,
        source=source or f"face.{speaker}",
        speaker=speaker,
        start_ns=start_ns,
    )
    try:
        run(machine, address=address, inputs=[MocapReplay(recording, speed)], stopping=stopping)
    finally:
        recording.close()
    if machine.failure is not None:
        raise MocapError(machine.failure)
    return machine
