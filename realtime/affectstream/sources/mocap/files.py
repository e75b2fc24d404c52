"""Files of motion capture, read row by row.

Knows: how a row becomes numbers, and when a file has too many bad rows to be used.
Refuses to know: which columns a format has (``formats``), event time, pace, and what a face does.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import numpy as np
from numpy.typing import NDArray

from affectstream.errors import brief
from affectstream.sources.mocap.formats import (
    MocapError,
    MocapFormat,
    MocapLayout,
    read_format,
)

_LONGEST_LINE = 1 << 16
_ROWS_TO_MEASURE = 100  # for the frame rate, where the format does not say it
_ROWS_TO_JUDGE = 200  # before so many, bad rows do not end the reading
_HIGHEST_RATE_HZ = 10_000.0


@dataclass(frozen=True, slots=True)
class MocapRow:
    """One frame as the file has it.

    Attributes:
        line: number of the line, from 1.
        frame: the file's own frame number.
        time_s: the file's own time.
        values: float32, shape (channels,); NaN where the tracker lost a coordinate.
        tracked: False where the tracker says that it failed in this frame.
        missing: names of the joined files that lack this frame; their values are NaN.
    """

    line: int
    frame: int
    time_s: float
    values: NDArray[np.float32]
    tracked: bool = True
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read; ``problem`` says why and names file and line."""

    line: int
    problem: str


class MocapFile:
    """One open file. Iterating yields its rows, without loading the whole file.

    Of an OpenFace file with several faces, the rows of face 0 are read. Iterating raises
    ``MocapError`` if more than half of the rows read so far are bad, from the 200th row on and at
    the end.

    Attributes:
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
            self._file: TextIO = path.open(encoding="utf-8", errors="replace", newline=None)
        except OSError as error:
            raise MocapError(
                f"{path} cannot be opened ({error.strerror}); name a file of motion capture"
            ) from error
        try:
            self._ahead: deque[str] = deque()
            self._format = self._read_header()
            self.layout = self._format.layout
            if self.layout.rate_hz == 0.0:
                self.layout = self._with_measured_rate()
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
            if row is None:
                continue
            self.rows += 1
            if isinstance(row, BadRow):
                self.bad_rows += 1
                first_problem = first_problem or row.problem
                if self.rows >= _ROWS_TO_JUDGE:
                    self._judge(first_problem)
            yield row
        self._judge(first_problem)

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

    def _with_measured_rate(self) -> MocapLayout:
        """Return the layout with the frame rate of the first 100 rows.

        It is measured over all of them because single times may be rounded.
        """
        known, self._ahead = self._ahead, deque()
        while len(known) < _ROWS_TO_MEASURE and (line := self._next_line()):
            known.append(line)
        self._ahead = known
        parsed = [self._parse(line) for line in self._ahead]
        rows = [row for row in parsed if isinstance(row, MocapRow)]
        rate_hz = 0.0
        if rows and rows[-1].time_s > rows[0].time_s and rows[-1].frame > rows[0].frame:
            span_s = rows[-1].time_s - rows[0].time_s
            frames = rows[-1].frame - rows[0].frame
            if frames <= _HIGHEST_RATE_HZ * span_s:  # else the times or frame numbers are wrong
                rate_hz = round(frames / span_s, 1)
        layout = self._format.layout
        return MocapLayout(layout.name, layout.channels, layout.units, rate_hz)

    def _parse(self, line: str) -> MocapRow | BadRow | None:
        """Return the row; None for one of another face than face 0."""
        form = self._format
        fields = line.split(form.separator)
        if len(fields) != form.columns:
            return self._bad(f"expected {form.columns} columns, found {len(fields)}")
        try:
            if form.face is not None and int(float(fields[form.face])) != 0:
                return None
            frame, time_s = int(float(fields[form.frame])), float(fields[form.time])
            tracked = form.success is None or float(fields[form.success]) > 0
            with np.errstate(over="ignore"):  # too large for float32 becomes infinite: see below
                values = np.array([float(f) for f in fields[form.first_value :]], np.float32)
        except (ValueError, OverflowError) as error:
            return self._bad(f"expected numbers, found something else ({brief(error, 60)})")
        if not math.isfinite(time_s) or np.isinf(values).any():
            return self._bad("expected finite numbers, found infinity or no time")
        return MocapRow(self._line, frame, time_s, values, tracked)

    def _bad(self, problem: str) -> BadRow:
        return BadRow(self._line, f"{self.path}, line {self._line}: {problem}")
