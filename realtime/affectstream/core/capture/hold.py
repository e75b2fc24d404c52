"""Blocks that are held back until it is known when they were captured.

Knows: blocks that waited somewhere come in a burst, each less late than the one before.
Refuses to know: where blocks go (``clock``).
"""

from __future__ import annotations

from typing import Generic, TypeVar

from affectstream.timebase import NS_PER_MS, samples_to_ns

_Block = TypeVar("_Block")

STEADY_BLOCKS = 4
"""So many blocks in a row that are no less late than those before them end a burst."""

MAX_HELD_BLOCKS = 1000
"""A minute of audio; a burst that does not end is released then."""

FALLING_NS = 5 * NS_PER_MS
"""A block belongs to a burst when it is less late than all before it by more than this."""


class BlockHold(Generic[_Block]):
    """Holds blocks until the burst that they came in is over.

    Args:
        sample_rate_hz: the device's.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._held: list[tuple[_Block, int]] = []  # each with the samples between it and the first
        self._samples = 0
        self._start_ns: int | None = None  # when the first was captured, by the earliest block
        self._steady = 0

    def add(self, block: _Block, samples: int, captured_ns: int, dropped: int = 0) -> bool:
        """Take a block; return whether the burst is over and all blocks are to be released.

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
            self._steady = 0
        else:
            self._steady += 1
        self._start_ns = start_ns if self._start_ns is None else min(self._start_ns, start_ns)
        return self._steady >= STEADY_BLOCKS or len(self._held) >= MAX_HELD_BLOCKS

    def release(self) -> list[tuple[_Block, int]]:
        """Return each block and when it was captured, as the earliest of them all tells."""
        first_ns = self._start_ns or 0
        return [
            (block, first_ns + samples_to_ns(before, self._rate_hz)) for block, before in self._held
        ]
