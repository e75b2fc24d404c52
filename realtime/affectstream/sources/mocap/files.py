"""Files of motion capture, read row by row.

Knows: how a row becomes numbers, and when a file has too many bad rows to be used.
Refuses to know: which columns a format has (``formats``), event time, pace, and what a face does.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import numpy as np

from affectstream.errors import brief
from affectstream.sources.mocap.faces import FaceFollower
from affectstream.sources.mocap.formats import (
    MocapError,
    MocapFormat,
    MocapLayout,
    read_format,
)
from affectstream.sources.mocap.rows import BadRow, MocapRow
from affectstream.sources.text_files import table_number, text_encoding

_LONGEST_LINE = 1 << 16
_ROWS_TO_MEASURE = 100  # for the frame rate, where the format does not say it
_ROWS_TO_JUDGE = 200  # before so many, bad rows do not end the reading
_HIGHEST_RATE_HZ = 10_000.0
UNKNOWN_RATE_HZ = 30.0
"""Frames per second, where a file does not say it and its times do not either: a webcam's."""


class MocapFile:
    """One open file. Iterating yields its rows, without loading the whole file.

    Of an OpenFace file with several faces, the rows of one person are read: of the face that is
    there most often in the first 100 rows, and then of the same person by whatever number.
    Iterating raises ``MocapError`` if more than half of the rows read so far are bad, from the
    200th row on and at the end.

    Attributes:
        layout: what the values are.
        assumed_rate_hz: where all times of the file are the same, the frames per second by which
            its rows get other ones; else None.
        rows, bad_rows: counts of what was read so far.

    Raises:
        MocapError: the file cannot be opened, or its header is of neither format.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self.bad_rows = 0
        self._line = 0
        try:
            # Bytes that are not UTF-8 make a bad row; they do not end the reading.
            encoding = text_encoding(path)
            self._file: TextIO = path.open(encoding=encoding, errors="replace", newline=None)
        except OSError as error:
            raise MocapError(
                f"{path} cannot be opened ({error.strerror}); name a file of motion capture"
            ) from error
        try:
            self._ahead: deque[str] = deque()
            self._format = self._read_header()
            self.layout = self._format.layout
            self.assumed_rate_hz: float | None = None
            self._first_frame = 0
            self._faces: FaceFollower | None = None
            if self._format.face is not None or self.layout.rate_hz == 0.0:
                self._look_ahead()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __iter__(self) -> Iterator[MocapRow | BadRow]:
        first_problem = ""
        while line := self._next_line():
            self._line += 1
            if not line.strip():
                continue
            row = self._parse(line)
            self.rows += 1
            if isinstance(row, BadRow):
                self.bad_rows += 1
                first_problem = first_problem or row.problem
                if self.rows >= _ROWS_TO_JUDGE:
                    self._judge(first_problem)
                yield row
            elif self._faces is None:
                yield self._timed(row)
            else:
                yield from map(self._timed, self._faces.receive(row))
        if self._faces is not None:
            yield from map(self._timed, self._faces.close())
        self._judge(first_problem)

    def _timed(self, row: MocapRow) -> MocapRow:
        if self.assumed_rate_hz is None:
            return row
        return replace(row, time_s=(row.frame - self._first_frame) / self.assumed_rate_hz)

    def _judge(self, first_problem: str) -> None:
        if 2 * self.bad_rows > self.rows:
            raise MocapError(
                f"{self.bad_rows} of {self.rows} rows are bad: {first_problem}; "
                f"copy the file again or leave it out"
            )

    def _next_line(self) -> str:
        if self._ahead:
            return self._ahead.popleft()
        try:
            return self._file.readline(_LONGEST_LINE)
        except OSError as error:
            raise MocapError(
                f"{self.path} cannot be read on after line {self._line} ({error.strerror}); "
                "copy it again"
            ) from error

    def _read_header(self) -> MocapFormat:
        first, second = self._next_line(), self._next_line()
        found = read_format(self.path, first, second)
        self._line = found.header_lines
        if found.header_lines == 1 and second:
            self._ahead.append(second)
        return found

    def _look_ahead(self) -> None:
        """Find the frame rate and the face to follow from the first 100 rows."""
        known, self._ahead = self._ahead, deque()
        while len(known) < _ROWS_TO_MEASURE and (line := self._next_line()):
            known.append(line)
        self._ahead = known
        parsed = [self._parse(line) for line in self._ahead]
        rows = [row for row in parsed if isinstance(row, MocapRow)]
        layout = self._format.layout
        if len(rows) > 1 and len({row.time_s for row in rows}) == 1 and _count_up(rows):
            self.assumed_rate_hz, self._first_frame = UNKNOWN_RATE_HZ, rows[0].frame
        rate_hz = self.assumed_rate_hz or _rate_hz(rows)
        self.layout = MocapLayout(layout.name, layout.channels, layout.units, rate_hz)
        if self._format.face is not None and rows:
            counts = Counter(row.face for row in rows if row.tracked) or Counter((rows[0].face,))
            face = min(counts, key=lambda number: (-counts[number], number))
            self._faces = FaceFollower(layout.channels, face, str(self.path))

    def _parse(self, line: str) -> MocapRow | BadRow:
        form = self._format
        fields = line.rstrip("\r\n").split(form.separator)
        while len(fields) > form.columns and not fields[-1].strip():
            fields.pop()
        if len(fields) != form.columns:
            return self._bad(f"expected {form.columns} columns, found {len(fields)}")
        try:
            face = 0 if form.face is None else int(table_number(fields[form.face]))
            frame, time_s = int(table_number(fields[form.frame])), table_number(fields[form.time])
            tracked = form.success is None or table_number(fields[form.success]) > 0
            with np.errstate(over="ignore"):  # too large for float32 becomes infinite: see below
                values = np.array(list(map(table_number, fields[form.first_value :])), np.float32)
        except (ValueError, OverflowError) as error:
            return self._bad(f"expected numbers, found something else ({brief(error, 60)})")
        if not math.isfinite(time_s) or np.isinf(values).any():
            return self._bad("expected finite numbers, found infinity or no time")
        return MocapRow(self._line, frame, time_s, values, tracked, face=face)

    def _bad(self, problem: str) -> BadRow:
        return BadRow(self._line, f"{self.path}, line {self._line}: {problem}")


def _rate_hz(rows: list[MocapRow]) -> float:
    """Return the frame rate; 0 where the rows do not say it.

    It is measured over all of them because single times may be rounded.
    """
    if not rows or rows[-1].time_s <= rows[0].time_s or rows[-1].frame <= rows[0].frame:
        return 0.0
    span_s, frames = rows[-1].time_s - rows[0].time_s, rows[-1].frame - rows[0].frame
    if frames > _HIGHEST_RATE_HZ * span_s:  # the times or frame numbers are wrong
        return 0.0
    return round(frames / span_s, 1)


def _count_up(rows: list[MocapRow]) -> bool:
    frames = [row.frame for row in rows]
    return frames == sorted(frames) and frames[-1] - frames[0] < _ROWS_TO_MEASURE**2
