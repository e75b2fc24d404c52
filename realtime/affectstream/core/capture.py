"""Where captured audio lies in event time.

Knows: what a capture device hands over, sample positions on one timeline, and how to keep them
true when samples are lost, the device goes away, or its clock drifts from ours.
Refuses to know: PortAudio, files, and what the samples say.

A position is a count of samples at one rate from the stream's start, so event time is always
``start_ns + position / rate``. Lost samples keep their place: the position jumps over them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from affectstream.timebase import NS_PER_S, ns_to_samples, samples_to_ns

SAMPLE_RATE_HZ = 16_000
"""The one rate of captured audio; sources resample to it."""


@dataclass(frozen=True, slots=True)
class CapturedAudio:
    """Samples from a device or a file.

    Attributes:
        first_sample: position of the first one on the stream's timeline, at 16 kHz.
        samples: int16, shape (n,).
    """

    first_sample: int
    samples: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class AudioLost:
    """Samples that were never captured.

    Attributes:
        first_sample: position where the hole begins.
        resumes_at: position of the next sample that will come; it equals ``first_sample`` where
            samples were thrown away because the device's clock ran ahead.
        samples: how many are missing.
        reason: ``overflow``, ``device lost``, ``clock``, ``truncated``.
    """

    first_sample: int
    resumes_at: int
    samples: int
    reason: str


@dataclass(frozen=True, slots=True)
class DeviceLost:
    """The device is gone; an ``AudioLost`` will say how much is missing once it is back."""

    detail: str


Captured = CapturedAudio | AudioLost | DeviceLost
"""What a source of audio hands to the segmenter."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a block goes: at ``first_sample``, without its first ``skip`` samples.

    ``lost`` samples are missing before it (or thrown away, where ``skip`` is not 0).
    """

    first_sample: int
    skip: int = 0
    lost: int = 0
    reason: str = ""


class CaptureClock:
    """Places the blocks of one device on the timeline, at the device's own rate.

    The samples are counted; the time at which the device says that it converted them (``adc_ns``)
    only decides how many went missing. A single late block means nothing: without a report from
    the device, the clock is corrected only when a whole window of blocks agrees.
    """

    def __init__(
        self,
        start_ns: int,
        sample_rate_hz: int,
        *,
        tolerance_ns: int = 60_000_000,
        window: int = 25,
        resume_ns: int | None = None,
    ) -> None:
        self._start_ns = start_ns
        self._rate_hz = sample_rate_hz
        self._tolerance = ns_to_samples(tolerance_ns, sample_rate_hz)
        self._lateness: deque[int] = deque(maxlen=window)
        self._began = resume_ns is not None  # the time since then counts as lost
        self._next = 0
        if resume_ns is not None:
            self._next = ns_to_samples(resume_ns - start_ns, sample_rate_hz)
        self._running = False
        self._skip_left = 0

    @property
    def next_ns(self) -> int:
        """Event time of the sample that is expected next."""
        return self._start_ns + samples_to_ns(self._next, self._rate_hz)

    def stop(self) -> None:
        """Forget the run of samples: the device is gone, the next block starts a new run."""
        self._running = False
        self._skip_left = 0
        self._lateness.clear()

    def place(
        self, samples: int, adc_ns: int, *, overflow: bool = False, dropped: int = 0
    ) -> Placement:
        """Return where a block of ``samples`` goes.

        Args:
            samples: how many the block holds.
            adc_ns: event time at which the first of them was converted.
            overflow: the device says that it lost samples before this block.
            dropped: samples we had to throw away before this block, known exactly.
        """
        measured = (adc_ns - self._start_ns) * self._rate_hz // NS_PER_S
        if not self._running:
            return self._begin(samples, measured)
        lateness = measured - self._next - dropped
        lost, reason = dropped, "overflow" if dropped else ""
        if overflow:
            usual = int(median(self._lateness)) if self._lateness else 0
            lost, reason = lost + max(0, lateness - usual), "overflow"
        else:
            self._lateness.append(lateness)
            drift = self._drift()
            if drift > 0:
                lost, reason = lost + drift, "clock"
            elif drift < 0:
                self._skip_left = -drift
                return self._advance(samples, lost=-drift, reason="clock", jump=0)
        return self._advance(samples, lost=lost, reason=reason, jump=lost)

    def _begin(self, samples: int, measured: int) -> Placement:
        first = max(self._next, measured)
        lost = first - self._next if self._began else 0
        self._running = self._began = True
        self._next = first
        return self._advance(samples, lost=lost, reason="device lost" if lost else "", jump=0)

    def _advance(self, samples: int, *, lost: int, reason: str, jump: int) -> Placement:
        skip = min(self._skip_left, samples)
        self._skip_left -= skip
        first = self._next + jump
        self._next = first + samples - skip
        return Placement(first, skip, lost, reason)

    def _drift(self) -> int:
        """Return how far the whole window lies from the count, or 0 if it does not."""
        if len(self._lateness) < (self._lateness.maxlen or 0):
            return 0
        if min(self._lateness) > self._tolerance or max(self._lateness) < -self._tolerance:
            drift = int(median(self._lateness))
            self._lateness.clear()
            return drift
        return 0
