"""How late a device's blocks come, and when that means that its sample count is wrong.

Knows: blocks may come late but not early, and clocks drift.
Refuses to know: where a block goes (``core.capture``).

A block that comes late says nothing: somebody was slow. The earliest of many says how far the count
of samples lies from the time that has passed. Few blocks suffice where a run begins, since its
first may have been the late one; a long window finds the drift of a converter's clock, which is
tens of parts in a million; and a hole that nobody reported is seen when all blocks are late.
"""

from __future__ import annotations

from collections import deque

SETTLE_BLOCKS = 25
WINDOW_BLOCKS = 250
_EARLIEST_SHARE = 50  # one block in so many may be early: one odd stamp moves nothing


class Lateness:
    """Judges by how much the count of samples is to be corrected.

    Args:
        tolerance: samples by which the earliest blocks may be off without being corrected.
        sudden: samples by which all of ``SETTLE_BLOCKS`` must be off for it to be a hole.
    """

    def __init__(self, tolerance: int, sudden: int) -> None:
        self._tolerance = tolerance
        self._sudden = sudden
        self._recent: deque[int] = deque(maxlen=SETTLE_BLOCKS)
        self._window: list[int] = []
        self._settled = False

    def begin(self) -> None:
        """Forget everything: samples were lost or a run begins, and the next block may be late."""
        self._recent.clear()
        self._window.clear()
        self._settled = False

    def judge(self, late: int) -> int:
        """Take how many samples a block was late; return the correction that is due, mostly 0."""
        self._recent.append(late)
        self._window.append(late)
        off = 0 if self._catching_up() else self._hole() or self._drift()
        if off:
            self._recent.clear()
            self._window.clear()
        return off

    def _catching_up(self) -> bool:
        """Whether blocks come faster than they were captured: each is less late than the last."""
        return self._recent[0] - self._recent[-1] > self._sudden

    def _hole(self) -> int:
        whole = len(self._recent) == SETTLE_BLOCKS
        if whole and min(self._recent) > self._sudden:
            return _earliest(self._recent)
        if whole and max(self._recent) < -self._sudden:
            return _earliest(self._recent)
        return 0

    def _drift(self) -> int:
        if len(self._window) < (WINDOW_BLOCKS if self._settled else SETTLE_BLOCKS):
            return 0
        off = _earliest(self._window)
        self._settled = True
        self._window.clear()
        return off if abs(off) > self._tolerance else 0


def _earliest(late: deque[int] | list[int]) -> int:
    return sorted(late)[len(late) // _EARLIEST_SHARE]
