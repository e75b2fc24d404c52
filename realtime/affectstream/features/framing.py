"""Overlapping frames of a stream of samples.

Knows: how to cut samples that arrive in chunks of any size into frames, a block of them at a time.
Refuses to know: what is computed from a frame.

Blocks begin at fixed positions of the stream, whatever the chunks were: block ``b`` holds frames
``b * block_frames`` and on. What is computed from a block therefore is the same, to the last bit,
however the stream was cut up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_FRAMES = 20
"""Frames in a block while streaming: 200 ms at a 10 ms hop, which spreads numpy's call overhead."""

BATCH_FRAMES = 300
"""Frames in a block where all samples are there at once: more cost no less."""

Samples = NDArray[Any]
Frames = NDArray[np.float32]


def as_signal(samples: Samples) -> NDArray[np.float32]:
    """Return ``samples``, shape (n,), as float32 in -1..1; int16 is scaled, non-finite becomes 0.

    Raises:
        ValueError: the samples are not one channel.
        TypeError: they are neither int16 nor floating point.
    """
    if samples.ndim != 1:
        raise ValueError(f"samples must be one channel, shape (n,), not {samples.shape}")
    if samples.dtype == np.int16:
        return samples * np.float32(1 / 32_768)
    if samples.dtype.kind != "f":
        raise TypeError(f"samples must be int16 or floating point, not {samples.dtype}")
    signal = np.clip(samples, -1.0, 1.0).astype(np.float32, copy=False)
    finite = np.isfinite(samples)
    if not finite.all():
        signal = np.where(finite, signal, np.float32(0))
    return signal


class Framer:
    """Cuts a stream into frames of ``frame_samples`` every ``hop_samples``.

    Frame ``i`` covers samples ``i * hop_samples - lead_samples`` and on; what lies before the
    stream counts as zero.

    Args:
        frame_samples: length of a frame, the lead included.
        hop_samples: distance between the starts of two frames.
        block_frames: frames in each block that ``push`` returns.
        lead_samples: how many of a frame's samples lie before its nominal start.
    """

    def __init__(
        self, frame_samples: int, hop_samples: int, block_frames: int, lead_samples: int = 0
    ) -> None:
        if min(frame_samples, hop_samples, block_frames) < 1 or lead_samples < 0:
            raise ValueError("a frame, a hop and a block are at least 1, a lead at least 0")
        self.frame_samples = frame_samples
        self.hop_samples = hop_samples
        self.block_frames = block_frames
        self._held = np.zeros(lead_samples, dtype=np.float32)
        self._skip = 0  # samples still to be thrown away, where the hop exceeds the frame

    def push(self, samples: Samples) -> list[Frames]:
        """Return the blocks completed by ``samples``, each (block_frames, frame_samples), views."""
        self._held = np.concatenate((self._held, as_signal(samples)))
        self._throw_away()
        step = self.block_frames * self.hop_samples
        span = step - self.hop_samples + self.frame_samples
        start = 0
        blocks = []
        while start + span <= len(self._held):
            blocks.append(self._view(start, self.block_frames))
            start += step
        self._skip += start
        self._throw_away()
        return blocks

    def finish(self) -> Frames:
        """Return the whole frames that are left, (k, frame_samples); then the framer is spent."""
        count = max(0, (len(self._held) - self.frame_samples) // self.hop_samples + 1)
        frames = self._view(0, count)
        self._held = self._held[:0]
        return frames

    def _throw_away(self) -> None:
        if self._skip:
            gone = min(self._skip, len(self._held))
            self._held = self._held[gone:]
            self._skip -= gone

    def _view(self, start: int, count: int) -> Frames:
        if not count:
            return np.empty((0, self.frame_samples), dtype=np.float32)
        stride = self._held.strides[0]
        frames: Frames = np.ndarray(
            shape=(count, self.frame_samples),
            dtype=np.float32,
            buffer=self._held,
            offset=start * stride,
            strides=(stride * self.hop_samples, stride),
        )
        frames.flags.writeable = False  # frames overlap
        return frames
