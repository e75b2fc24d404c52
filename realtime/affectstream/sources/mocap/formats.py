"""The formats of motion-capture files, recognised by their first two lines.

Knows: the columns of IEMOCAP's files of face markers, hand markers and head motion, and of
OpenFace's csv.
Refuses to know: the rows below.

IEMOCAP's files have a line of names (``Frame# Time CH1 CH2 ...``, one name per marker), a line of
axes (``X Y Z X Y Z ...``) and then rows of numbers separated by spaces, at 120 frames a second.
OpenFace's files have one line of names (``frame, timestamp, confidence, success, ...``) and rows
of numbers separated by commas; by semicolons or tabs where a spreadsheet wrote them. Where
``success`` is 0, the tracker failed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from affectstream.errors import SourceError, brief
from affectstream.sources.text_files import column_names, column_separator

IEMOCAP_RATE_HZ = 120.0
MAX_MOCAP_CHANNELS = 1_000
"""OpenFace has some 700. The names of all must fit into one ``stream.opened`` message."""
LONGEST_NAME = 40
_AXES = ("x", "y", "z")
_HEAD = ("pitch", "roll", "yaw", "tra_x", "tra_y", "tra_z")
_OPENFACE_KEYS = ("frame", "face_id", "timestamp", "confidence", "success")


class MocapError(SourceError):
    """A file of motion capture cannot be read; the message is one sentence with a remedy."""


@dataclass(frozen=True, slots=True)
class MocapLayout:
    """What a file's columns are.

    Attributes:
        name: ``iemocap.rotated``, ``iemocap.hand``, ``iemocap.head`` or ``openface``; joined files
            have joined names, such as ``iemocap.rotated+hand+head``.
        channels, units: one per column of values.
        rate_hz: frames per second; 0 where the format does not say.
    """

    name: str
    channels: tuple[str, ...]
    units: tuple[str, ...]
    rate_hz: float


@dataclass(frozen=True, slots=True)
class MocapFormat:
    """How one file's rows are split.

    Attributes:
        layout: what the values are.
        separator: of columns; None is any white space.
        columns: how many a row has.
        frame, time, success, face: the columns of the frame number, the time, the tracker's flag
            and the face's number; None where the format lacks it.
        first_value: the first column of values; all others follow it.
        header_lines: lines before the first row.
    """

    layout: MocapLayout
    separator: str | None
    columns: int
    frame: int
    time: int
    first_value: int
    success: int | None = None
    face: int | None = None
    header_lines: int = 2


def read_format(path: Path, first: str, second: str) -> MocapFormat:
    """Return the format of the file with these first two lines.

    Raises:
        MocapError: they are of neither format.
    """
    separator = column_separator(first)  # some copies of IEMOCAP's files have tabs
    if separator in (",", ";") or (separator == "\t" and "timestamp" in first):
        return _checked(path, _openface_format(path, first, separator))
    found = _checked(path, _iemocap_format(path, first))
    words = second.split()
    if words and _is_number(words[0]):
        return replace(found, header_lines=1)  # some copies lack the line of axes
    return found


def _checked(path: Path, found: MocapFormat) -> MocapFormat:
    channels = found.layout.channels
    longest = max(map(len, channels))
    if len(channels) > MAX_MOCAP_CHANNELS or longest > LONGEST_NAME:
        raise MocapError(
            f"{path}, line 1: expected up to {MAX_MOCAP_CHANNELS} columns with names of up to "
            f"{LONGEST_NAME} characters, found {len(channels)} with up to {longest}; "
            "name a file of motion capture"
        )
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _iemocap_format(path: Path, header: str) -> MocapFormat:
    names = header.split()
    if len(names) < 3 or not names[0].lower().startswith("frame") or names[1].lower() != "time":
        raise MocapError(
            f"{path}, line 1: expected IEMOCAP's 'Frame# Time ...' or OpenFace's "
            f"'frame,timestamp,...', found {brief(header, 60)!r}; name a file of motion capture"
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
            return MocapFormat(layout, None, width + 2, frame=0, time=1, first_value=2)
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


def _openface_format(path: Path, header: str, separator: str) -> MocapFormat:
    names = column_names(header, separator)
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
            f"{path}, line 1: expected columns of values after {brief(names[-1], 60)!r}, "
            "found none; "
            "export the file again with action units"
        )
    layout = MocapLayout("openface", channels, tuple(map(_openface_unit, channels)), 0.0)
    return MocapFormat(
        layout,
        separator,
        len(names),
        frame=names.index("frame"),
        time=names.index("timestamp"),
        first_value=first_value,
        success=names.index("success"),
        face=names.index("face_id") if "face_id" in names else None,
        header_lines=1,
    )


def _openface_unit(channel: str) -> str:
    """Return the column's unit according to OpenFace's documentation."""
    rules: tuple[tuple[Callable[[str], bool], str], ...] = (
        (lambda name: name.startswith("AU") and name.endswith("_r"), "0..5"),
        (lambda name: name.startswith("AU") and name.endswith("_c"), "0 or 1"),
        (lambda name: name.startswith(("gaze_angle", "pose_R")), "rad"),
        (lambda name: name.startswith(("pose_T", "X_", "Y_", "Z_")), "mm"),
        (lambda name: name.startswith(("x_", "y_")), "px"),
    )
    return next((unit for applies, unit in rules if applies(channel)), "1")
