"""Time as integers.

Knows: intervals of event time, sample counts, clocks and their offsets, all in int nanoseconds.
Refuses to know: what is timed, and where a message came from.

Two times run through the project. *Event time* is when something happened in front of the
sensor; it is stamped at capture and never changed. *Processing time* is when we deal with it;
it is passed in as ``now_ns``, so that a test can make it anything.
"""

from __future__ import annotations

from dataclasses import dataclass

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

SAMPLE_RATE_HZ = 16_000
"""The one rate of audio inside the system; whatever captures or reads sound resamples to it."""


def seconds_to_ns(seconds: float) -> int:
    """Return ``seconds`` as nanoseconds, rounded to the nearest."""
    return round(seconds * NS_PER_S)


def ns_to_seconds(ns: int) -> float:
    """Return ``ns`` nanoseconds as seconds."""
    return ns / NS_PER_S


def samples_to_ns(samples: int, sample_rate_hz: int) -> int:
    """Return the duration of ``samples`` as nanoseconds, rounded down.

    Positions in audio are sample counts and are converted once, from the stream's first sample;
    durations are never summed, so rounding cannot accumulate.
    """
    return samples * NS_PER_S // sample_rate_hz


def ns_to_samples(ns: int, sample_rate_hz: int) -> int:
    """Return how many samples lie in ``ns`` nanoseconds, rounded to the nearest."""
    return (ns * sample_rate_hz + NS_PER_S // 2) // NS_PER_S


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """A half-open span of event time, ``[start_ns, end_ns)``.

    Raises:
        ValueError: the end lies before the start.
    """

    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        if self.end_ns < self.start_ns:
            raise ValueError(
                f"an interval cannot end ({self.end_ns}) before it starts ({self.start_ns})"
            )

    @property
    def duration_ns(self) -> int:
        """Length in nanoseconds."""
        return self.end_ns - self.start_ns

    def overlap_ns(self, other: Interval) -> int:
        """Return how much of ``other`` lies inside this interval, in nanoseconds."""
        return max(0, min(self.end_ns, other.end_ns) - max(self.start_ns, other.start_ns))


@dataclass(frozen=True, slots=True)
class ClockProbe:
    """One exchange with another host's clock, as in NTP (RFC 5905, section 8).

    ``sent_ns`` and ``received_ns`` are read here, ``remote_ns`` there.
    """

    sent_ns: int
    remote_ns: int
    received_ns: int

    @property
    def round_trip_ns(self) -> int:
        """How long the exchange took; half of it bounds the offset's error."""
        return self.received_ns - self.sent_ns

    @property
    def offset_ns(self) -> int:
        """What to add to a local reading to get the remote clock's."""
        return self.remote_ns - (self.sent_ns + self.received_ns) // 2


def best_probe(probes: list[ClockProbe]) -> ClockProbe:
    """Return the probe with the lowest round trip: its offset is the most exact.

    Raises:
        ValueError: there are no probes.
    """
    if not probes:
        raise ValueError("no clock probe has been answered")
    return min(probes, key=lambda probe: probe.round_trip_ns)


class StampGuard:
    """Makes the stamps of one stream strictly increase.

    A stamp that does not is moved to just after the previous one, so that one bad stamp neither
    stops a stream nor reorders it.
    """

    def __init__(self) -> None:
        self._last_ns: int | None = None

    def accept(self, stamp_ns: int) -> int:
        """Return ``stamp_ns``, or the smallest stamp that is still later than the last."""
        if self._last_ns is not None and stamp_ns <= self._last_ns:
            stamp_ns = self._last_ns + 1
        self._last_ns = stamp_ns
        return stamp_ns
