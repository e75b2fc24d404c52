"""How long answers are waited for, with a clock that is moved by hand."""

from __future__ import annotations

from affectstream.core.delivery.retry import (
    ABSENT_NS,
    FIRST_REPEAT_NS,
    LATELY_NS,
    LONGEST_NS,
    MAX_REPEAT_NS,
    RetryTimer,
)
from affectstream.timebase import NS_PER_S


def waits(patience: RetryTimer, now_ns: int, count: int) -> list[int]:
    """Return the pauses before each of ``count`` repetitions."""
    found = []
    for _ in range(count):
        found.append(patience.repeat_at_ns - now_ns)
        now_ns = patience.repeat_at_ns
        patience.repeat(now_ns)
    return found


def test_a_question_is_repeated_ever_more_seldom() -> None:
    patience = RetryTimer()
    patience.ask(0)
    first = [FIRST_REPEAT_NS << number for number in range(4)]
    assert waits(patience, 0, 7) == [*first, MAX_REPEAT_NS, MAX_REPEAT_NS, MAX_REPEAT_NS]


def test_after_a_slow_answer_the_next_is_waited_for_longer() -> None:
    patience = RetryTimer()
    patience.ask(0)
    patience.answer(NS_PER_S)
    patience.ask(10 * NS_PER_S)
    assert patience.repeat_at_ns == 12 * NS_PER_S
    patience.answer(10 * NS_PER_S + 1)
    patience.ask(20 * NS_PER_S)
    assert patience.repeat_at_ns == 20 * NS_PER_S + FIRST_REPEAT_NS


def test_an_outlet_that_says_nothing_is_given_up_after_the_longest_time() -> None:
    patience = RetryTimer()
    patience.ask(7)
    assert not patience.ended(7 + LONGEST_NS - 1)
    assert patience.ended(7 + LONGEST_NS)


def test_an_outlet_that_left_while_it_was_heard_is_given_up_sooner() -> None:
    patience = RetryTimer()
    patience.hear(0)
    patience.ask(0)
    patience.miss(LATELY_NS)
    patience.miss(LATELY_NS + 9)  # the first time counts
    assert not patience.ended(LATELY_NS + ABSENT_NS - 1)
    assert patience.ended(LATELY_NS + ABSENT_NS)


def test_an_outlet_that_fell_silent_before_the_hub_missed_it_is_behind_a_cut_link() -> None:
    patience = RetryTimer()
    patience.hear(0)
    patience.ask(0)
    patience.miss(LATELY_NS + 1)
    assert not patience.ended(LONGEST_NS - 1)


def test_a_new_question_forgets_that_the_hub_once_missed_the_outlet() -> None:
    patience = RetryTimer()
    patience.hear(0)
    patience.ask(0)
    patience.miss(1)
    patience.answer(2)
    patience.ask(3)
    assert not patience.ended(3 + ABSENT_NS)
