"""Motion capture of an utterance as 200 means in order of time, after Tripathi and Beigi (2018).

Knows: how any number of frames becomes 200 rows, and what replaces a coordinate that the tracker
lost.
Refuses to know: markers (``face_markers``), and where an utterance begins.

IEMOCAP has 189 columns: 55 face markers (165), hands (18), head (6), as in the layout
``iemocap.rotated+hand+head``. Other layouts with other columns work as well.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHRONOLOGICAL_PARTS = 200
IEMOCAP_COLUMNS = 165 + 18 + 6
CAPACITY_FRAMES = 4_096
"""Frames that are kept while streaming: 34 s at 120 frames a second. Of longer utterances, sums of
two frames are kept, then of four, and so on. A part's bounds are then rounded to those of the sums,
which moves them by less than a thousandth of the utterance."""

_Floats = NDArray[np.float64]


def chronological_means(frames: NDArray[Any]) -> NDArray[np.float32]:
    """Cut frames (n, d) into 200 shares in order of time; return their means (200, d).

    The first ``n % 200`` shares have one frame more than the others, as in ``numpy.array_split``.
    Values that are not finite are ignored. Where a share has no value in a column, the mean of the
    share before it is taken; before the first value, the first mean; in a column without any value,
    0. With fewer than 200 frames, the last frame therefore fills the remaining rows.
    """
    known = np.isfinite(frames)
    sums = np.where(known, frames, 0).astype(np.float64)
    return _means(sums, known.astype(np.int64), np.arange(len(frames) + 1))


class ChronologicalMeans:
    """``chronological_means`` of a stream of frames.

    The result is exact up to ``capacity`` frames, and never depends on the chunks they come in. Of
    more frames, sums of neighbours are kept, and the shares' bounds are rounded to theirs.

    Args:
        columns: d, values in a frame.
        capacity: how many frames, or sums of frames, are kept; an even number of 400 or more.

    Attributes:
        frames: how many have come.

    Raises:
        ValueError: the capacity is odd or too small.
    """

    def __init__(self, columns: int, *, capacity: int = CAPACITY_FRAMES) -> None:
        if capacity < 2 * CHRONOLOGICAL_PARTS or capacity % 2:
            least = 2 * CHRONOLOGICAL_PARTS
            raise ValueError(f"a capacity is even and at least {least}, not {capacity}")
        self.frames = 0
        self._columns = columns
        self._capacity = capacity
        self._per_slot = 1
        self._sums = np.zeros((0, columns))  # grows up to the capacity
        self._counts = np.zeros((0, columns), dtype=np.int64)

    def push(self, frames: NDArray[Any]) -> None:
        """Take frames (m, d).

        Raises:
            ValueError: they have another number of columns.
        """
        if frames.ndim != 2 or frames.shape[1] != self._columns:
            raise ValueError(f"frames must be (m, {self._columns}), not {frames.shape}")
        while len(frames):
            while self.frames >= self._capacity * self._per_slot:
                self._pair()
            room = self._capacity * self._per_slot - self.frames
            self._add(frames[:room])
            frames = frames[room:]

    def matrix(self) -> NDArray[np.float32]:
        """Return the means (200, d) of the frames so far."""
        slots = -(-self.frames // self._per_slot)
        ends = np.minimum(np.arange(slots + 1) * self._per_slot, self.frames)
        return _means(self._sums[:slots], self._counts[:slots], ends)

    def _add(self, frames: NDArray[Any]) -> None:
        slots = (self.frames + np.arange(len(frames))) // self._per_slot
        self._make_room(int(slots[-1]) + 1)
        known = np.isfinite(frames)
        np.add.at(self._sums, slots, np.where(known, frames, 0))
        np.add.at(self._counts, slots, known)
        self.frames += len(frames)

    def _make_room(self, slots: int) -> None:
        if slots > len(self._sums):
            more = min(self._capacity, max(slots, 2 * len(self._sums))) - len(self._sums)
            self._sums = np.concatenate((self._sums, np.zeros((more, self._columns))))
            empty = np.zeros((more, self._columns), dtype=np.int64)
            self._counts = np.concatenate((self._counts, empty))

    def _pair(self) -> None:
        half = self._capacity // 2
        for kept in (self._sums, self._counts):
            paired = kept.reshape(half, 2, self._columns).sum(axis=1)
            kept[:half], kept[half:] = paired, 0
        self._per_slot *= 2


def _means(sums: _Floats, counts: NDArray[np.int64], ends: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return the means (200, d).

    Args:
        sums, counts: (s, d), of the finite values in each of s slots of one or more frames.
        ends: (s + 1,); slot ``i`` holds the frames from ``ends[i]`` to ``ends[i + 1]``.
    """
    parts, frames = CHRONOLOGICAL_PARTS, int(ends[-1])
    size, longer = divmod(frames, parts)
    bounds = np.arange(parts + 1) * size + np.minimum(np.arange(parts + 1), longer)
    slots = np.searchsorted(ends, bounds)  # equal to the bounds where a slot is one frame
    means = np.full((parts, sums.shape[1]), np.nan)
    for part, (first, end) in enumerate(pairwise(slots)):
        if end > first:
            count = counts[first:end].sum(axis=0)
            total = sums[first:end].sum(axis=0)
            np.divide(total, count, out=means[part], where=count > 0)
    return _filled(means).astype(np.float32)


def _filled(means: _Floats) -> _Floats:
    """Replace each NaN by the last value before it in its column, else the first one, else 0."""
    known = np.isfinite(means)
    first = known.argmax(axis=0)  # 0 too where there is none
    latest = np.where(known, np.arange(len(means))[:, None], first)
    latest = np.maximum.accumulate(latest, axis=0)
    filled: _Floats = means[latest, np.arange(means.shape[1])]
    filled[np.isnan(filled)] = 0.0
    return filled
