"""Where captured audio lies in event time.

Knows: sample positions on one timeline, and how to keep them true when samples are lost, the device
goes away, or its clock drifts from ours.
Refuses to know: PortAudio, files, and what the samples say.

A position is a count of samples at one rate from the stream's start, so event time is always
``start_ns + position / rate``. Lost samples keep their place: the position jumps over them.
"""

from __future__ import annotations

from dataclasses import dataclass

from affectstream.core.capture.lateness import Lateness
from affectstream.timebase import NS_PER_MS, NS_PER_S, ns_to_samples, samples_to_ns

DRIFT_NS = 5 * NS_PER_MS
"""How far a device's clock may run from ours before its positions are corrected."""

HOLE_NS = 60 * NS_PER_MS
"""A hole of this length is found at once though the device did not report it.

A shorter one is corrected as drift is, after a longer time.
"""

DOUBTFUL_NS = 300 * NS_PER_MS
"""A block that comes so late is doubtful: it may have waited, or samples before it are missing."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a block goes.

    Attributes:
        first_sample: position of the block's first sample that is used.
        skip: how many samples at the block's beginning are left out.
        lost: how many samples are missing before it, or are thrown away where ``skip`` is not 0.
        reason: why; "" where none are.
    """

    first_sample: int
    skip: int = 0
    lost: int = 0
    reason: str = ""


class CaptureClock:
    """Places the blocks of one run of a device on the timeline, at the device's own rate.

    The samples are counted. The time at which a block says that it was captured decides two things
    only: how many samples went missing, and whether the device's clock has drifted from ours. In
    the second case the count is corrected by a few milliseconds, forwards over a hole or backwards
    by leaving samples out.

    Args:
        start_ns: event time of position 0.
        sample_rate_hz: the device's.
        resume_ns: where the run before ended; the time since then counts as lost.
        reason: why it ended.
    """

    def __init__(
        self,
        start_ns: int,
        sample_rate_hz: int,
        *,
        resume_ns: int | None = None,
        reason: str = "device lost",
    ) -> None:
        self._start_ns = start_ns
        self._rate_hz = sample_rate_hz
        self._tolerance = ns_to_samples(DRIFT_NS, sample_rate_hz)
        self._doubtful = ns_to_samples(DOUBTFUL_NS, sample_rate_hz)
        self._hole = ns_to_samples(HOLE_NS, sample_rate_hz)
        self._lateness = Lateness(self._tolerance, self._hole)
        self._resumes = resume_ns is not None
        self._reason = reason
        self._next = 0
        if resume_ns is not None:
            self._next = ns_to_samples(resume_ns - start_ns, sample_rate_hz)
        self._running = False
        self._skip_left = 0

    @property
    def next_ns(self) -> int:
        """Event time of the sample that is expected next."""
        return self._start_ns + samples_to_ns(self._next, self._rate_hz)

    def doubts(self, captured_ns: int) -> bool:
        """Return whether a block is so late that it is placed only when later ones have come.

        So is the first block of a run.
        """
        return not self._running or self._position(captured_ns) - self._next > self._doubtful

    def place(
        self,
        samples: int,
        captured_ns: int,
        *,
        overflow: bool = False,
        dropped: int = 0,
        sure: bool = False,
    ) -> Placement:
        """Return where a block of ``samples`` goes.

        Args:
            samples: how many the block holds.
            captured_ns: event time at which the first of them was captured, or later.
            overflow: the device says that it lost samples before this block.
            dropped: how many samples we had to throw away before this block.
            sure: later blocks have shown that ``captured_ns`` is right, not late.
        """
        measured = self._position(captured_ns)
        if not self._running:
            return self._begin(samples, measured)
        late = measured - self._next - dropped + self._skip_left
        if sure:
            off = late if abs(late) > (self._tolerance if overflow else self._hole) else 0
            if off:
                self._lateness.reset()
        else:
            off = self._lateness.observe(late)
        if off < 0:
            self._skip_left = -off
            return self._advance(samples, lost=dropped - off, reason="clock", jump=dropped)
        reason = "overflow" if overflow or dropped or (sure and off) else "clock" if off else ""
        return self._advance(samples, lost=dropped + off, reason=reason, jump=dropped + off)

    def _position(self, captured_ns: int) -> int:
        return (captured_ns - self._start_ns) * self._rate_hz // NS_PER_S

    def _begin(self, samples: int, measured: int) -> Placement:
        first = max(self._next, measured)
        lost = first - self._next if self._resumes else 0
        self._running = True
        self._next = first
        return self._advance(samples, lost=lost, reason=self._reason if lost else "", jump=0)

    def _advance(self, samples: int, *, lost: int, reason: str, jump: int) -> Placement:
        skip = min(self._skip_left, samples)
        self._skip_left -= skip
        first = self._next + jump
        self._next = first + samples - skip
        return Placement(first, skip, lost, reason)
