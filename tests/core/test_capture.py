"""Positions of captured blocks: losses, lost devices and drifting clocks."""

from __future__ import annotations

import random

import pytest

from affectstream.core.capture import CaptureClock, Placement

START_NS = 1_700_000_000_000_000_000
BLOCK = 320
BLOCK_NS = 20_000_000
RATE_HZ = 16_000


def run(clock: CaptureClock, blocks: int, *, first_ns: int, jitter_ns: int = 0) -> list[Placement]:
    rng = random.Random(4)
    return [
        clock.place(BLOCK, first_ns + i * BLOCK_NS + rng.randint(0, jitter_ns))
        for i in range(blocks)
    ]


def test_the_first_block_lies_where_it_was_captured() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    assert clock.place(BLOCK, START_NS + 500_000_000) == Placement(8000)


def test_a_device_that_began_before_the_stream_begins_with_it() -> None:
    assert CaptureClock(START_NS, RATE_HZ).place(BLOCK, START_NS - 1).first_sample == 0


def test_late_callbacks_move_nothing() -> None:
    placed = run(CaptureClock(START_NS, RATE_HZ), 500, first_ns=START_NS, jitter_ns=200_000_000)
    assert not [p for p in placed if p.reason]
    assert [p.first_sample for p in placed] == [
        placed[0].first_sample + i * BLOCK for i in range(500)
    ]


def test_an_overflow_is_measured_by_the_converters_time() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 10, first_ns=START_NS)
    placed = clock.place(BLOCK, START_NS + 10 * BLOCK_NS + 50_000_000, overflow=True)
    assert placed == Placement(10 * BLOCK + 800, lost=800, reason="overflow")
    following = clock.place(BLOCK, START_NS + 11 * BLOCK_NS + 50_000_000)
    assert following == Placement(11 * BLOCK + 800)


def test_an_overflow_without_a_hole_is_still_said() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 10, first_ns=START_NS)
    placed = clock.place(BLOCK, START_NS + 10 * BLOCK_NS, overflow=True)
    assert placed == Placement(10 * BLOCK, lost=0, reason="overflow")


def test_what_our_own_queue_dropped_is_known_exactly() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 10, first_ns=START_NS)
    placed = clock.place(BLOCK, START_NS + 12 * BLOCK_NS + 3_000_000, dropped=2 * BLOCK)
    assert placed == Placement(12 * BLOCK, lost=2 * BLOCK, reason="overflow")


def test_a_silent_loss_is_found_when_all_blocks_are_late() -> None:
    clock = CaptureClock(START_NS, RATE_HZ, window=75)
    run(clock, 100, first_ns=START_NS)
    placed = run(clock, 100, first_ns=START_NS + 100 * BLOCK_NS + 90_000_000)
    said = [p for p in placed if p.reason]
    assert [(p.reason, p.lost) for p in said] == [("clock", 1440)]
    assert placed[-1].first_sample == 199 * BLOCK + 1440


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


def test_a_device_that_comes_back_is_placed_anew_and_the_time_between_is_lost() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 50, first_ns=START_NS)
    clock.stop()
    placed = clock.place(BLOCK, START_NS + 3_000_000_000)
    assert placed == Placement(48_000, lost=48_000 - 16_000, reason="device lost")


def test_a_device_that_comes_back_at_another_rate_keeps_the_timeline() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 50, first_ns=START_NS)
    other = CaptureClock(START_NS, 48_000, resume_ns=clock.next_ns)
    placed = other.place(960, START_NS + 2_000_000_000)
    assert placed == Placement(96_000, lost=48_000, reason="device lost")


def test_positions_never_run_backwards() -> None:
    clock = CaptureClock(START_NS, RATE_HZ)
    run(clock, 50, first_ns=START_NS)
    clock.stop()
    assert clock.place(BLOCK, START_NS).first_sample == 16_000
