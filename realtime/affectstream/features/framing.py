"""Cuts a stream of samples into overlapping frames.

Knows: how samples that arrive in chunks of any size become blocks of frames.
Refuses to know: what is computed from a frame.

Block ``b`` holds frames ``b * block_frames`` to ``(b + 1) * block_frames - 1``, however the samples
were cut into chunks. So what is computed from the blocks is the same to the last bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_FRAMES = 20
"""Frames in a block while streaming: 200 ms at a hop of 10 ms. Smaller blocks would cost more."""

BATCH_FRAMES = 300
"""Frames in a block where all samples are there at once. Larger blocks would not cost less."""

Samples = NDArray[Any]
Frames = NDArray[np.float32]


def as_signal(samples: Samples) -> NDArray[np.float32]:
    """Return ``samples``, shape (n,), as float32 in -1..1.

    int16 is divided by 32768. Floating point is clipped; what is not finite becomes 0.

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

    Frame ``i`` starts at sample ``i * hop_samples - lead_samples``. Samples before the stream's
    beginning are 0.

    Args:
        frame_samples: length of a frame, with the lead.
        hop_samples: from the start of one frame to the start of the next.
        block_frames: frames in each block that ``push`` returns.
        lead_samples: how many of a frame's samples lie before ``i * hop_samples``.

    Raises:
        ValueError: a length is out of range.
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
        self._skip = 0  # samples between frames, where the hop is longer than the frame

    def push(self, samples: Samples) -> list[Frames]:
        """Return the blocks that ``samples`` complete, each (block_frames, frame_samples).

        They are read-only views, because frames share samples.

        Args:
            samples: (m,), as for ``as_signal``.
        """
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
        """Return the whole frames that are left, (k, frame_samples). Nothing may be pushed then."""
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
        frames.flags.writeable = False  # frames share samples
        return frames
