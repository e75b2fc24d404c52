"""The map from event time to processing time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from affectstream.core.pacing import Pacer, parse_speed, speed_text
from affectstream.errors import UsageError

S = 1_000_000_000


def test_at_double_speed_half_the_time_passes() -> None:
    pacer = Pacer(2.0)
    pacer.start(10 * S, 100 * S)
    assert pacer.due_ns(10 * S) == 100 * S
    assert pacer.due_ns(14 * S) == 102 * S


def test_as_fast_as_can_be_everything_is_due_at_once() -> None:
    pacer = Pacer(math.inf)
    pacer.start(0, 7)
    assert pacer.due_ns(10**15) == 7


def test_a_pacer_can_be_anchored_anew() -> None:
    pacer = Pacer()
    pacer.start(0, 0)
    pacer.start(5 * S, 50 * S)
    assert pacer.due_ns(6 * S) == 51 * S


def test_a_pacer_that_was_not_started_says_so() -> None:
    with pytest.raises(RuntimeError, match="start the pacer"):
        Pacer().due_ns(0)


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan, -math.inf])
def test_a_speed_that_cannot_be_played_is_refused(speed: float) -> None:
    with pytest.raises(UsageError, match="above 0"):
        Pacer(speed)


@given(st.lists(st.integers(0, 10**14), min_size=2), st.floats(0.01, 1000))
def test_order_is_kept_at_any_speed(instants: list[int], speed: float) -> None:
    pacer = Pacer(speed)
    pacer.start(0, 0)
    due = [pacer.due_ns(instant) for instant in sorted(instants)]
    assert due == sorted(due)


def test_speeds_are_read_from_text() -> None:
    assert parse_speed("max") == math.inf
    assert parse_speed("0.5") == 0.5
    assert parse_speed("10") == 10.0


@pytest.mark.parametrize("text", ["", "fast", "0", "-1", "inf", "nan", "1x"])
def test_text_that_is_no_speed_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(UsageError, match="a number above 0, or max"):
        parse_speed(text)


@pytest.mark.parametrize("text", ["max", "1.0", "0.25", "1000000.0"])
def test_a_speed_is_written_as_it_is_read(text: str) -> None:
    assert speed_text(parse_speed(text)) == text
