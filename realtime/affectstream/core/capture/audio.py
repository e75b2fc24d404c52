"""What a source of audio hands on: samples, holes, and the loss of its device.

Knows: positions on a stream's timeline, which are counts of 16 kHz samples from its start.
Refuses to know: PortAudio, files, and how a position is found (``clock``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class CapturedAudio:
    """Samples from a device or a file.

    Attributes:
        first_sample: position of the first one.
        samples: int16, shape (n,).
    """

    first_sample: int
    samples: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class AudioLost:
    """Samples that were never captured.

    Attributes:
        first_sample: position where the hole begins.
        resumes_at: position of the next sample that will come; it equals ``first_sample`` where
            samples were thrown away because the device's clock ran ahead.
        samples: how many are missing.
        reason: ``overflow``, ``device lost``, ``device changed``, ``clock``, ``truncated``,
            ``unexplained`` or ``overlap``.
    """

    first_sample: int
    resumes_at: int
    samples: int
    reason: str


@dataclass(frozen=True, slots=True)
class DeviceLost:
    """The device is gone; an ``AudioLost`` will say how much is missing once one is back.

    Attributes:
        detail: why, for a person.
        reason: ``device lost``, or ``device changed`` where another one is opened in its place.
    """

    detail: str
    reason: str = "device lost"


Captured = CapturedAudio | AudioLost | DeviceLost
"""What a source of audio hands to the segmenter."""
