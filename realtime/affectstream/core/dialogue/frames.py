"""Frames of a dialogue's speakers, kept until the utterances that they belong to have ended.

Knows: blocks of frames with a time each, how to cut an interval out of them, and how much is kept.
Refuses to know: what the columns mean.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection, Sequence
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from affectstream.core.dialogue.snapshot import (
    FrameBlockSnapshot,
    FrameTrackSnapshot,
    kept_array,
    restored_array,
)
from affectstream.messages import Acoustic, Matrix, Mocap
from affectstream.timebase import NS_PER_S, Interval

MAX_KEPT_FRAME_BYTES = 32 * 1024 * 1024
"""Frames of one kind of one speaker."""
MAX_DIALOGUE_FRAME_BYTES = 32 * 1024 * 1024
"""Frames of all speakers of one dialogue."""
MAX_TRACKS = 64
"""Speakers' voices and faces of which frames are kept in one dialogue."""
KEPT_NS = 60 * NS_PER_S
"""How long frames are kept that belong to no open utterance: one may still start back there."""
MAX_INSTANT_NS = 1 << 62
MAX_BLOCKS = 1_024
"""Blocks of one track: to cut an interval out looks at each."""
JOINED_ROWS = 256
"""Where there are too many blocks, those that follow one another are joined to so many rows."""
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
        if len(self._blocks) > MAX_BLOCKS:
            self._join()
        while len(self._blocks) > 1 and (
            self._bytes > self.max_bytes or len(self._blocks) > MAX_BLOCKS
        ):
            self._drop_oldest()

    def _join(self) -> None:
        """Join small blocks that follow one another, so that there are few of them."""
        joined: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
        run: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
        rows = 0
        for block in self._blocks:
            if run and (rows + len(block[0]) > JOINED_ROWS or run[-1][0][-1] >= block[0][0]):
                joined.append(_joined(run))
                run, rows = [], 0
            run.append(block)
            rows += len(block[0])
        self._blocks = deque([*joined, _joined(run)])
        self._bytes = sum(_size(*block) for block in self._blocks)

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return self._bytes

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
            if times[-1] < interval.start_ns or times[0] >= interval.end_ns:
                continue
            first, last = np.searchsorted(times, (interval.start_ns, interval.end_ns))
            if last > first:
                parts.append(values[first:last])
        return np.concatenate(parts) if parts else None

    def drop_oldest(self) -> int:
        """Drop the oldest block; return how many frames were in it, 0 where there is none."""
        return self._pop_oldest() if self._blocks else 0

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


class FramesDropped(NamedTuple):
    """Frames that had to go: all of a speaker's of one kind, or only the oldest."""

    speaker: str
    kind: str
    frames: int
    whole: bool = False


class DialogueFrames:
    """The frames of all speakers of one dialogue, by speaker and kind, bounded.

    Args:
        reads: the kinds that are kept: those that a model reads.
    """

    def __init__(self, reads: Collection[str]) -> None:
        self.reads = frozenset(reads)
        self._tracks: OrderedDict[tuple[str, str], FrameTrack] = OrderedDict()

    def add(self, block: Acoustic | Mocap, needed_from_ns: int | None) -> list[FramesDropped]:
        """Keep a block; return what had to go for it.

        Args:
            block: of any kind; one that nobody reads is left out.
            needed_from_ns: where the speaker's oldest open utterance starts; None without one.
                What lies before it, and more than ``KEPT_NS`` before the newest, goes unsaid.
        """
        if block.kind not in self.reads or not block.rows:
            return []
        key = (block.speaker, block.kind)
        track = self._tracks.setdefault(key, FrameTrack())
        self._tracks.move_to_end(key)
        track.forget_before(min(_times(block)[-1] - KEPT_NS, needed_from_ns or MAX_INSTANT_NS))
        known = track.dropped
        track.add(block)
        gone = [FramesDropped(block.speaker, block.kind, track.dropped - known)]
        if len(self._tracks) > MAX_TRACKS:
            (speaker, kind), oldest = self._tracks.popitem(last=False)
            gone.append(FramesDropped(speaker, kind, len(oldest), whole=True))
        while sum(each.size for each in self._tracks.values()) > MAX_DIALOGUE_FRAME_BYTES:
            (speaker, kind), largest = max(self._tracks.items(), key=lambda item: item[1].size)
            gone.append(FramesDropped(speaker, kind, largest.drop_oldest()))
        return [each for each in gone if each.frames]

    def cut(self, speaker: str, interval: Interval) -> dict[str, NDArray[np.float32]]:
        """Return a speaker's frames in ``interval``: kind -> (n, columns), where there are any."""
        return {
            kind: cut
            for (whose, kind), track in self._tracks.items()
            if whose == speaker and (cut := track.cut(interval)) is not None
        }

    def forget_before(self, speaker: str, instant_ns: int) -> None:
        """Drop a speaker's frames that lie before ``instant_ns``, block by block."""
        for (whose, _), track in self._tracks.items():
            if whose == speaker:
                track.forget_before(instant_ns)

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return sum(track.size for track in self._tracks.values())

    def snapshot(self) -> list[FrameTrackSnapshot]:
        """Return the tracks as a journal keeps them."""
        return [
            FrameTrackSnapshot(speaker, kind, track.dropped, track.snapshot())
            for (speaker, kind), track in self._tracks.items()
        ]

    def restore(self, kept: Sequence[FrameTrackSnapshot]) -> None:
        """Take up the tracks that ``snapshot`` was taken of."""
        for each in kept:
            track = FrameTrack.restored(each.blocks, each.dropped)
            self._tracks[each.speaker, each.kind] = track


def _joined(
    run: Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    if len(run) == 1:
        return run[0]
    return np.concatenate([times for times, _ in run]), np.concatenate([rows for _, rows in run])


def _size(times: NDArray[np.int64], values: NDArray[np.float32]) -> int:
    return BLOCK_OVERHEAD_BYTES + times.nbytes + values.nbytes


def _times(block: Matrix) -> NDArray[np.int64]:
    if isinstance(block, Mocap):
        return np.array(block.times_ns, dtype=np.int64)
    assert isinstance(block, Acoustic)
    return block.start_ns + block.hop_ns * np.arange(block.rows, dtype=np.int64)
