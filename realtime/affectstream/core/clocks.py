"""Two clocks compared: how far they are apart, how fast that changes, and how sure that is.

Knows: what clock probes prove, and how a clock is made to follow another without ever going back.
Refuses to know: sockets, which clocks these are, and when to probe.

A probe is sent when our clock reads ``s``. The other clock reads ``m`` when the probe arrives
there, and ours reads ``r`` when the answer is back. Whatever the link did, the other clock stood at
``m`` or before when ours stood at ``s``, and at ``m`` or after when ours stood at ``r``. So each
probe proves two bounds on the line ``offset + drift x time``, and what all of them leave is a
convex set of lines. Its middle is the estimate, and half its width is the error. No distribution of
delays is assumed: jitter only makes single bounds useless. A delay that always differs between the
two directions cannot be seen by any probe; its effect is at most half of the shortest round trip,
which the error covers too.

Rules:
1. Clocks drift apart by at most ``MAX_DRIFT`` (RFC 5905's), and a drift wanders by ``WANDER``.
2. Probes count back from the newest. One that contradicts those after it shows that a clock
   jumped; it and what came before it are forgotten.
3. Two clocks are the same until a probe proves more than ``SAME_NS`` between them, and are left
   exactly as they are: processes of one host never correct each other's noise.
4. A clock that follows goes on from where it stands and works the difference off at most at
   ``MAX_SLEW``: its time neither jumps nor runs backwards.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from affectstream.timebase import NS_PER_MS, ClockProbe

MAX_DRIFT = 500e-6
"""How fast two clocks may drift apart, in ns per ns."""

MAX_SLEW = 5e-3
"""How fast a clock that follows another corrects itself, in ns per ns."""

WANDER = 1e-6
"""How far a probe's bounds are widened by its age, in ns per ns: drift is not constant."""

READING_NS = 20_000
"""How far a probe's bounds are widened because reading a clock takes time."""

SAME_NS = NS_PER_MS
MAX_PROBES = 128
_FAR_NS = 1e12  # from the newest probe's offset: far beyond what any round trip leaves open

_Line = tuple[float, float]
"""An offset in ns from the newest probe's, when its answer came; and a drift in ns per ns."""


@dataclass(frozen=True, slots=True)
class ClockEstimate:
    """Where the other clock is, seen from ours at ``at_ns``.

    Attributes:
        offset_ns: what to add to our reading to get the other's.
        error_ns: how far off that may be.
        drift: how many ns the other gains in one of ours.
    """

    at_ns: int
    offset_ns: int
    error_ns: int
    drift: float

    def offset_at_ns(self, instant_ns: int) -> int:
        """Return the offset at another instant of our clock."""
        return self.offset_ns + round(self.drift * (instant_ns - self.at_ns))


SAME_CLOCK = ClockEstimate(at_ns=0, offset_ns=0, error_ns=0, drift=0.0)


class ClockFilter:
    """What the latest probes prove of another clock; ``len`` is how many of them count."""

    def __init__(self) -> None:
        self._probes: deque[ClockProbe] = deque(maxlen=MAX_PROBES)
        self._differs = False
        self._lines: list[_Line] = []

    def __len__(self) -> int:
        return len(self._probes)

    def receive(self, probe: ClockProbe) -> None:
        """Take a probe in; one whose answer came before it was sent proves nothing."""
        if probe.round_trip_ns < 0:
            return
        self._probes.append(probe)
        least_ns, most_ns = probe.remote_ns - probe.received_ns, probe.remote_ns - probe.sent_ns
        if least_ns > SAME_NS or most_ns < -SAME_NS:
            self._differs = True
        self._lines = self._possible()

    def _possible(self) -> list[_Line]:
        """Return the corners of the set of lines that no probe contradicts.

        Probes before a jump of a clock are forgotten.
        """
        newest = self._probes[-1]
        corners: list[_Line] = [
            (-_FAR_NS, -MAX_DRIFT),
            (_FAR_NS, -MAX_DRIFT),
            (_FAR_NS, MAX_DRIFT),
            (-_FAR_NS, MAX_DRIFT),
        ]
        for age, probe in enumerate(reversed(self._probes)):
            kept = _within(corners, probe, newest)
            if not kept:
                for _ in range(len(self._probes) - age):
                    self._probes.popleft()
                break
            corners = kept
        return corners

    def estimate(self, now_ns: int) -> ClockEstimate | None:
        """Return where the other clock is now; None before the first probe."""
        if not self._probes:
            return None
        newest = self._probes[-1]
        since_ns = now_ns - newest.received_ns
        reach = [offset + drift * since_ns for offset, drift in self._lines]
        drifts = [drift for _, drift in self._lines]
        return ClockEstimate(
            at_ns=now_ns,
            offset_ns=newest.offset_ns + round((max(reach) + min(reach)) / 2),
            error_ns=round((max(reach) - min(reach)) / 2),
            drift=(max(drifts) + min(drifts)) / 2,
        )

    def correction(self, now_ns: int) -> ClockEstimate | None:
        """Return what our clock is to be corrected by: nothing while the two may be the same."""
        return self.estimate(now_ns) if self._differs or not self._probes else SAME_CLOCK


def _within(corners: list[_Line], probe: ClockProbe, newest: ClockProbe) -> list[_Line]:
    """Return what is left of a convex set of lines by what ``probe`` proves."""
    age_ns = newest.received_ns - probe.received_ns
    slack_ns = READING_NS + WANDER * age_ns
    above_ns = probe.remote_ns - probe.sent_ns - newest.offset_ns + slack_ns
    below_ns = probe.remote_ns - probe.received_ns - newest.offset_ns - slack_ns
    since_sent_ns = probe.sent_ns - newest.received_ns
    left = _clip(corners, [above_ns - a - b * since_sent_ns for a, b in corners])
    return _clip(left, [a - b * age_ns - below_ns for a, b in left])


def _clip(corners: list[_Line], margins: list[float]) -> list[_Line]:
    """Cut off the corners whose margin is below 0 (Sutherland and Hodgman's clipping)."""
    if min(margins, default=0.0) >= 0:
        return corners  # nearly all probes: they prove nothing that others have not
    kept: list[_Line] = []
    for number, ((a, b), margin) in enumerate(zip(corners, margins, strict=True)):
        following = (number + 1) % len(corners)
        if margin >= 0:
            kept.append((a, b))
        if (margin >= 0) != (margins[following] >= 0):
            part = margin / (margin - margins[following])
            next_a, next_b = corners[following]
            kept.append((a + part * (next_a - a), b + part * (next_b - b)))
    return kept


@dataclass(frozen=True, slots=True)
class OffsetCourse:
    """How a clock that follows another is corrected from ``began_ns`` on.

    Attributes:
        aim: the correction that it is to reach.
        behind_ns: how much the correction lies below that at ``began_ns``.
    """

    began_ns: int = 0
    aim: ClockEstimate = SAME_CLOCK
    behind_ns: int = 0

    def correction_ns(self, local_ns: int) -> int:
        """Return what is added to the local clock when it stands at ``local_ns``."""
        worked_off_ns = round(MAX_SLEW * max(0, local_ns - self.began_ns))
        left_ns = max(0, abs(self.behind_ns) - worked_off_ns)
        behind_ns = left_ns if self.behind_ns > 0 else -left_ns
        return self.aim.offset_at_ns(local_ns) - behind_ns

    def arrived(self) -> OffsetCourse:
        """Return the course with nothing left to correct: for a clock that nobody has read yet."""
        return OffsetCourse(self.began_ns, self.aim)

    def toward(self, aim: ClockEstimate, local_ns: int) -> OffsetCourse:
        """Return the course from here to a new aim, without a jump."""
        behind_ns = aim.offset_at_ns(local_ns) - self.correction_ns(local_ns)
        return OffsetCourse(local_ns, aim, behind_ns)
