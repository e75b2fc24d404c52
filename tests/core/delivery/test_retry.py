"""How long answers are waited for, with a clock that is moved by hand."""

from __future__ import annotations

from affectstream.core.delivery.retry import (
    ABSENT_NS,
    FIRST_REPEAT_NS,
    GIVE_UP_NS,
    HEARD_LATELY_NS,
    MAX_REPEAT_NS,
    RetryTimer,
)
from affectstream.timebase import NS_PER_S


def waits(timer: RetryTimer, now_ns: int, count: int) -> list[int]:
    """Return the pauses before each of ``count`` repetitions."""
    found = []
    for _ in range(count):
        found.append(timer.repeat_at_ns - now_ns)
        now_ns = timer.repeat_at_ns
        timer.repeat(now_ns)
    return found


def test_a_question_is_repeated_ever_more_seldom() -> None:
    timer = RetryTimer()
    timer.start(0)
    first = [FIRST_REPEAT_NS << number for number in range(4)]
    assert waits(timer, 0, 7) == [*first, MAX_REPEAT_NS, MAX_REPEAT_NS, MAX_REPEAT_NS]


def test_after_a_slow_answer_the_next_is_waited_for_longer() -> None:
    timer = RetryTimer()
    timer.start(0)
    timer.answered(NS_PER_S)
    timer.start(10 * NS_PER_S)
    assert timer.repeat_at_ns == 12 * NS_PER_S
    timer.answered(10 * NS_PER_S + 1)
    timer.start(20 * NS_PER_S)
    assert timer.repeat_at_ns == 20 * NS_PER_S + FIRST_REPEAT_NS


def test_an_outlet_that_says_nothing_is_given_up_after_the_longest_time() -> None:
    timer = RetryTimer()
    timer.start(7)
    assert not timer.expired(7 + GIVE_UP_NS - 1)
    assert timer.expired(7 + GIVE_UP_NS)


def test_an_outlet_that_left_while_it_was_heard_is_given_up_sooner() -> None:
    timer = RetryTimer()
    timer.heard(0)
    timer.start(0)
    timer.unreachable(HEARD_LATELY_NS)
    timer.unreachable(HEARD_LATELY_NS + 9)  # the first time counts
    assert not timer.expired(HEARD_LATELY_NS + ABSENT_NS - 1)
    assert timer.expired(HEARD_LATELY_NS + ABSENT_NS)


def test_an_outlet_that_fell_silent_before_the_hub_missed_it_is_behind_a_cut_link() -> None:
    timer = RetryTimer()
    timer.heard(0)
    timer.start(0)
    timer.unreachable(HEARD_LATELY_NS + 1)
    assert not timer.expired(GIVE_UP_NS - 1)


def test_a_new_question_forgets_that_the_hub_once_missed_the_outlet() -> None:
    timer = RetryTimer()
    timer.heard(0)
    timer.start(0)
    timer.unreachable(1)
    timer.answered(2)
    timer.start(3)
    assert not timer.expired(3 + ABSENT_NS)
