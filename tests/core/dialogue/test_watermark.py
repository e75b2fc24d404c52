"""Watermarks: promises hold, and a silent stream is not waited for."""

from __future__ import annotations

from affectstream.core.dialogue.watermark import MAX_STREAMS, STALL_NS, Watermarks


def test_without_streams_everything_has_passed() -> None:
    marks = Watermarks()
    assert marks.passed(10**18)
    assert marks.lowest_ns is None
    assert marks.next_stall_ns() is None


def test_an_instant_has_passed_when_every_stream_has_reached_it() -> None:
    marks = Watermarks()
    marks.open("a", 0, 0)
    marks.open("b", 0, 0)
    marks.advance("a", 100)
    assert not marks.passed(50)
    marks.advance("b", 50)
    assert marks.passed(50)
    assert not marks.passed(51)
    assert marks.lowest_ns == 50


def test_a_promise_that_goes_back_is_ignored() -> None:
    marks = Watermarks()
    marks.open("a", 0, 0)
    marks.advance("a", 100)
    marks.advance("a", 40)
    assert marks.passed(100)


def test_an_opening_that_comes_twice_takes_no_promise_back() -> None:
    marks = Watermarks()
    marks.open("a", 0, 0)
    marks.advance("a", 100)
    marks.open("a", 0, 7)
    assert marks.passed(100)
    assert len(marks) == 1


def test_a_stream_that_is_not_open_promises_nothing() -> None:
    marks = Watermarks()
    marks.advance("a", 100)
    marks.hear("a", 5)
    assert "a" not in marks
    assert marks.lowest_ns is None


def test_a_closed_stream_is_not_waited_for() -> None:
    marks = Watermarks()
    marks.open("a", 0, 0)
    marks.close("a")
    marks.close("a")
    assert marks.passed(10**18)


def test_a_stream_promises_at_first_what_lies_before_its_start() -> None:
    marks = Watermarks()
    marks.open("a", 1000, 0)
    assert marks.passed(999)
    assert not marks.passed(1000)


def test_a_stream_is_found_silent_exactly_after_three_seconds_and_once() -> None:
    marks = Watermarks()
    marks.open("a", 0, 10)
    marks.open("b", 0, 20)
    assert marks.next_stall_ns() == 10 + STALL_NS
    assert marks.stall(10 + STALL_NS - 1) == []
    assert marks.stall(10 + STALL_NS) == ["a"]
    assert marks.stall(10 + STALL_NS) == []
    assert marks.next_stall_ns() == 20 + STALL_NS
    assert marks.stall(20 + STALL_NS) == ["b"]
    assert marks.next_stall_ns() is None
    assert marks.passed(10**18)


def test_a_silent_stream_that_speaks_again_is_waited_for_again() -> None:
    marks = Watermarks()
    marks.open("a", 0, 0)
    marks.stall(STALL_NS)
    assert marks.passed(99)
    marks.hear("a", STALL_NS + 1)
    assert not marks.passed(99)
    assert marks.next_stall_ns() == 2 * STALL_NS + 1


def test_silence_means_nothing_where_a_stream_drives_the_clock() -> None:
    marks = Watermarks(stall_ns=None)
    marks.open("a", 0, 0)
    assert marks.next_stall_ns() is None
    assert marks.stall(10**18) == []
    assert not marks.passed(1)


def test_no_more_streams_are_followed_than_anybody_has() -> None:
    marks = Watermarks()
    followed = [marks.open(f"mic.{n}", 0, 0) for n in range(MAX_STREAMS + 1)]
    assert followed == [True] * MAX_STREAMS + [False]
    assert marks.open("mic.0", 5, 0), "one that is open already"
    marks.close("mic.1")
    assert marks.open("another", 0, 0)
