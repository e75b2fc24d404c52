"""The machine's clock never jumps."""

from __future__ import annotations

import time

import pytest

from affectstream.bus.wall_clock import WallClock
from affectstream.timebase import NS_PER_S


def test_the_wall_clock_is_near_the_system_s_and_never_runs_backwards() -> None:
    clock = WallClock()
    assert abs(clock.now_ns() - time.time_ns()) < NS_PER_S
    readings = [clock.now_ns() for _ in range(1000)]
    assert readings == sorted(readings)


def test_the_wall_clock_does_not_follow_an_adjustment_of_the_system_clock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = WallClock()
    before = clock.now_ns()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert clock.now_ns() >= before
