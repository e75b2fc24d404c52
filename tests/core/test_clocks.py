"""Clocks compared and followed, over links that are made up, by a clock that is moved by hand."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectstream.core.clocks import MAX_DRIFT, MAX_SLEW, SAME_CLOCK, ClockFilter, OffsetCourse
from affectstream.timebase import NS_PER_MS, NS_PER_S, ClockProbe

START_NS = 1_800_000_000 * NS_PER_S


class TwoClocks:
    """True time in seconds, and what both clocks show then."""

    def __init__(self, ahead_ns: int, drift: float) -> None:
        self.ahead_ns, self.drift = ahead_ns, drift

    def theirs_ns(self, true_s: float) -> int:
        return START_NS + round(true_s * NS_PER_S)

    def ours_ns(self, true_s: float) -> int:
        return START_NS + self.ahead_ns + round(true_s * NS_PER_S * (1 + self.drift))

    def offset_ns(self, true_s: float) -> int:
        return self.theirs_ns(true_s) - self.ours_ns(true_s)

    def probe(self, sent_s: float, there_s: float, back_s: float) -> ClockProbe:
        read_s = sent_s + there_s
        ours = self.ours_ns(sent_s), self.ours_ns(read_s + back_s)
        return ClockProbe(ours[0], self.theirs_ns(read_s), ours[1])


@settings(max_examples=25, deadline=None)
@given(
    ahead_ns=st.integers(-(10**11), 10**11),
    drift=st.floats(-4e-4, 4e-4),
    base_s=st.floats(0, 0.2),
    jitter_s=st.floats(0, 1.0),
    lopsided=st.booleans(),
    seed=st.integers(0, 1 << 30),
)
def test_the_true_offset_is_never_outside_the_stated_error(
    ahead_ns: int, drift: float, base_s: float, jitter_s: float, lopsided: bool, seed: int
) -> None:
    clocks, chance, found = TwoClocks(ahead_ns, drift), random.Random(seed), ClockFilter()
    for step in range(40):
        back_s = 0.0 if lopsided else base_s + chance.uniform(0, jitter_s)
        at_s = 2.0 * step
        probe = clocks.probe(at_s, base_s + chance.uniform(0, jitter_s), back_s)
        found.receive(probe)
        for later_s in (0.0, 5.0, 60.0):
            now_s = at_s + 2.5 + later_s
            estimate = found.estimate(clocks.ours_ns(now_s))
            assert estimate is not None
            assert abs(estimate.offset_ns - clocks.offset_ns(now_s)) <= estimate.error_ns + 1
    assert len(found) == 40  # none was taken for a jump


def test_offset_and_drift_are_found_though_every_packet_jitters() -> None:
    clocks, chance, found = TwoClocks(5 * NS_PER_S, 200e-6), random.Random(3), ClockFilter()
    for step in range(128):
        found.receive(clocks.probe(2.0 * step, chance.uniform(0, 0.2), chance.uniform(0, 0.2)))
    estimate = found.estimate(clocks.ours_ns(256))
    assert estimate is not None
    assert abs(estimate.offset_ns - clocks.offset_ns(256)) < 5 * NS_PER_MS
    assert abs(estimate.drift + 200e-6) < 50e-6


def test_the_error_grows_while_nothing_is_heard() -> None:
    clocks, found = TwoClocks(NS_PER_S, 0.0), ClockFilter()
    found.receive(clocks.probe(0, 0.001, 0.001))
    errors = [found.estimate(clocks.ours_ns(s)) for s in (0.01, 10, 30)]
    sizes = [estimate.error_ns for estimate in errors if estimate is not None]
    assert sizes[0] < 2 * NS_PER_MS < sizes[1] < sizes[2]
    assert sizes[2] == pytest.approx(30 * NS_PER_S * MAX_DRIFT, rel=0.1)


def test_clocks_that_are_the_same_are_left_exactly_as_they_are() -> None:
    clocks, chance, found = TwoClocks(0, 0.0), random.Random(1), ClockFilter()
    for step in range(50):
        found.receive(clocks.probe(step, chance.uniform(0, 0.3), chance.uniform(0, 0.3)))
        assert found.correction(clocks.ours_ns(step + 1)) == SAME_CLOCK


def test_without_a_probe_nothing_is_known() -> None:
    found = ClockFilter()
    assert found.estimate(0) is None
    assert found.correction(0) is None
    found.receive(ClockProbe(sent_ns=10, remote_ns=5, received_ns=0))  # back before it was sent
    assert len(found) == 0


@pytest.mark.parametrize("jump_s", [-3_600, -0.05, 0.05, 3_600])
def test_after_a_jump_what_was_known_before_is_forgotten(jump_s: float) -> None:
    before, found = TwoClocks(0, 0.0), ClockFilter()
    for step in range(20):
        found.receive(before.probe(step, 0.001, 0.001))
    after = TwoClocks(round(jump_s * NS_PER_S), 0.0)
    for step in range(20, 30):
        found.receive(after.probe(step, 0.001, 0.001))
    estimate = found.estimate(after.ours_ns(30))
    assert estimate is not None
    assert abs(estimate.offset_ns + jump_s * NS_PER_S) < 2 * NS_PER_MS
    assert len(found) == 10


@settings(max_examples=25, deadline=None)
@given(
    ahead_ns=st.integers(-(10**9), 10**9),
    drift=st.floats(-4e-4, 4e-4),
    jitter_s=st.floats(0, 0.5),
    seed=st.integers(0, 1 << 30),
)
def test_a_clock_that_follows_neither_jumps_nor_runs_backwards(
    ahead_ns: int, drift: float, jitter_s: float, seed: int
) -> None:
    clocks, chance, found = TwoClocks(ahead_ns, drift), random.Random(seed), ClockFilter()
    course, read = OffsetCourse(), []
    for tick in range(600):
        at_s = 0.1 * tick
        if tick % 20 == 0:
            delays = chance.uniform(0, jitter_s), chance.uniform(0, jitter_s)
            found.receive(clocks.probe(at_s - 2, *delays))
            aim = found.correction(clocks.ours_ns(at_s))
            assert aim is not None
            course = course.toward(aim, clocks.ours_ns(at_s))
        ours_ns = clocks.ours_ns(at_s)
        read.append((ours_ns, ours_ns + course.correction_ns(ours_ns)))
    for (ours, shown), (ours_later, shown_later) in pairwise(read):
        passed_ns = ours_later - ours
        assert shown_later > shown
        assert abs(shown_later - shown - passed_ns) <= passed_ns * (MAX_SLEW + MAX_DRIFT) + 2


def test_a_difference_is_worked_off_and_not_overshot() -> None:
    clocks, found = TwoClocks(-100 * NS_PER_MS, 0.0), ClockFilter()
    found.receive(clocks.probe(0, 0.0001, 0.0001))
    aim = found.correction(clocks.ours_ns(1))
    assert aim is not None
    course = OffsetCourse().toward(aim, clocks.ours_ns(1))
    assert course.correction_ns(clocks.ours_ns(1)) == 0
    assert course.correction_ns(clocks.ours_ns(11)) == pytest.approx(50 * NS_PER_MS, rel=0.02)
    assert course.correction_ns(clocks.ours_ns(60)) == pytest.approx(100 * NS_PER_MS, rel=0.02)
    assert course.arrived().correction_ns(clocks.ours_ns(1)) == aim.offset_ns
