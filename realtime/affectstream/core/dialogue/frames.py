"""Frames of one stream, kept until the utterance that they belong to has ended.

Knows: blocks of frames with a time each, and how to cut an interval out of them.
Refuses to know: what the columns mean.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from affectstream.core.dialogue.snapshot import (
    FrameBlockSnapshot,
    kept_array,
    restored_array,
)
from affectstream.messages import Acoustic, Matrix, Mocap
from affectstream.timebase import Interval

MAX_KEPT_FRAME_BYTES = 32 * 1024 * 1024
BLOCK_OVERHEAD_BYTES = 1024
"""What a block counts for beside its values: many small ones cost memory and time too."""


class FrameTrack:
    """The latest frames of one stream, bounded in bytes."""

    def __init__(self, max_bytes: int = MAX_KEPT_FRAME_BYTES) -> None:
        self.max_bytes = max_bytes
        self.dropped = 0
        self._blocks: deque[tuple[NDArray[np.int64], NDArray[np.float32]]] = deque()
        self._bytes = 0

    def add(self, block: Acoustic | Mocap) -> None:
        """Keep a block; the oldest make room and are counted in ``dropped`` (rows).

        Blocks of another width are another layout: they replace what was kept.
        """
        if not block.rows:
            return
        while self._blocks and self._blocks[-1][1].shape[1] != block.columns:
            self._drop_oldest()
        times, values = _times(block), block.values
        self._blocks.append((times, values))
        self._bytes += _size(times, values)
        while self._bytes > self.max_bytes and len(self._blocks) > 1:
            self._drop_oldest()

    def __len__(self) -> int:
        """How many frames are kept."""
        return sum(len(values) for _, values in self._blocks)

    def _drop_oldest(self) -> None:
        self.dropped += self._pop_oldest()

    def _pop_oldest(self) -> int:
        times, values = self._blocks.popleft()
        self._bytes -= _size(times, values)
        return len(values)

    def cut(self, interval: Interval) -> NDArray[np.float32] | None:
        """Return the frames in ``interval``, shape (n, columns), or None where there are none."""
        parts = []
        for times, values in self._blocks:
            first, last = np.searchsorted(times, (interval.start_ns, interval.end_ns))
            if last > first:
                parts.append(values[first:last])
        return np.concatenate(parts) if parts else None

    def forget_before(self, instant_ns: int) -> None:
        """Drop blocks that end before ``instant_ns``."""
        while self._blocks and self._blocks[0][0][-1] < instant_ns:
            self._pop_oldest()

    def snapshot(self) -> list[FrameBlockSnapshot]:
        """Return the blocks as a journal keeps them."""
        return [FrameBlockSnapshot(kept_array(t), kept_array(values)) for t, values in self._blocks]

    @classmethod
    def restored(cls, blocks: Sequence[FrameBlockSnapshot], dropped: int) -> Self:
        """Return the track that ``snapshot`` was taken of."""
        track = cls()
        track.dropped = dropped
        for block in blocks:
            times, values = restored_array(block.times), restored_array(block.values)
            track._blocks.append((times, values))
            track._bytes += _size(times, values)
        return track


def _size(times: NDArray[np.int64], values: NDArray[np.float32]) -> int:
    return BLOCK_OVERHEAD_BYTES + times.nbytes + values.nbytes


def _times(block: Matrix) -> NDArray[np.int64]:
    if isinstance(block, Mocap):
        return np.array(block.times_ns, dtype=np.int64)
    assert isinstance(block, Acoustic)
    return block.start_ns + block.hop_ns * np.arange(block.rows, dtype=np.int64)
