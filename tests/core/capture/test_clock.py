"""Positions of captured blocks: losses, lost devices and drifting clocks."""

from __future__ import annotations

import random

import pytest

from affectstream.core.capture.clock import CaptureClock, Placement

START_NS = 1_700_000_000_000_000_000
BLOCK = 320
BLOCK_NS = 20_000_000
RATE_HZ = 16_000


def run(clock: CaptureClock, blocks: int, *, first_ns: int) -> list[Placement]:
    return [clock.place(BLOCK, first_ns + i * BLOCK_NS) for i in range(blocks)]


def test_the_first_block_lies_where_it_was_captured() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    assert clock.place(BLOCK, START_NS + 500_000_000) == Placement(8000)


def test_a_device_that_began_before_the_stream_begins_with_it() -> None:
    assert CaptureClock(START_NS, RATE_HZ).place(BLOCK, START_NS - 1).first_sample == 0


def test_late_callbacks_move_nothing() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    rng = random.Random(4)
    for i in range(1000):
        late_ns = rng.randint(0, 200_000_000 if rng.random() < 0.5 else 2_000_000)
        assert clock.place(BLOCK, START_NS + i * BLOCK_NS + late_ns * (i > 0)) == Placement(
            i * BLOCK
        )


def test_a_first_block_that_came_late_is_put_right_by_those_after_it() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    clock.place(BLOCK, START_NS + 40_000_000)
    placed = run(clock, 100, first_ns=START_NS + BLOCK_NS)
    assert [(p.reason, p.lost) for p in placed if p.reason] == [("clock", 640)]
    assert placed[-1].first_sample == 100 * BLOCK


def test_an_overflow_is_a_hole_as_long_as_the_blocks_after_it_show() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 10, first_ns=START_NS)
    at_ns = START_NS + 10 * BLOCK_NS + 50_000_000
    placed = clock.place(BLOCK, at_ns, overflow=True, sure=True)
    assert placed == Placement(10 * BLOCK + 800, lost=800, reason="overflow")
    following = clock.place(BLOCK, START_NS + 11 * BLOCK_NS + 50_000_000)
    assert following == Placement(11 * BLOCK + 800)


def test_an_overflow_without_a_hole_is_still_said() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 10, first_ns=START_NS)
    placed = clock.place(BLOCK, START_NS + 10 * BLOCK_NS, overflow=True, sure=True)
    assert placed == Placement(10 * BLOCK, lost=0, reason="overflow")


def test_after_a_hold_up_in_which_nothing_was_lost_the_count_goes_on() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 10, first_ns=START_NS)
    assert clock.doubts(START_NS + 10 * BLOCK_NS + 900_000_000)
    assert clock.place(BLOCK, START_NS + 10 * BLOCK_NS + 20_000_000, sure=True) == Placement(
        10 * BLOCK
    )


def test_after_a_hold_up_a_hole_that_nobody_reported_is_said_at_once() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 10, first_ns=START_NS)
    placed = clock.place(BLOCK, START_NS + 60 * BLOCK_NS, sure=True)
    assert placed == Placement(60 * BLOCK, lost=50 * BLOCK, reason="overflow")


def test_a_backlog_that_is_caught_up_with_moves_nothing() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 300, first_ns=START_NS)
    begin_ns = START_NS + 300 * BLOCK_NS
    placed = [clock.place(BLOCK, begin_ns + 3_000_000_000 + i * 100_000) for i in range(150)]
    placed += run(clock, 300, first_ns=begin_ns + 150 * BLOCK_NS)
    assert not [p for p in placed if p.reason]


def test_a_silent_loss_is_found_when_all_blocks_are_late() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 100, first_ns=START_NS)
    placed = run(clock, 100, first_ns=START_NS + 100 * BLOCK_NS + 90_000_000)
    assert [(p.reason, p.lost) for p in placed if p.reason] == [("clock", 1440)]
    assert placed[-1].first_sample == 199 * BLOCK + 1440


@pytest.mark.parametrize("rate_ppm", [100, -100])
def test_an_hour_of_a_clock_that_drifts_stays_within_milliseconds(rate_ppm: int) -> None:
    """100 parts in a million are 360 ms after an hour; what is put in or left out is said."""
    rng = random.Random(7)
    clock = CaptureClock(START_NS, RATE_HZ)
    missing = last = 0
    for i in range(3600 * 50 // 3):  # of 60 ms
        true_ns = START_NS + i * 60_000_000 * 1_000_000 // (1_000_000 + rate_ppm)
        placed = clock.place(960, true_ns + rng.randint(0, 15_000_000))
        missing += placed.lost
        assert placed.first_sample >= last
        last = placed.first_sample + 960 - placed.skip
        if i > 30:
            error_ns = START_NS + placed.first_sample * 1_000_000_000 // RATE_HZ - true_ns
            assert placed.skip or -9_000_000 < error_ns < 20_000_000
    assert missing == pytest.approx(3600 * RATE_HZ * abs(rate_ppm) / 1e6, rel=0.1)


def test_what_our_own_queue_dropped_is_known_exactly() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 10, first_ns=START_NS)
    placed = clock.place(BLOCK, START_NS + 12 * BLOCK_NS + 3_000_000, dropped=2 * BLOCK)
    assert placed == Placement(12 * BLOCK, lost=2 * BLOCK, reason="overflow")


def test_a_fast_device_does_not_run_away() -> None:
    """A device 1 % fast: what it delivers too much is thrown away, and said."""
    clock = CaptureClock(START_NS, RATE_HZ)
    lost = 0
    for i in range(3000):
        adc_ns = START_NS + int(i * BLOCK_NS / 1.01)
        placed = clock.place(BLOCK, adc_ns)
        lost += placed.lost
        assert placed.reason in ("", "clock")
        assert abs(clock.next_ns - BLOCK_NS - adc_ns) < 120_000_000
    assert lost == pytest.approx(3000 * BLOCK * 0.01, rel=0.2)


def test_a_slow_device_does_not_fall_behind() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    for i in range(3000):
        adc_ns = START_NS + int(i * BLOCK_NS * 1.01)
        clock.place(BLOCK, adc_ns)
        assert abs(clock.next_ns - BLOCK_NS - adc_ns) < 120_000_000


@pytest.mark.parametrize("reason", ["device lost", "device changed"])
def test_a_device_that_comes_back_is_placed_anew_and_the_time_between_is_lost(reason: str) -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 50, first_ns=START_NS)
    again = CaptureClock(START_NS, RATE_HZ, resume_ns=clock.next_ns, reason=reason)
    placed = again.place(BLOCK, START_NS + 3_000_000_000, sure=True)
    assert placed == Placement(48_000, lost=48_000 - 16_000, reason=reason)


def test_a_device_that_comes_back_at_another_rate_keeps_the_timeline() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 50, first_ns=START_NS)
    other = CaptureClock(START_NS, 48_000, resume_ns=clock.next_ns)
    placed = other.place(960, START_NS + 2_000_000_000)
    assert placed == Placement(96_000, lost=48_000, reason="device lost")


def test_positions_never_run_backwards() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 50, first_ns=START_NS)
    again = CaptureClock(START_NS, RATE_HZ, resume_ns=clock.next_ns)
    assert again.place(BLOCK, START_NS).first_sample == 16_000
