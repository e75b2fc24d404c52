"""The first blocks after a hold-up, until it is known when they were captured.

Knows: blocks that waited somewhere come in a burst, each less late than the one before.
Refuses to know: where blocks go (``core.capture``).
"""

from __future__ import annotations

from typing import Generic, TypeVar

from affectstream.timebase import NS_PER_MS, samples_to_ns

_Block = TypeVar("_Block")

QUIET_BLOCKS = 4
MOST_BLOCKS = 1000  # a minute
FALLING_NS = 5 * NS_PER_MS


class BlockHold(Generic[_Block]):
    """Keeps blocks until the latest ones were no less late than those before them.

    Args:
        sample_rate_hz: the device's.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._held: list[tuple[_Block, int]] = []  # and samples since the first one
        self._samples = 0
        self._start_ns: int | None = None
        self._quiet = 0

    def add(self, block: _Block, samples: int, captured_ns: int, dropped: int = 0) -> bool:
        """Take a block; return whether all are to be released.

        Args:
            block: whatever is held.
            samples: how many it holds.
            captured_ns: when the first of them was captured, or later.
            dropped: how many are missing before it.
        """
        if self._held:
            self._samples += dropped
        self._held.append((block, self._samples))
        start_ns = captured_ns - samples_to_ns(self._samples, self._rate_hz)
        self._samples += samples
        if self._start_ns is None or start_ns < self._start_ns - FALLING_NS:
            self._quiet = 0
        else:
            self._quiet += 1
        self._start_ns = start_ns if self._start_ns is None else min(self._start_ns, start_ns)
        return self._quiet >= QUIET_BLOCKS or len(self._held) >= MOST_BLOCKS

    def release(self) -> list[tuple[_Block, int]]:
        """Return the blocks, and when each was captured by the earliest of them all."""
        first_ns = self._start_ns or 0
        return [
            (block, first_ns + samples_to_ns(before, self._rate_hz)) for block, before in self._held
        ]
