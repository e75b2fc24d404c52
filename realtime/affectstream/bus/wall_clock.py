"""This machine's clock.

Knows: how the system tells the time.
Refuses to know: other machines' clocks (``clock``).
"""

from __future__ import annotations

import time


class WallClock:
    """Nanoseconds since 1970 that never run backwards.

    A clock that is never set is anchored to wall time once, so an adjustment of the system's clock
    cannot make a stream's time jump.
    """

    def __init__(self) -> None:
        self._anchor_ns = time.time_ns() - _running_ns()

    def now_ns(self) -> int:
        """Return the time now, in nanoseconds since 1970."""
        return self._anchor_ns + _running_ns()


def _running_ns() -> int:
    """Read a clock that is never set and that goes on while the machine is suspended.

    Linux's ``CLOCK_MONOTONIC`` stands still then, and would be behind other hosts ever after.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()
