"""How late a device's blocks come, and when that means that its sample count is wrong.

Knows: blocks may come late but not early, and clocks drift.
Refuses to know: where a block goes (``clock``).

One late block says nothing: some program was slow. The earliest of many blocks says how far the
count of samples lies from the time that has passed. Three things are found by it:

* *where a run begins*: its first block may have been late, so the first ``SETTLE_BLOCKS`` are
  enough for a correction;
* *drift*: converters' clocks are off by tens of parts in a million, which shows in
  ``WINDOW_BLOCKS``;
* *a hole that the device did not report*: then ``SETTLE_BLOCKS`` in a row are all late.
"""

from __future__ import annotations

from collections import deque

SETTLE_BLOCKS = 25
WINDOW_BLOCKS = 250
_EARLIEST_SHARE = 50  # one block in so many may be early: a single odd stamp moves nothing


class Lateness:
    """Decides by how many samples a device's count is to be corrected.

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

    def reset(self) -> None:
        """Forget everything: a run begins or samples were lost, and the next block may be late."""
        self._recent.clear()
        self._window.clear()
        self._settled = False

    def observe(self, late: int) -> int:
        """Take how many samples late a block was; return the correction in samples, mostly 0.

        Both are positive where the block was captured later than the count says.
        """
        self._recent.append(late)
        self._window.append(late)
        correction = 0 if self._catching_up() else self._hole() or self._drift()
        if correction:
            self._recent.clear()
            self._window.clear()
        return correction

    def _catching_up(self) -> bool:
        """Whether blocks come faster than they were captured: each is less late than the last."""
        return self._recent[0] - self._recent[-1] > self._sudden

    def _hole(self) -> int:
        full = len(self._recent) == SETTLE_BLOCKS
        if full and (min(self._recent) > self._sudden or max(self._recent) < -self._sudden):
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
