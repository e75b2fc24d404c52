"""Frames are cut by half-open intervals, and memory is bounded."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from affectstream.core.dialogue.frames import BLOCK_OVERHEAD_BYTES, FrameTrack
from affectstream.messages import Acoustic, Mocap
from affectstream.timebase import Interval


def mocap(times: list[int], columns: int = 2, fill: float | None = None) -> Mocap:
    values = np.zeros((len(times), columns), dtype="<f4")
    values[:] = np.array(times, dtype="<f4")[:, None] if fill is None else fill
    return Mocap(
        session="s1",
        source="face.anna",
        layout="test",
        speaker="anna",
        times_ns=tuple(times),
        rows=len(times),
        columns=columns,
        payload=values.tobytes(),
    )


def acoustic(start_ns: int, hop_ns: int, rows: int) -> Acoustic:
    values = np.arange(rows, dtype="<f4")[:, None]
    return Acoustic(
        session="s1",
        source="mic.anna",
        front_end="lld",
        speaker="anna",
        start_ns=start_ns,
        hop_ns=hop_ns,
        rows=rows,
        columns=1,
        payload=values.tobytes(),
    )


@given(
    st.lists(st.integers(0, 200), unique=True, max_size=40),
    st.integers(1, 7),
    st.integers(0, 200),
    st.integers(0, 200),
)
def test_exactly_the_frames_of_the_half_open_interval_are_cut(
    times: list[int], size: int, one: int, other: int
) -> None:
    times = sorted(times)
    start, end = sorted((one, other))
    track = FrameTrack()
    for i in range(0, len(times), size):
        track.add(mocap(times[i : i + size]))
    cut = track.cut(Interval(start, end))
    expected = [t for t in times if start <= t < end]
    assert expected == [] if cut is None else cut[:, 0].tolist() == expected


def test_the_start_belongs_to_the_interval_and_the_end_does_not() -> None:
    track = FrameTrack()
    track.add(mocap([10, 20, 30]))
    cut = track.cut(Interval(10, 30))
    assert cut is not None
    assert cut[:, 0].tolist() == [10, 20]
    assert track.cut(Interval(20, 20)) is None


def test_acoustic_frames_are_a_hop_apart() -> None:
    track = FrameTrack()
    track.add(acoustic(start_ns=100, hop_ns=10, rows=5))
    cut = track.cut(Interval(110, 131))
    assert cut is not None
    assert cut[:, 0].tolist() == [1, 2, 3]


def test_lost_coordinates_stay_nan() -> None:
    track = FrameTrack()
    track.add(mocap([1, 2], fill=float("nan")))
    cut = track.cut(Interval(0, 10))
    assert cut is not None
    assert np.isnan(cut).all()


def test_an_empty_block_is_nothing() -> None:
    track = FrameTrack()
    track.add(mocap([]))
    track.forget_before(100)
    assert track.cut(Interval(0, 100)) is None


def test_what_lies_before_is_forgotten_by_whole_blocks() -> None:
    track = FrameTrack()
    track.add(mocap([1, 2]))
    track.add(mocap([3, 4]))
    track.forget_before(2)
    cut = track.cut(Interval(0, 10))
    assert cut is not None
    assert len(cut) == 4
    track.forget_before(4)
    cut = track.cut(Interval(0, 10))
    assert cut is not None
    assert cut[:, 0].tolist() == [3, 4]
    assert track.dropped == 0


def test_memory_is_bounded_and_what_makes_room_is_counted() -> None:
    track = FrameTrack(max_bytes=10 * (BLOCK_OVERHEAD_BYTES + 10 * (2 * 4 + 8)))
    for i in range(50):
        track.add(mocap(list(range(10 * i, 10 * i + 10))))
    cut = track.cut(Interval(0, 10_000))
    assert cut is not None
    assert cut[:, 0].tolist() == list(range(400, 500))
    assert track.dropped == 400


def test_one_block_larger_than_the_bound_is_kept() -> None:
    track = FrameTrack(max_bytes=8)
    track.add(mocap([1, 2, 3]))
    cut = track.cut(Interval(0, 10))
    assert cut is not None
    assert len(cut) == 3


def test_another_layout_replaces_what_was_kept_and_is_counted() -> None:
    track = FrameTrack()
    track.add(mocap([1, 2], columns=2))
    track.add(mocap([3], columns=5))
    cut = track.cut(Interval(0, 10))
    assert cut is not None
    assert cut.shape == (1, 5)
    assert track.dropped == 2


def test_many_small_blocks_are_as_large_as_they_are_costly() -> None:
    track = FrameTrack(max_bytes=64 * BLOCK_OVERHEAD_BYTES)
    for start_ns in range(1_000):
        track.add(acoustic(start_ns, 1, 1))
    assert len(track) < 64
    assert track.dropped == 1_000 - len(track)
    track.forget_before(10_000)
    assert len(track) == 0
