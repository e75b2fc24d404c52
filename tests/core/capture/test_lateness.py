"""When late blocks mean that the count of samples is wrong."""

from __future__ import annotations

from affectstream.core.capture.lateness import SETTLE_BLOCKS, WINDOW_BLOCKS, Lateness

TOLERANCE, SUDDEN = 80, 960


def corrections(lateness: Lateness, late: list[int]) -> list[tuple[int, int]]:
    """Return the corrections and after how many blocks they came."""
    found = [(number, lateness.observe(value)) for number, value in enumerate(late, 1)]
    return [(number, off) for number, off in found if off]


def test_a_run_is_put_right_after_few_blocks_and_drift_after_many() -> None:
    lateness = Lateness(TOLERANCE, SUDDEN)
    assert corrections(lateness, [-200] * SETTLE_BLOCKS) == [(SETTLE_BLOCKS, -200)]
    assert corrections(lateness, [100] * WINDOW_BLOCKS) == [(WINDOW_BLOCKS, 100)]


def test_what_is_within_the_tolerance_is_left() -> None:
    lateness = Lateness(TOLERANCE, SUDDEN)
    assert corrections(lateness, [TOLERANCE] * (2 * WINDOW_BLOCKS)) == []


def test_one_block_in_time_outweighs_many_late_ones() -> None:
    lateness = Lateness(TOLERANCE, SUDDEN)
    assert corrections(lateness, ([3000] * (SETTLE_BLOCKS - 1) + [0]) * 20) == []


def test_blocks_that_are_all_late_are_a_hole_unless_they_catch_up() -> None:
    lateness = Lateness(TOLERANCE, SUDDEN)
    corrections(lateness, [0] * SETTLE_BLOCKS)
    assert corrections(lateness, [1500] * SETTLE_BLOCKS) == [(SETTLE_BLOCKS, 1500)]
    catching_up = list(range(50_000, 0, -1000)) + [0] * SETTLE_BLOCKS
    assert corrections(lateness, catching_up) == []


def test_a_new_run_forgets_the_old_one() -> None:
    lateness = Lateness(TOLERANCE, SUDDEN)
    corrections(lateness, [500] * (SETTLE_BLOCKS - 1))
    lateness.reset()
    assert lateness.observe(0) == 0
    assert corrections(lateness, [0] * SETTLE_BLOCKS) == []
