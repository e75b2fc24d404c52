"""Turns rows of motion capture into frames on one timeline, and reports what was lost.

Knows: how to check a frame's number against its time, and how files of one recording are joined.
Refuses to know: files' formats, pace, and the bus.

Both a frame's number and its time say where it lies. Where the two agree, a jump means that frames
are missing. Where they disagree, the one that fits the frame before is used, so that one wrong time
neither stops the stream nor moves all later frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectstream.sources.mocap.files import UNKNOWN_RATE_HZ, MocapFile
from affectstream.sources.mocap.formats import MocapError, MocapLayout
from affectstream.sources.mocap.rows import BadRow, MocapRow
from affectstream.timebase import NS_PER_S, seconds_to_ns

_TOLERANCE_NS = NS_PER_S
"""How far a frame's time may lie from where its number puts it."""

LONGEST_RECORDING_S = 21_600.0
"""Later times count as wrong; a replay would wait for them for hours."""


@dataclass(frozen=True, slots=True)
class MocapFrame:
    """One frame on the timeline.

    Attributes:
        time_ns: since the start of the recording, strictly increasing.
        values: float32, shape (channels,); NaN where the tracker lost a coordinate.
    """

    time_ns: int
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MocapLoss:
    """Frames that are missing, or times that were corrected.

    Attributes:
        lost: ``frame``; or ``stamp``, where a frame's time or number was unusable and the frame was
            placed by the other; or the name of the joined file that lacks frames.
        count: how many.
        start_ns, end_ns: since the start of the recording.
    """

    lost: str
    count: int
    reason: str
    start_ns: int
    end_ns: int


@dataclass(slots=True)
class _Tally:
    """A loss that is still going on; ``touched`` says whether the latest frame added to it."""

    count: int = 0
    start_ns: int = 0
    end_ns: int = 0
    touched: bool = True


@dataclass(slots=True)
class _Losses:
    """Adds up losses of one kind until a frame is without it, or a second's worth is reached."""

    limit: int
    tallies: dict[tuple[str, str], _Tally] = field(default_factory=dict)

    def add(self, lost: str, reason: str, count: int, start_ns: int, end_ns: int) -> None:
        if count <= 0:
            return
        tally = self.tallies.setdefault((lost, reason), _Tally(start_ns=start_ns))
        tally.count += count
        tally.end_ns = max(tally.end_ns, end_ns, tally.start_ns)
        tally.touched = True

    def settled(self, everything: bool = False) -> list[MocapLoss]:
        done = [
            key
            for key, tally in self.tallies.items()
            if everything or not tally.touched or tally.count >= self.limit
        ]
        losses = []
        for key in done:
            tally = self.tallies.pop(key)
            losses.append(MocapLoss(*_pair(key, tally), tally.start_ns, tally.end_ns))
        for tally in self.tallies.values():
            tally.touched = False
        return losses


def _pair(key: tuple[str, str], tally: _Tally) -> tuple[str, int, str]:
    lost, reason = key
    return lost, tally.count, reason


class MocapTimeline:
    """Places rows on the timeline: rows in, frames and losses out.

    Args:
        rate_hz: frames per second; 0 is unknown.
    """

    def __init__(self, rate_hz: float) -> None:
        self._period_ns = round(NS_PER_S / (rate_hz or UNKNOWN_RATE_HZ))
        self._losses = _Losses(limit=max(1, round(rate_hz or UNKNOWN_RATE_HZ)))
        self._frame: int | None = None
        self._raw_ns = 0
        self._stamp_ns = 0
        self._bad_rows = 0

    def receive(self, row: MocapRow | BadRow) -> list[MocapFrame | MocapLoss]:
        """Return the frame of ``row``, if it has one, after the losses that ended before it."""
        if isinstance(row, BadRow):
            self._bad_rows += 1
            return []
        stamp_ns, missing = self._place(row)
        before_ns = self._stamp_ns + self._period_ns if self._frame is not None else 0
        malformed, self._bad_rows = self._bad_rows, 0
        self._losses.add("frame", "malformed row", malformed, before_ns, stamp_ns)
        self._losses.add("frame", "not in the file", missing - malformed, before_ns, stamp_ns)
        after_ns = stamp_ns + self._period_ns
        if not row.tracked:
            self._losses.add("frame", "tracking failed", 1, stamp_ns, after_ns)
        for name in row.missing:
            self._losses.add(name, "no such frame", 1, stamp_ns, after_ns)
        self._frame, self._raw_ns, self._stamp_ns = row.frame, _nanoseconds(row), stamp_ns
        out: list[MocapFrame | MocapLoss] = [*self._losses.settled()]
        if row.tracked:
            out.append(MocapFrame(stamp_ns, row.values))
        return out

    def close(self) -> list[MocapLoss]:
        """Return the losses that have not been returned yet."""
        end_ns = self._stamp_ns + self._period_ns
        self._losses.add("frame", "malformed row", self._bad_rows, self._stamp_ns, end_ns)
        self._bad_rows = 0
        return self._losses.settled(everything=True)

    def _place(self, row: MocapRow) -> tuple[int, int]:
        """Return the row's stamp and how many frames are missing before it."""
        raw_ns = _nanoseconds(row)
        if self._frame is None:
            return max(0, raw_ns), 0
        jump = row.frame - self._frame
        since_ns = raw_ns - self._stamp_ns
        if since_ns > 0 and jump > 0 and abs(since_ns - jump * self._period_ns) <= _TOLERANCE_NS:
            return raw_ns, jump - 1
        if 0 < since_ns <= _TOLERANCE_NS:
            self._losses.add("stamp", "frame number out of order", 1, raw_ns, raw_ns)
            return raw_ns, max(0, round(since_ns / self._period_ns) - 1)
        if since_ns > 0 and 0 < raw_ns - self._raw_ns <= _TOLERANCE_NS:
            return raw_ns, 0  # two rows agree on a new time: the clock was set
        step = jump if 0 < jump * self._period_ns <= _TOLERANCE_NS else 1
        stamp_ns = self._stamp_ns + step * self._period_ns
        self._losses.add("stamp", "time out of order", 1, stamp_ns, stamp_ns)
        return stamp_ns, step - 1


def _nanoseconds(row: MocapRow) -> int:
    """Return the row's time; -1 where it is too late to be true."""
    return seconds_to_ns(row.time_s) if abs(row.time_s) <= LONGEST_RECORDING_S else -1


class MocapRecording:
    """One file, or several files of the same recording side by side.

    Rows with the same frame number are joined. Where a file lacks a frame, its values are NaN.

    Attributes:
        layout: of the joined columns.

    Raises:
        MocapError: there is no file, one cannot be read, or the files do not belong together.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise MocapError("no file of motion capture was named; name at least one")
        self._files: list[MocapFile] = []
        try:
            for path in paths:
                self._files.append(MocapFile(path))
            self.layout = _joined([file.layout for file in self._files])
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the files."""
        for file in self._files:
            file.close()

    def rows(self) -> Iterator[MocapRow | BadRow]:
        """Yield the joined rows.

        Raises:
            MocapError: most rows of a file are bad, or it cannot be read on.
        """
        if len(self._files) == 1:
            return iter(self._files[0])
        return _join([(file.layout, iter(file)) for file in self._files])

    def frames(self) -> Iterator[MocapFrame | MocapLoss]:
        """Yield the frames on one timeline, and what was lost.

        Raises:
            MocapError: as for ``rows``.
        """
        for file in self._files:
            if file.assumed_rate_hz is not None:
                reason = f"no times in the file, {file.assumed_rate_hz:g} frames a second assumed"
                yield MocapLoss("stamp", 1, reason, 0, 0)
        timeline = MocapTimeline(self.layout.rate_hz)
        for row in self.rows():
            yield from timeline.receive(row)
        yield from timeline.close()


def _joined(layouts: list[MocapLayout]) -> MocapLayout:
    if len(layouts) == 1:
        return layouts[0]
    names = [layout.name for layout in layouts]
    if len({layout.rate_hz for layout in layouts}) > 1 or len(set(names)) < len(names):
        raise MocapError(
            f"files of {', '.join(names)} cannot be joined; name one recording's "
            "rotated, hand and head files"
        )
    return MocapLayout(
        names[0] + "".join("+" + name.rpartition(".")[2] for name in names[1:]),
        tuple(channel for layout in layouts for channel in layout.channels),
        tuple(unit for layout in layouts for unit in layout.units),
        layouts[0].rate_hz,
    )


def _join(
    parts: list[tuple[MocapLayout, Iterator[MocapRow | BadRow]]],
) -> Iterator[MocapRow | BadRow]:
    heads: list[MocapRow | None] = [None] * len(parts)
    ended = [False] * len(parts)
    while True:
        for index, (_, rows) in enumerate(parts):
            while heads[index] is None and not ended[index]:
                row = next(rows, None)
                if isinstance(row, BadRow):
                    yield row
                    continue
                heads[index], ended[index] = row, row is None
        waiting = [row for row in heads if row is not None]
        if not waiting:
            return
        frame = min(row.frame for row in waiting)
        chosen = [row if row is not None and row.frame == frame else None for row in heads]
        yield _side_by_side(chosen, [layout for layout, _ in parts])
        heads = [
            None if taken is not None else row for row, taken in zip(heads, chosen, strict=True)
        ]


def _side_by_side(rows: Iterable[MocapRow | None], layouts: list[MocapLayout]) -> MocapRow:
    values, missing, first = [], [], None
    for row, layout in zip(rows, layouts, strict=True):
        if row is None:
            values.append(np.full(len(layout.channels), np.nan, np.float32))
            missing.append(layout.name)
            continue
        first = first or row
        values.append(row.values)
    assert first is not None
    return MocapRow(
        first.line,
        first.frame,
        first.time_s,
        np.concatenate(values),
        first.tracked,
        tuple(missing),
    )
