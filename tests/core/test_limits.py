"""A limit on a rate. Time is a variable."""

from __future__ import annotations

from affectstream.core.limits import TokenBucket
from affectstream.timebase import NS_PER_S

S = NS_PER_S
NOW = 1_700_000_000 * S


def test_a_bucket_gives_what_it_has_and_fills_with_time() -> None:
    bucket = TokenBucket(rate=10, size=3)
    assert [bucket.take(1, NOW) for _ in range(5)] == [True, True, True, False, False]
    assert bucket.take(1, NOW + S // 10)
    assert not bucket.take(1, NOW + S // 10)
    assert [bucket.take(1, NOW + 100 * S) for _ in range(4)] == [True, True, True, False]


def test_a_bucket_may_go_into_debt_and_time_that_runs_back_fills_nothing() -> None:
    bucket = TokenBucket(rate=10, size=10)
    assert bucket.take(30, NOW)
    assert not bucket.take(1, NOW - 10 * S)
    assert not bucket.take(1, NOW + S)
    assert bucket.take(1, NOW + 3 * S)
