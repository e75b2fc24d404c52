"""Rows of motion capture: what one line of a file says.

Knows: the values that hold a row, or say why there is none.
Refuses to know: files, and where a row lies in time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
        face: the tracker's number of the face, 0 where the format has none.
    """

    line: int
    frame: int
    time_s: float
    values: NDArray[np.float32]
    tracked: bool = True
    missing: tuple[str, ...] = ()
    face: int = 0


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read; ``problem`` says why and names file and line."""

    line: int
    problem: str
