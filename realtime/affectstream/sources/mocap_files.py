"""Files of motion capture, read row by row.

Knows: IEMOCAP's files of face markers, hand markers and head motion, and OpenFace's csv.
Refuses to know: event time, pace, and what a face does.

IEMOCAP's files have a line of names (``Frame# Time CH1 CH2 ...``, one name per marker), a line of
axes (``X Y Z X Y Z ...``) and then rows of numbers separated by spaces, at 120 frames a second.
OpenFace's have one line of names (``frame, timestamp, confidence, success, ...``) and rows
separated by commas; a row whose ``success`` is 0 holds guesses.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

import numpy as np
from numpy.typing import NDArray

from affectstream.sources.errors import SourceError

IEMOCAP_RATE_HZ = 120.0
_LONGEST_LINE = 1 << 16
_ROWS_TO_MEASURE = 100
_ROWS_TO_JUDGE = 200
_AXES = ("x", "y", "z")
_HEAD = ("pitch", "roll", "yaw", "tra_x", "tra_y", "tra_z")
_OPENFACE_KEYS = ("frame", "face_id", "timestamp", "confidence", "success")


class MocapError(SourceError):
    """A file of motion capture that cannot be read, said in one sentence with a remedy."""


@dataclass(frozen=True, slots=True)
class MocapLayout:
    """What a file's columns are.

    Attributes:
        name: ``iemocap.rotated``, ``iemocap.hand``, ``iemocap.head`` or ``openface``; of several
            files joined, such as ``iemocap.rotated+hand+head``.
        channels, units: one per column.
        rate_hz: frames per second.
    """

    name: str
    channels: tuple[str, ...]
    units: tuple[str, ...]
    rate_hz: float


@dataclass(frozen=True, slots=True)
class MocapRow:
    """One frame as the file has it.

    Attributes:
        line: counted from 1.
        frame: the file's own frame number.
        time_s: the file's own time.
        values: float32, shape (channels,); NaN where the tracker lost a coordinate.
        tracked: false where the tracker says that the frame failed.
        missing: of files joined, those that lack this frame; their values are NaN.
    """

    line: int
    frame: int
    time_s: float
    values: NDArray[np.float32]
    tracked: bool = True
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is none; ``problem`` is one sentence that names file and line."""

    line: int
    problem: str


@dataclass(frozen=True, slots=True)
class _Format:
    """How one file's rows are split: where the frame, time, success and values are."""

    layout: MocapLayout
    separator: str | None
    columns: int
    frame: int
    time: int
    first_value: int
    success: int | None = None
    face: int | None = None
    header_lines: int = 2


class MocapFile:
    """One open file; iterating yields its rows. It is never held in memory as a whole.

    Iterating raises ``MocapError`` once more than half of the rows read so far are bad (looked at
    from the 200th row on, and at the end).

    Args:
        path: the file.
        face: which face of an OpenFace file that has several.

    Raises:
        MocapError: the file cannot be opened, or its header is neither format's.
    """

    def __init__(self, path: Path, face: int = 0) -> None:
        self.path = path
        self.rows = 0
        self.bad_rows = 0
        self._face = face
        self._line = 0
        try:
            # Undecodable bytes become a bad row instead of ending the stream.
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

    def _read_header(self) -> _Format:
        first, second = self._next_line(), self._next_line()
        if "," in first:
            if second:
                self._ahead.append(second)
            found = _openface_format(self.path, first)
        else:
            found = _iemocap_format(self.path, first)
            if _is_number(second.split()[0] if second.split() else ""):
                self._ahead.append(second)  # a copy without the line of axes
                self._line = 1
                return found
        self._line = found.header_lines
        return found

    def _with_measured_rate(self) -> MocapLayout:
        """Return the layout with the rate of the first rows, whose times may be rounded."""
        while len(self._ahead) < _ROWS_TO_MEASURE and (line := self._file.readline(_LONGEST_LINE)):
            self._ahead.append(line)
        parsed = [self._parse(line) for line in self._ahead]
        rows = [row for row in parsed if isinstance(row, MocapRow)]
        rate_hz = 0.0
        if rows and rows[-1].time_s > rows[0].time_s and rows[-1].frame > rows[0].frame:
            span_s = rows[-1].time_s - rows[0].time_s
            rate_hz = round((rows[-1].frame - rows[0].frame) / span_s, 1)
        layout = self._format.layout
        return MocapLayout(layout.name, layout.channels, layout.units, rate_hz)

    def _parse(self, line: str) -> MocapRow | BadRow | None:
        """Return the row, or None for a row of another face."""
        form = self._format
        fields = line.split(form.separator)
        if len(fields) != form.columns:
            return self._bad(f"expected {form.columns} columns, found {len(fields)}")
        try:
            if form.face is not None and int(float(fields[form.face])) != self._face:
                return None
            frame, time_s = int(float(fields[form.frame])), float(fields[form.time])
            tracked = form.success is None or float(fields[form.success]) > 0
            values = np.array([float(field) for field in fields[form.first_value :]], np.float32)
        except (ValueError, OverflowError) as error:
            return self._bad(f"expected numbers, found something else ({error})")
        if not math.isfinite(time_s) or np.isinf(values).any():
            return self._bad("expected finite numbers, found infinity or no time")
        return MocapRow(self._line, frame, time_s, values, tracked)

    def _bad(self, problem: str) -> BadRow:
        return BadRow(self._line, f"{self.path}, line {self._line}: {problem}")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _iemocap_format(path: Path, header: str) -> _Format:
    names = header.split()
    if len(names) < 3 or not names[0].lower().startswith("frame") or names[1].lower() != "time":
        raise MocapError(
            f"{path}, line 1: expected IEMOCAP's 'Frame# Time ...' or OpenFace's "
            f"'frame,timestamp,...', found {header[:60].strip()!r}; name a file of motion capture"
        )
    markers = names[2:]
    for kind, count, channels, units in (
        ("head", 6, _head_channels, ("as recorded",) * 6),
        ("rotated", 55, _marker_channels, ("mm",) * 165),
        ("hand", 6, _marker_channels, ("mm",) * 18),
    ):
        width = len(units)
        if kind == "head" and "pitch" not in (name.lower() for name in markers):
            continue
        if len(markers) in (count, width):
            layout = MocapLayout(
                f"iemocap.{kind}", channels(markers, width), units, IEMOCAP_RATE_HZ
            )
            return _Format(layout, None, width + 2, frame=0, time=1, first_value=2)
    raise MocapError(
        f"{path}, line 1: expected 55 markers (rotated), 6 (hand) or 6 angles and shifts (head), "
        f"found {len(markers)} names; copy the file again"
    )


def _head_channels(markers: list[str], width: int) -> tuple[str, ...]:
    return tuple(name.lower() for name in markers[:width])


def _marker_channels(markers: list[str], width: int) -> tuple[str, ...]:
    if len(markers) == width:
        markers = markers[::3]
    return tuple(f"{marker}.{axis}" for marker in markers for axis in _AXES)


def _openface_format(path: Path, header: str) -> _Format:
    names = [name.strip() for name in header.split(",")]
    for needed in ("frame", "timestamp", "success"):
        if needed not in names:
            raise MocapError(
                f"{path}, line 1: expected OpenFace's columns frame, timestamp and success, "
                f"found no {needed!r}; export the file again with OpenFace's FeatureExtraction"
            )
    first_value = 1 + max(names.index(key) for key in _OPENFACE_KEYS if key in names)
    channels = tuple(names[first_value:])
    if not channels:
        raise MocapError(
            f"{path}, line 1: expected columns of values after {names[-1]!r}, found none; "
            "export the file again with action units"
        )
    layout = MocapLayout("openface", channels, tuple(map(_openface_unit, channels)), 0.0)
    return _Format(
        layout,
        ",",
        len(names),
        frame=names.index("frame"),
        time=names.index("timestamp"),
        first_value=first_value,
        success=names.index("success"),
        face=names.index("face_id") if "face_id" in names else None,
        header_lines=1,
    )


def _openface_unit(channel: str) -> str:
    """Return the unit that OpenFace's documentation gives for the column."""
    rules: tuple[tuple[Callable[[str], bool], str], ...] = (
        (lambda name: name.startswith("AU") and name.endswith("_r"), "0..5"),
        (lambda name: name.startswith("AU") and name.endswith("_c"), "0 or 1"),
        (lambda name: name.startswith(("gaze_angle", "pose_R")), "rad"),
        (lambda name: name.startswith(("pose_T", "X_", "Y_", "Z_")), "mm"),
        (lambda name: name.startswith(("x_", "y_")), "px"),
    )
    return next((unit for applies, unit in rules if applies(channel)), "1")
