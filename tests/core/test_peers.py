"""What a peer may do: rates, shapes, names; strikes and blocks. Time is a variable."""

from __future__ import annotations

from typing import Any

import pytest

from affectstream.codec import MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES, encode
from affectstream.core import peers
from affectstream.core.limits import PeerLimits
from affectstream.core.peers import PeerGuard
from affectstream.messages import Progress
from affectstream.timebase import NS_PER_S
from bus_helpers import frames_of

S = NS_PER_S
NOW = 1_700_000_000 * S
GOOD = {"session": "s1", "source": "mic.anna", "epoch": 5, "watermark_ns": 1}


def guard(**limits: Any) -> PeerGuard:
    return PeerGuard(PeerLimits(**limits), exempt="hub")


def message(source: str = "mic.anna", epoch: int = 5, session: str = "s1") -> list[bytes]:
    return encode(Progress(session=session, source=source, epoch=epoch, watermark_ns=1))


def test_what_a_worker_sends_passes() -> None:
    found = guard()
    for number in range(1_000):
        assert found.publication("laptop", message(), NOW + number * S // 100) is None
    assert not found.losses
    assert not found.blocks


def test_too_many_messages_are_dropped_then_their_sender_is_blocked_and_others_are_not() -> None:
    found = guard(messages_per_s=10, burst_s=1, strikes=5, strikes_forgiven_per_s=0)
    said = [found.publication("flood", message(), NOW) for _ in range(20)]
    assert said[:10] == [None] * 10
    assert said[10] == "more than 10 messages a second"
    assert said[-1] == "it is blocked"
    (block,) = found.blocks
    assert (block.peer, block.seconds) == ("flood", 10)
    assert found.is_blocked("flood", NOW)
    assert sum(found.losses.values()) == 10
    assert {loss.peer for loss in found.losses} == {"flood"}
    assert {loss.lost for loss in found.losses} == {"progress of s1/mic.anna"}
    assert found.publication("other", message("mic.ben", 6), NOW) is None
    assert not found.is_blocked("other", NOW)


def test_a_block_ends_is_twice_as_long_the_next_time_and_is_forgotten() -> None:
    found = guard(messages_per_s=1, burst_s=1, strikes=1, strikes_forgiven_per_s=0)

    def provoke(now_ns: int) -> float:
        for _ in range(4):
            found.publication("flood", message(), now_ns)
        return found.blocks.pop().seconds

    assert provoke(NOW) == 10
    assert not found.is_blocked("flood", NOW + 10 * S)
    assert provoke(NOW + 11 * S) == 20
    assert provoke(NOW + 40 * S) == 40
    now_ns = NOW + 100 * S
    lengths = []
    for _ in range(8):
        lengths.append(provoke(now_ns))
        now_ns += 700 * S
    assert max(lengths) == 600
    assert provoke(now_ns + 2 * 3_600 * S) == 10


def test_a_few_strikes_now_and_then_are_forgiven() -> None:
    found = guard(strikes=3, strikes_forgiven_per_s=1)
    for number in range(50):
        assert found.publication("laptop", [b"nonsense"], NOW + number * S) is not None
    assert not found.blocks


def test_bytes_count_too() -> None:
    found = guard(bytes_per_s=1_000, burst_s=1)
    big = frames_of("audio", {"session": "s1", "source": "a", "epoch": 1}, bytes(2_000))
    assert found.publication("laptop", big, NOW) is None
    assert found.publication("laptop", message(), NOW) == "more than 1000 bytes a second"
    assert found.publication("laptop", message(), NOW + 2 * S) is None


DEEP: Any = [[[[[[[[1]]]]]]]]


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        ([b"progress/s1/mic.anna"], "frames"),
        ([b"a", b"b", b"c", b"d"], "frames"),
        ([b"progress/s1/mic.anna", b"\xc1", b""], "not MessagePack"),
        ([b"progress/s1/mic.anna", b"\x80" * (MAX_HEADER_BYTES + 1), b""], "too large"),
        (frames_of("progress", GOOD, bytes(MAX_PAYLOAD_BYTES + 1)), "too large"),
        (frames_of("progress", GOOD | {"extra": DEEP}), "too large"),
        ([b"x" * 600, *frames_of("progress", GOOD)[1:]], "too large"),
        (frames_of("progress", GOOD | {"v": 2}), "version"),
        ([b"progress/s2/mic.anna", *frames_of("progress", GOOD)[1:]], "its topic"),
        (frames_of("progress", GOOD | {"source": "a b"}), "no name"),
        (frames_of("progress", GOOD | {"source": "\x1b[2J"}), "no name"),
        (frames_of("progress", GOOD | {"session": "hub"}), "the session hub is the hub's"),
    ],
)
def test_what_is_no_message_is_refused_and_named(frames: list[bytes], said: str) -> None:
    found = guard()
    reason = found.publication("laptop", frames, NOW)
    assert reason is not None
    assert said in reason
    (loss,) = found.losses
    assert loss.reason == reason
    assert (loss.lost + loss.reason).isprintable()


def test_an_unknown_kind_passes_for_a_reader_may_know_it() -> None:
    assert guard().publication("laptop", frames_of("laughter", GOOD), NOW) is None


def test_a_stream_belongs_to_whom_publishes_it_until_that_is_silent() -> None:
    found = guard()
    assert found.publication("laptop", message(epoch=1), NOW) is None
    assert found.publication("thief", message(epoch=2), NOW) == "s1/mic.anna belongs to laptop"
    assert found.publication("laptop", message(epoch=1), NOW + 9 * S) is None
    assert found.publication("thief", message(epoch=2), NOW + 18 * S) is not None
    assert found.publication("thief", message(epoch=2), NOW + 19 * S) is None
    assert found.publication("laptop", message(epoch=1), NOW + 20 * S) is not None


def test_an_outlet_is_nobody_elses_until_it_was_silent_for_long() -> None:
    found = guard()
    assert found.publication("laptop", message(epoch=1), NOW) is None
    late_ns = NOW + 1_000 * S
    said = found.publication("thief", message("mic.ben", epoch=1), late_ns)
    assert said == "its epoch belongs to laptop"
    assert found.request("thief", [b"1", b"reader", b"lies"], late_ns) is not None
    assert found.request("laptop", [b"1", b"reader", b"truth"], late_ns) is None
    assert found.publication("thief", message("mic.ben", epoch=1), NOW + 3_600 * S) is None


def test_a_stream_is_taken_back_by_the_peer_it_is_named_for_which_is_never_punished() -> None:
    found = guard(strikes=5, strikes_forgiven_per_s=0)
    for number in range(50):
        found.publication("thief", message(epoch=2), NOW + number)
        assert found.publication("anna", message(epoch=1), NOW + number) is None
    assert [block.peer for block in found.blocks] == ["thief"]
    assert {loss.peer for loss in found.losses} == {"thief"}


@pytest.mark.parametrize("owner", ["laptop", "mic.anna"])
def test_a_conflict_about_a_stream_is_no_strike_against_whom_it_may_belong_to(owner: str) -> None:
    """Who is first may be the thief: of two that the stream is named for or neither, who knows?"""
    found = guard(strikes=5, strikes_forgiven_per_s=0)
    rightful = "anna" if owner == "mic.anna" else "desk"
    found.publication(owner, message(epoch=1), NOW)
    for number in range(500):
        assert found.publication(rightful, message(epoch=2), NOW + number) is not None
    for number in range(500):  # and of an epoch
        assert found.publication(rightful, message("mic.x", epoch=1), NOW + number) is not None
    assert not found.blocks
    assert not found.is_blocked(rightful, NOW + 500)


def test_what_is_dropped_for_one_claim_makes_no_other() -> None:
    found = guard()
    found.publication("anna", message(epoch=1), NOW)
    assert found.publication("thief", message(epoch=2), NOW) is not None
    assert found.publication("ben", message("mic.ben", epoch=2), NOW) is None
    assert found.publication("thief", message("mic.new", epoch=1), NOW) is not None
    assert found.publication("ben", message("mic.new", epoch=2), NOW) is None


def test_claims_outlive_the_hub_and_are_as_good_as_before_for_as_long_as_they_last() -> None:
    before = guard()
    before.publication("laptop", message(epoch=1), NOW)
    assert before.claims.are_new
    found = guard()
    found.claims.recall(list(before.claims.kept()), NOW)
    assert not found.claims.are_new
    said = found.publication("thief", message(epoch=2), NOW + 9 * S)
    assert said == "s1/mic.anna belongs to laptop"
    assert found.publication("thief", message("mic.x", epoch=1), NOW + 9 * S) is not None
    assert found.publication("laptop", message(epoch=1), NOW + 9 * S) is None
    assert found.publication("thief", message(epoch=2), NOW + 19 * S) is None


def test_an_answer_that_nobody_asked_for_counts_for_who_sends_it() -> None:
    found = guard(bytes_per_s=1_000, burst_s=1)
    found.publication("outlet", message(epoch=7), NOW)
    assert found.request("asker", [b"reader", b"7", b"all"], NOW) is None
    assert found.request("outlet", [b"7", b"reader", bytes(1_500)], NOW) is None
    assert found.request("outlet", [b"7", b"reader", bytes(1_500)], NOW) is None  # its own bytes
    said = found.request("outlet", [b"7", b"reader", bytes(1_500)], NOW)
    assert said == "more than 1000 bytes a second"
    assert found.request("asker", [b"reader", b"7", b"more"], NOW + 2 * S) is None


def test_an_endless_answer_is_charged_to_who_asked_up_to_a_bound() -> None:
    found = guard(bytes_per_s=peers.MAX_ANSWER_BYTES, burst_s=1)
    found.publication("outlet", message(epoch=7), NOW)
    assert found.request("asker", [b"reader", b"7", b"all"], NOW) is None
    assert found.request("outlet", [b"7", b"reader", *[bytes(1 << 20)] * 100], NOW) is None
    assert found.request("asker", [b"reader", b"7", b"more"], NOW + S) is None
    assert found.publication("outlet", message(epoch=7), NOW + S) is not None


def test_a_stranger_s_requests_do_not_push_out_another_peer_s() -> None:
    found = guard(names=10, request_burst=1_000, bytes_per_s=1_000, burst_s=1)
    found.publication("outlet", message(epoch=7), NOW)
    assert found.request("asker", [b"reader", b"7", b"all"], NOW) is None
    for number in range(100):
        found.request("greedy", [b"r%d" % number, b"7", b""], NOW)
    for _ in range(3):
        found.request("greedy", [b"r1", b"7", b""], NOW)
    assert found.request("outlet", [b"7", b"reader", bytes(50_000)], NOW) is None
    assert found.publication("outlet", message(epoch=7), NOW) is None  # the asker pays


def test_a_peer_that_takes_too_many_names_loses_its_own() -> None:
    found = guard(names=10)
    assert found.publication("laptop", message(epoch=1), NOW) is None
    for number in range(100):
        found.publication("greedy", message(f"mic.{number}", epoch=2), NOW)
    assert found.publication("thief", message(epoch=3), NOW) == "s1/mic.anna belongs to laptop"
    assert len(found.claims) <= 2 + 10 + 1


def test_a_peer_that_begins_anew_all_the_time_is_not_passed_on_as_hundreds_of_outlets() -> None:
    found = guard()
    passed = sum(
        found.publication("greedy", message("mic.greedy", epoch), NOW + epoch * S // 1_000) is None
        for epoch in range(1, 1_101)
    )
    assert passed == 257  # in 1.1 s
    assert [block.peer for block in found.blocks] == ["greedy"]


def test_the_hub_itself_is_above_this_and_takes_what_is_its_own() -> None:
    found = guard(messages_per_s=1, burst_s=1, requests_per_s=0, request_burst=0)
    assert found.publication("laptop", message("fusion", 1), NOW) is None
    for _ in range(10):
        assert found.publication("hub", message("fusion", 2), NOW) is None
        assert found.request("hub", [b"me", b"1", b""], NOW) is None
    said = found.publication("laptop", message("fusion", 1), NOW + S)
    assert said == "s1/fusion belongs to hub"


def test_requests_have_a_rate_and_a_size() -> None:
    found = guard(requests_per_s=10, request_burst=5, frames=4, strikes=3)
    said = [found.request("laptop", [b"me", b"1", b"body"], NOW) for _ in range(6)]
    assert said == [None] * 5 + ["more than 10 requests a second"]
    assert found.request("laptop", [b"me", b"1", b"body"], NOW + S) is None
    assert found.request("laptop", [b"me"] * 5, NOW + S) == "more than 4 frames"


def test_an_answer_costs_whom_asked_for_it_and_not_whom_gives_it() -> None:
    found = guard(bytes_per_s=1_000, burst_s=1)
    found.publication("outlet", message(epoch=7), NOW)
    assert found.request("asker", [b"reader", b"7", b"all of it"], NOW) is None
    assert found.request("outlet", [b"7", b"reader", bytes(50_000)], NOW) is None
    assert found.publication("outlet", message(epoch=7), NOW) is None
    assert found.request("asker", [b"reader", b"7", b"more"], NOW + S) is not None
    assert found.request("asker", [b"reader", b"7", b"more"], NOW + 60 * S) is None


def test_subscriptions_are_counted_by_who_holds_them() -> None:
    found = guard(subscriptions=3)
    for prefix in (b"a", b"b", b"c"):
        assert found.subscription("laptop", b"\1" + prefix, NOW) is None
    assert found.subscription(None, b"\0a", NOW) is None  # a connection ended
    assert found.subscription("laptop", b"\1d", NOW) is None
    assert found.subscription("other", b"\1e", NOW) is None
    assert found.subscription("laptop", b"\1e", NOW) == "more than 3 subscriptions"
    assert [block.peer for block in found.blocks] == ["laptop"]
    found.forget_subscriptions()
    assert found.subscription("laptop", b"\1e", NOW + 20 * S) is None
    assert found.subscription(None, b"\0nobody has it", NOW) is None


def test_the_sum_over_a_prefix_is_right_whoever_goes() -> None:
    found = guard(subscriptions=2)
    for _ in range(50):
        assert found.subscription("laptop", b"\1emotion/", NOW) is None
        assert found.subscription("other", b"\1emotion/", NOW) is None
        assert found.subscription(None, b"\0emotion/", NOW) is None
        assert found.subscription(None, b"\0emotion/", NOW) is None
    assert not found._subscribers


def test_a_subscription_that_is_too_long_or_none_is_refused() -> None:
    found = guard()
    assert found.subscription("laptop", b"\1" + b"x" * 600, NOW) == "it is no subscription"
    assert found.subscription("other", b"hello", NOW) == "it is no subscription"


def test_what_was_lost_is_bounded_whatever_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "MAX_LOSSES", 10)
    found = guard(messages_per_s=1, burst_s=1)
    for number in range(200):
        found.publication("flood", message(f"mic.{number}"), NOW)
    assert len(found.losses) <= 11
    assert sum(found.losses.values()) == 199


def test_what_is_said_of_one_peer_is_limited_and_counted_whole() -> None:
    found = guard(strikes=1e9)
    found.publication("other", [b"junk"], NOW)
    lines, counted = 0, 0
    for second in range(100):
        for number in range(20):
            found.publication("loud", message(f"a b{number}"), NOW + second * S)
        said = found.take_losses(NOW + second * S)
        lines += len(said)
        counted += sum(count for _, count in said)
    assert lines <= 20 + 100 + 1
    assert counted + sum(found.losses.values()) == 2_001
