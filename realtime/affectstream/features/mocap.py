"""Motion capture of an utterance as 200 chronological means, after Tripathi and Beigi (2018).

Knows: how any number of frames becomes 200 rows, and what stands for a coordinate that the tracker
lost.
Refuses to know: markers (``face_markers``), and where an utterance begins.

Of IEMOCAP the columns are 189: 55 face markers (165), hands (18), head (6), as the mocap source
publishes ``iemocap.rotated+hand+head``. Any other layout goes through unchanged.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHRONOLOGICAL_PARTS = 200
IEMOCAP_COLUMNS = 165 + 18 + 6
CAPACITY_FRAMES = 4_096
"""Frames kept apart while streaming: 34 s at 120 frames a second. Longer utterances are kept in
pairs, then in fours, so that the bounds of a part are as fine as a few thousandths of the whole."""

_Floats = NDArray[np.float64]


def chronological_means(
    frames: NDArray[Any], parts: int = CHRONOLOGICAL_PARTS
) -> NDArray[np.float32]:
    """Return frames (n, d) as ``parts`` rows (parts, d): each the mean of its share, in order.

    The first ``n % parts`` shares hold one frame more than the others, as ``numpy.array_split``
    has it. What is not finite is left out of a mean; a mean of nothing is the one before it in
    its column, before the first one the first, and 0 in a column that has none at all. So of fewer
    than ``parts`` frames, the last fills what is left.
    """
    known = np.isfinite(frames)
    sums = np.where(known, frames, 0).astype(np.float64)
    return _means(sums, known.astype(np.int64), np.arange(len(frames) + 1), parts)


class ChronologicalMeans:
    """The same, while frames arrive.

    Exact up to ``capacity`` frames, whatever chunks they come in; then neighbours are added up,
    and a share's bounds are rounded to theirs.

    Args:
        columns: values in a frame.
        capacity: even; frames, or pairs of frames, that are kept.
    """

    def __init__(
        self, columns: int, *, parts: int = CHRONOLOGICAL_PARTS, capacity: int = CAPACITY_FRAMES
    ) -> None:
        if capacity < 2 * parts or capacity % 2:
            raise ValueError(f"a capacity is even and at least {2 * parts}, not {capacity}")
        self.frames = 0
        self._columns = columns
        self._parts = parts
        self._capacity = capacity
        self._per_slot = 1
        self._sums = np.zeros((0, columns))  # grows up to the capacity
        self._counts = np.zeros((0, columns), dtype=np.int64)

    def push(self, frames: NDArray[Any]) -> None:
        """Take frames (m, d).

        Raises:
            ValueError: they have another width.
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
        """Return the rows (parts, d) of the frames so far."""
        slots = -(-self.frames // self._per_slot)
        ends = np.minimum(np.arange(slots + 1) * self._per_slot, self.frames)
        return _means(self._sums[:slots], self._counts[:slots], ends, self._parts)

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


def _means(
    sums: _Floats, counts: NDArray[np.int64], ends: NDArray[np.intp], parts: int
) -> NDArray[np.float32]:
    """Return (parts, d) from sums and counts (s, d) of slots; slot i ends at ``ends[i + 1]``."""
    frames = int(ends[-1])
    size, longer = divmod(frames, parts)
    bounds = np.arange(parts + 1) * size + np.minimum(np.arange(parts + 1), longer)
    slots = np.searchsorted(ends, bounds)  # the same, where a slot is a frame
    means = np.full((parts, sums.shape[1]), np.nan)
    for part, (first, end) in enumerate(pairwise(slots)):
        if end > first:
            count = counts[first:end].sum(axis=0)
            total = sums[first:end].sum(axis=0)
            np.divide(total, count, out=means[part], where=count > 0)
    return _filled(means).astype(np.float32)


def _filled(means: _Floats) -> _Floats:
    """Put for each NaN the value before it in its column, else the first one, else 0."""
    known = np.isfinite(means)
    first = known.argmax(axis=0)  # 0 too where there is none
    latest = np.where(known, np.arange(len(means))[:, None], first)
    latest = np.maximum.accumulate(latest, axis=0)
    filled: _Floats = means[latest, np.arange(means.shape[1])]
    filled[np.isnan(filled)] = 0.0
    return filled
