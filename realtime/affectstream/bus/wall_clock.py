"""This machine's clock.

Knows: how the system tells the time.
Refuses to know: other machines' clocks (``clock``).
"""

from __future__ import annotations

import time


class WallClock:
    """Nanoseconds since 1970 that never run backwards.

    A clock that nobody sets is anchored to wall time once, so an adjustment of the system's clock
    cannot make the stream's time jump.
    """

    def __init__(self) -> None:
        self._anchor_ns = time.time_ns() - _running_ns()

    def now_ns(self) -> int:
        """Return the time now, in nanoseconds since 1970."""
        return self._anchor_ns + _running_ns()


def _running_ns() -> int:
    """Return a clock that nobody sets and that goes on while the machine sleeps.

    Linux's ``CLOCK_MONOTONIC`` stands still in a suspended machine: whoever stamps by it is behind
    everybody else from then on.
    """
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return time.monotonic_ns()
