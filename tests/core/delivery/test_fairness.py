"""Whose request is answered next, by a clock in hand."""

from __future__ import annotations

from affectstream.core.delivery import fairness
from affectstream.core.delivery.fairness import FairQueue
from affectstream.core.delivery.retry import FIRST_REPEAT_NS

MS = 1_000_000


def test_requests_are_answered_in_the_order_in_which_they_came() -> None:
    queue = FairQueue()
    assert queue.next_wake_ns() is None
    for reader in (b"a", b"b", b"c"):
        assert queue.add(reader, b"state")
    assert queue.next_wake_ns() == 0
    assert [queue.take(0) for _ in range(4)] == [
        (b"a", b"state"),
        (b"b", b"state"),
        (b"c", b"state"),
        None,
    ]


def test_who_was_answered_rests_much_longer_and_others_go_first() -> None:
    queue = FairQueue()
    queue.answered(b"greedy", took_ns=2 * MS, now_ns=2 * MS)
    queue.add(b"greedy", b"history")
    queue.add(b"other", b"resend")
    assert queue.take(2 * MS) == (b"other", b"resend")
    assert queue.take(2 * MS) is None
    assert queue.next_wake_ns() == 40 * MS
    assert queue.take(40 * MS - 1) is None
    assert queue.take(40 * MS) == (b"greedy", b"history")


def test_nobody_rests_so_long_that_its_request_would_be_given_up() -> None:
    queue = FairQueue()
    queue.answered(b"slow", took_ns=1_000 * MS, now_ns=0)
    queue.add(b"slow", b"history")
    due_ns = queue.next_wake_ns()
    assert due_ns == fairness.LONGEST_REST_NS
    assert due_ns < FIRST_REPEAT_NS / 2


def test_who_asks_without_end_takes_a_twentieth_of_the_time() -> None:
    queue, now_ns, spent_ns = FairQueue(), 0, 0
    while now_ns < 1_000 * MS:
        queue.add(b"greedy", b"history")
        if queue.take(now_ns):
            queue.answered(b"greedy", MS, now_ns + MS)
            now_ns, spent_ns = now_ns + MS, spent_ns + MS
        else:
            now_ns = queue.next_wake_ns() or now_ns
    assert spent_ns <= 51 * MS


def test_a_request_that_waits_already_is_answered_once() -> None:
    queue = FairQueue()
    assert queue.add(b"a", b"state")
    assert queue.add(b"a", b"state")
    assert queue.take(0) is not None
    assert queue.take(0) is None


def test_requests_and_resting_readers_are_bounded() -> None:
    queue = FairQueue()
    asked = [queue.add(b"%d" % i, b"state") for i in range(fairness.MAX_QUEUED_REQUESTS + 5)]
    assert asked.count(False) == 5
    for i in range(fairness.MAX_RESTING + 50):
        queue.answered(b"%d" % i, MS, MS)
    assert len(queue._rests_until_ns) == fairness.MAX_RESTING
