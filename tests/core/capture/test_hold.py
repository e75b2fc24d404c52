"""Blocks that are held until it is known when they were captured."""

from __future__ import annotations

from affectstream.core.capture.hold import MAX_HELD_BLOCKS, BlockHold

RATE_HZ = 16_000
BLOCK = 960
BLOCK_NS = 60_000_000
MS = 1_000_000


def test_steady_blocks_are_released_once_the_first_is_known_not_to_be_late() -> None:
    hold: BlockHold[int] = BlockHold(RATE_HZ)
    ready = [hold.add(i, BLOCK, i * BLOCK_NS) for i in range(5)]
    assert ready == [False] * 4 + [True]
    assert hold.release() == [(i, i * BLOCK_NS) for i in range(5)]


def test_a_burst_is_placed_by_the_block_that_ends_it() -> None:
    """20 blocks waited for 1.2 s and come at once; the four after them come in time."""
    hold: BlockHold[int] = BlockHold(RATE_HZ)
    late = [hold.add(i, BLOCK, 1_200 * MS + i * MS) for i in range(20)]
    assert not any(late)
    ready = [hold.add(i, BLOCK, i * BLOCK_NS) for i in range(20, 25)]
    assert ready == [False] * 4 + [True]
    assert [captured for _, captured in hold.release()] == [i * BLOCK_NS for i in range(25)]


def test_what_was_thrown_away_keeps_its_place() -> None:
    hold: BlockHold[int] = BlockHold(RATE_HZ)
    hold.add(0, BLOCK, 0)
    hold.add(1, BLOCK, 3 * BLOCK_NS, dropped=2 * BLOCK)
    assert [captured for _, captured in hold.release()] == [0, 3 * BLOCK_NS]


def test_a_burst_without_end_is_released_too() -> None:
    hold: BlockHold[int] = BlockHold(RATE_HZ)
    ready = [hold.add(i, BLOCK, 0) for i in range(MAX_HELD_BLOCKS)]
    assert ready == [False] * (MAX_HELD_BLOCKS - 1) + [True]
