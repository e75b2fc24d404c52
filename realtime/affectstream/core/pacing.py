"""When something recorded is to be played.

Knows: the map from event time to processing time at a given speed.
Refuses to know: what is played, and how to wait.
"""

from __future__ import annotations

import math

from affectstream.errors import UsageError


class Pacer:
    """Maps event time to the processing time at which it is to be played.

    Args:
        speed: event seconds per second; ``math.inf`` plays everything at once.

    Raises:
        ValueError: the speed is not above zero.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if not speed > 0:
            raise UsageError(f"a speed of {speed} cannot be played; choose one above 0, or max")
        self.speed = speed
        self._event_ns: int | None = None
        self._anchor_ns = 0

    def start(self, event_ns: int, now_ns: int) -> None:
        """Anchor: ``event_ns`` is played at ``now_ns``."""
        self._event_ns, self._anchor_ns = event_ns, now_ns

    def due_ns(self, event_ns: int) -> int:
        """Return the processing time at which ``event_ns`` is due.

        Computed from the anchor each time, so that rounding never accumulates.

        Raises:
            RuntimeError: the pacer was not started.
        """
        if self._event_ns is None:
            raise RuntimeError("start the pacer before asking it when something is due")
        if math.isinf(self.speed):
            return self._anchor_ns
        return self._anchor_ns + round((event_ns - self._event_ns) / self.speed)


def parse_speed(text: str) -> float:
    """Return the speed that ``text`` names: a number, or ``max``.

    Raises:
        ValueError: it names none.
    """
    if text == "max":
        return math.inf
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise UsageError(f"{text!r} is not a speed; write a number above 0, or max")
    return speed


def speed_text(speed: float) -> str:
    """Return the text that ``parse_speed`` reads as this speed."""
    return "max" if math.isinf(speed) else str(speed)
