"""Time as integers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectstream.timebase import (
    NS_PER_S,
    ClockProbe,
    Interval,
    StampGuard,
    best_probe,
    ns_to_samples,
    ns_to_seconds,
    samples_to_ns,
    seconds_to_ns,
)

CALM = settings(deadline=None)
RATES = st.sampled_from((8_000, 16_000, 22_050, 44_100, 48_000))
INSTANTS = st.integers(0, 1 << 61)


@CALM
@given(samples=st.integers(0, 1 << 50), rate=RATES)
def test_a_sample_count_survives_the_way_to_nanoseconds_and_back(samples: int, rate: int) -> None:
    assert ns_to_samples(samples_to_ns(samples, rate), rate) == samples


@CALM
@given(samples=st.integers(0, 1 << 40), rate=RATES)
def test_later_samples_are_never_earlier_in_time(samples: int, rate: int) -> None:
    assert samples_to_ns(samples, rate) < samples_to_ns(samples + 1, rate)


def test_an_hour_of_blocks_does_not_drift() -> None:
    assert samples_to_ns(44_100 * 3600, 44_100) == 3600 * NS_PER_S


@CALM
@given(seconds=st.floats(0, 1e6))
def test_seconds_survive_the_way_to_nanoseconds_and_back(seconds: float) -> None:
    assert ns_to_seconds(seconds_to_ns(seconds)) == pytest.approx(seconds, abs=1e-9)


def test_an_interval_cannot_end_before_it_starts() -> None:
    with pytest.raises(ValueError, match="cannot end"):
        Interval(2, 1)


def test_an_interval_is_half_open() -> None:
    span = Interval(10, 20)
    assert span.overlap_ns(Interval(20, 30)) == 0
    assert span.overlap_ns(Interval(15, 30)) == 5
    assert span.duration_ns == 10


@CALM
@given(st.lists(INSTANTS, min_size=4, max_size=4))
def test_overlap_is_the_same_both_ways_and_never_longer_than_either(ends: list[int]) -> None:
    a, b = Interval(*sorted(ends[:2])), Interval(*sorted(ends[2:]))
    assert a.overlap_ns(b) == b.overlap_ns(a)
    assert 0 <= a.overlap_ns(b) <= min(a.duration_ns, b.duration_ns)


@CALM
@given(offset=st.integers(-(10**12), 10**12), there=st.integers(0, 10**6))
def test_a_probe_errs_by_half_its_round_trip_at_most(offset: int, there: int) -> None:
    probe = ClockProbe(sent_ns=0, remote_ns=there + offset, received_ns=10**6)
    assert abs(probe.offset_ns - offset) <= probe.round_trip_ns // 2


def test_the_probe_with_the_lowest_round_trip_wins() -> None:
    assert best_probe([ClockProbe(0, 500, 100), ClockProbe(0, 105, 10)]).offset_ns == 100
    with pytest.raises(ValueError, match="no clock probe"):
        best_probe([])


@CALM
@given(st.lists(INSTANTS))
def test_guarded_stamps_strictly_increase_and_are_never_moved_back(stamps: list[int]) -> None:
    guard = StampGuard()
    accepted = [guard.accept(stamp) for stamp in stamps]
    assert all(a < b for a, b in pairwise(accepted))
    assert all(a >= b for a, b in zip(accepted, stamps, strict=True))
