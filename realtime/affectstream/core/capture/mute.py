"""When a device counts as muted.

Knows: a microphone in a room never captures digital silence for long; a muted one does.
Refuses to know: devices, and what is said to the user about it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affectstream.timebase import NS_PER_S, samples_to_ns

MUTED_NS = 10 * NS_PER_S
"""A device that hands over nothing but zeros for so long is called muted."""


class MuteDetector:
    """Notices a device that hands over nothing but zeros: it is muted, or the wrong one.

    Attributes:
        muted: whether it is so now.
    """

    def __init__(self) -> None:
        self._zeros_ns = 0
        self.muted = False

    def observe(self, samples: NDArray[np.int16], rate_hz: int) -> bool:
        """Take a block of samples, shape (n,); return whether ``muted`` has changed."""
        if samples.any():
            self._zeros_ns = 0
        else:
            self._zeros_ns += samples_to_ns(len(samples), rate_hz)
        before, self.muted = self.muted, self._zeros_ns >= MUTED_NS
        return self.muted != before
