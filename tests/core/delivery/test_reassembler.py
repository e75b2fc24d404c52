"""Ring, last state and reassembly, without a socket: requests are answered by hand."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectstream.codec import decode, encode
from affectstream.core.delivery import known_outlet, reassembler, retention
from affectstream.core.delivery.reassembler import Reassembler
from affectstream.core.delivery.requests import AskHistory, AskState, Request, Resend
from affectstream.core.delivery.retention import KEPT_BYTES, LastState, Ring, matches
from affectstream.core.delivery.retry import ABSENT_NS, FIRST_REPEAT_NS, GIVE_UP_NS, MAX_REPEAT_NS
from affectstream.messages import Gap, Message, Progress, StreamOpened, Transcript
from bus_helpers import Tally, closed, emotion, of_kind, opened, progress, transcript

TOPIC = "transcript/s1/mic.anna"
EPOCH = 7


class FakeOutlet:
    """Numbers and keeps messages as an outlet does, and answers requests by calls."""

    def __init__(self, ring_bytes: int = 1 << 20, epoch: int = EPOCH) -> None:
        self.epoch = epoch
        self.ring = Ring(ring_bytes)
        self.state = LastState()
        self.heads: dict[str, int] = {}

    def publish(self, message: Message) -> Message:
        fields = {name: getattr(message, name) for name in message.__struct_fields__}
        if isinstance(message, Progress):
            fields["heads"] = {
                topic.split("/")[0]: head
                for topic, head in self.heads.items()
                if topic.endswith(f"/{message.session}/{message.source}")
                and not topic.startswith("progress")
            }
        seq = self.heads.get(message.topic, 0)
        numbered = type(message)(**fields | {"epoch": self.epoch, "seq": seq})
        self.heads[message.topic] = seq + 1
        self.ring.keep(message.topic, seq, encode(numbered))
        self.state.note(numbered)
        return numbered

    def answer(self, request: Request, reader: Reassembler, now_ns: int) -> list[Message]:
        if isinstance(request, Resend):
            found = self.ring.find(request.topic, request.first, request.last)
            messages = [decode(frames) for frames in found]
            return reader.resent(
                self.epoch, request.topic, request.first, request.last, messages, now_ns
            )
        if isinstance(request, AskHistory):
            found, onward = self.ring.page(request.position, request.prefixes, dict(request.seen))
            messages = [decode(frames) for frames in found]
            return reader.history(self.epoch, request.position, messages, onward, now_ns)
        heads = {t: head for t, head in self.heads.items() if matches(t, request.prefixes)}
        state = self.state.messages(request.prefixes)
        return reader.state(self.epoch, heads, state, now_ns)


def settle(outlet: FakeOutlet, reader: Reassembler, now_ns: int = 0) -> list[Message]:
    """Answer every request until there are none."""
    delivered: list[Message] = []
    while requests := reader.requests():
        for request in requests:
            delivered += outlet.answer(request, reader, now_ns)
    return delivered


def give_up(reader: Reassembler, now_ns: int = 0) -> list[Message]:
    """Let the time pass in which nobody answers."""
    delivered: list[Message] = []
    end_ns = now_ns + GIVE_UP_NS + MAX_REPEAT_NS
    while (wake_ns := reader.next_wake_ns()) is not None and wake_ns < end_ns:
        delivered += reader.wake(wake_ns)
    return delivered


# The ring and the last state


def test_the_ring_never_holds_more_bytes_than_it_may_and_drops_the_oldest() -> None:
    ring = Ring(max_bytes=5 * (KEPT_BYTES + 20))
    for seq in range(50):
        ring.keep("t", seq, [b"x" * 20])
        assert ring.bytes <= ring.max_bytes
    assert [seq for seq in range(50) if ring.holds("t", seq)] == [45, 46, 47, 48, 49]


def test_the_ring_keeps_one_message_that_is_larger_than_itself() -> None:
    ring = Ring(max_bytes=10)
    ring.keep("t", 0, [b"x" * 5])
    ring.keep("t", 1, [b"x" * 50])
    assert ring.find("t", 0, 1) == [[b"x" * 50]]


def test_a_resend_of_absurdly_many_is_answered_with_a_bounded_number() -> None:
    ring = Ring(max_bytes=1 << 20)
    for seq in range(retention.MAX_RESEND + 10):
        ring.keep("t", seq, [b"x"])
    assert len(ring.find("t", 0, 1 << 61)) == retention.MAX_RESEND


def test_pages_of_the_ring_hold_everything_once_in_order_of_publication(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "RESENT_AT_ONCE", 7)
    ring = Ring(max_bytes=1 << 20)
    for seq in range(30):
        ring.keep("a/s", seq, [b"a%d" % seq])
        ring.keep("b/s", seq, [b"b%d" % seq])
    found, position = [], 0
    while position is not None:
        page, position = ring.page(position, ("a/",), {})
        assert len(page) <= 7
        found += page
    assert found == [[b"a%d" % seq] for seq in range(30)]


def test_a_page_that_was_dropped_meanwhile_goes_on_with_the_oldest_that_is_left() -> None:
    ring = Ring(max_bytes=10 * (KEPT_BYTES + 1))
    for seq in range(30):
        ring.keep("a", seq, [b"x"])
    assert ring.page(3, ("a",), {}) == ([[b"x"]] * 10, None)


def test_the_last_state_holds_open_streams_and_each_utterance_s_latest_estimate() -> None:
    state = LastState()
    for message in (opened("fusion"), emotion(1), emotion(2), emotion(1, revision=1)):
        state.note(message)
    assert state.messages(("",)) == [opened("fusion"), emotion(2), emotion(1, revision=1)]
    assert state.messages(("emotion/s2/",)) == []


def test_a_closed_stream_leaves_the_last_state() -> None:
    state = LastState()
    for message in (opened("fusion"), emotion(1), closed("fusion")):
        state.note(message)
    assert state.messages(("",)) == []


def test_the_last_state_keeps_a_bounded_number_of_estimates() -> None:
    state = LastState()
    for number in range(1000):
        state.note(emotion(number))
    assert len(state.messages(("",))) == retention.MAX_RETAINED_ESTIMATES


# Holes


def test_what_arrives_whole_is_passed_on_at_once() -> None:
    outlet, reader = FakeOutlet(), Reassembler(("transcript/",), from_start=True)
    first = outlet.publish(transcript(0))
    assert reader.receive(first, 0) == []
    assert settle(outlet, reader) == [first]
    for number in range(1, 5):
        message = outlet.publish(transcript(number))
        assert reader.receive(message, 0) == [message]
    assert reader.requests() == []
    assert reader.next_wake_ns() is None


def followed(prefixes: tuple[str, ...] = ("transcript/",)) -> tuple[FakeOutlet, Reassembler]:
    """Return an outlet and a reader that has met it at its first transcript."""
    outlet, reader = FakeOutlet(), Reassembler(prefixes, from_start=True)
    reader.receive(outlet.publish(transcript(0)), 0)
    assert len(settle(outlet, reader)) == 1
    return outlet, reader


def test_a_hole_is_asked_for_and_what_follows_waits() -> None:
    outlet, reader = followed()
    messages = [outlet.publish(transcript(number)) for number in range(1, 5)]
    assert reader.receive(messages[2], 0) == []
    assert reader.receive(messages[3], 0) == []
    assert reader.requests() == [Resend(EPOCH, TOPIC, 1, 2)]
    assert reader.resent(EPOCH, TOPIC, 1, 2, messages[:2], 0) == messages


def test_a_lost_last_message_is_noticed_by_the_next_heartbeat() -> None:
    outlet, reader = followed()
    last = outlet.publish(transcript(1))
    assert reader.receive(outlet.publish(progress(5)), 0) == []
    assert reader.requests() == [Resend(EPOCH, TOPIC, 1, 1)]
    assert reader.resent(EPOCH, TOPIC, 1, 1, [last], 0) == [last]


def test_a_resent_watermark_waits_for_what_it_vouches_for() -> None:
    outlet, reader = followed(("",))
    lost = [outlet.publish(m) for m in (transcript(1), progress(5), transcript(2))]
    heartbeat = outlet.publish(progress(9))
    assert reader.receive(heartbeat, 0) == []
    assert settle(outlet, reader) == [*lost[:2], lost[2], heartbeat]


def test_what_the_ring_no_longer_has_is_said_as_a_gap_in_its_place() -> None:
    outlet, reader = followed()
    messages = [outlet.publish(transcript(number)) for number in range(1, 7)]
    reader.receive(messages[5], 0)
    assert reader.requests() == [Resend(EPOCH, TOPIC, 1, 5)]
    got = reader.resent(EPOCH, TOPIC, 1, 5, [messages[2], messages[3]], 0)
    assert [m.seq if isinstance(m, Transcript) else -m.count for m in got] == [-2, 3, 4, -1, 6]
    gap = of_kind(got, Gap)[0]
    assert (gap.session, gap.of, gap.lost) == ("s1", "mic.anna", "transcript")
    assert reader.counts["lost"] == 3


def test_a_hole_is_asked_for_again_and_then_given_up_as_one_gap() -> None:
    outlet, reader = followed()
    for number in range(1, 5000):
        last = outlet.publish(transcript(number))
    reader.receive(last, 0)
    asked = reader.requests()
    now_ns, wait_ns = 0, FIRST_REPEAT_NS
    while now_ns + wait_ns < GIVE_UP_NS:
        now_ns += wait_ns
        assert reader.next_wake_ns() == now_ns
        assert reader.wake(now_ns - 1) == []
        assert reader.requests() == []
        assert reader.wake(now_ns) == []
        assert reader.requests() == asked
        wait_ns = min(2 * wait_ns, MAX_REPEAT_NS)
    gap, message = reader.wake(now_ns + wait_ns)
    assert isinstance(gap, Gap)
    assert (gap.count, gap.reason) == (4998, "the outlet does not answer")
    assert message == last
    assert reader.next_wake_ns() is None


@pytest.mark.parametrize("in_order", [False, True])
@pytest.mark.parametrize("kept", [0, 1, 777])
def test_a_hole_of_any_length_is_one_gap_and_what_is_left_of_it_is_passed_on(
    kept: int, in_order: bool
) -> None:
    outlet = FakeOutlet(1 << 24)
    reader = Reassembler(("transcript/",), from_start=True, in_order=in_order)
    got = reader.receive(outlet.publish(transcript(0)), 0) + settle(outlet, reader)
    outlet.heads[TOPIC] = (1 << 62) - 1 - kept  # what it forgot, or never had
    last = [outlet.publish(transcript(number)) for number in range(kept)]
    beat = outlet.publish(progress(5))
    got = reader.receive(beat, 0)
    requests = 0
    while asked := reader.requests():
        requests += len(asked)
        for request in asked:
            got += outlet.answer(request, reader, 0)
    (gap,) = of_kind(got, Gap)
    assert gap.count == (1 << 62) - 2 - kept
    assert [m for m in got if m is not gap] == last
    assert requests < 80
    assert reader.next_wake_ns() is None


def test_an_outlet_that_the_hub_no_longer_knows_is_given_up_sooner() -> None:
    outlet, reader = followed()
    messages = [outlet.publish(transcript(number)) for number in range(1, 3)]
    reader.receive(messages[1], 0)
    reader.unreachable(EPOCH, 1)
    delivered: list[Message] = []
    while not delivered and (wake_ns := reader.next_wake_ns()) is not None:
        assert wake_ns < ABSENT_NS + 2 * MAX_REPEAT_NS
        delivered = reader.wake(wake_ns)
    assert (type(delivered[0]), delivered[1]) == (Gap, messages[1])


def test_an_outlet_whose_link_is_cut_is_asked_until_it_is_joined_again() -> None:
    outlet, reader = followed()
    messages = [outlet.publish(transcript(number)) for number in range(1, 3)]
    reader.receive(messages[1], 0)
    cut_ns = 30 * 10**9
    now_ns = 0
    while now_ns < cut_ns:
        assert reader.wake(now_ns) == []
        if now_ns > 11 * 10**9:
            reader.unreachable(EPOCH, now_ns)  # now the hub has noticed
        now_ns = reader.next_wake_ns() or cut_ns
    assert settle(outlet, reader, now_ns) == messages


def test_after_a_silence_the_outlet_is_asked_again_for_the_next_hole() -> None:
    outlet, reader = followed()
    messages = [outlet.publish(transcript(number)) for number in range(1, 5)]
    reader.receive(messages[1], 0)
    assert len(of_kind(give_up(reader), Gap)) == 1
    reader.requests()
    reader.receive(messages[3], 0)
    assert reader.requests() == [Resend(EPOCH, TOPIC, 3, 3)]


def test_duplicates_are_dropped_and_counted() -> None:
    outlet, reader = followed()
    message = outlet.publish(transcript(1))
    assert reader.receive(message, 0) == [message]
    assert reader.receive(message, 0) == []
    assert reader.counts["duplicates"] == 2  # the other one met the outlet


def test_an_answer_that_was_not_asked_for_or_comes_twice_is_ignored() -> None:
    outlet, reader = followed()
    messages = [outlet.publish(transcript(number)) for number in range(1, 3)]
    assert reader.resent(EPOCH, TOPIC, 1, 1, messages[:1], 0) == []
    assert reader.resent(99, TOPIC, 1, 1, messages[:1], 0) == []
    reader.receive(messages[1], 0)
    assert reader.resent(EPOCH, TOPIC, 1, 1, messages[:1], 0) == messages
    assert reader.resent(EPOCH, TOPIC, 1, 1, messages[:1], 0) == []


def test_an_answer_with_other_messages_than_asked_for_counts_as_lost() -> None:
    outlet, reader = followed()
    messages = [outlet.publish(transcript(number)) for number in range(1, 3)]
    other = FakeOutlet(epoch=8)
    forged = [other.publish(transcript(number)) for number in range(3)]
    reader.receive(messages[1], 0)
    got = reader.resent(EPOCH, TOPIC, 1, 1, [*forged, messages[1]], 0)
    assert [type(m) for m in got] == [Gap, Transcript]


def test_heads_of_unknown_or_malformed_kinds_are_not_asked_for() -> None:
    _, reader = followed(("",))
    beat = Progress(
        session="s1", source="mic.anna", watermark_ns=0, epoch=EPOCH, heads={"a/b": 3, "new": 9}
    )
    assert reader.receive(beat, 0) == [beat]
    assert reader.requests() == []


def test_two_outlets_do_not_wait_for_each_other() -> None:
    outlet, reader = followed()
    outlet.publish(transcript(1))
    reader.receive(outlet.publish(transcript(2)), 0)
    reader.requests()
    other = FakeOutlet(epoch=8)
    message = other.publish(transcript(0, source="mic.ben"))
    assert reader.receive(message, 0) == []
    assert settle(other, reader) == [message]


def test_heartbeats_that_nobody_subscribed_to_are_neither_passed_on_nor_said_as_lost() -> None:
    outlet, reader = followed()
    outlet.publish(progress(1))
    assert reader.receive(outlet.publish(progress(2)), 0) == []
    assert reader.requests() == []


# Meeting an outlet


def test_a_late_reader_gets_the_last_state_then_what_follows_without_duplicates() -> None:
    outlet = FakeOutlet()
    for message in (opened("fusion"), emotion(1), emotion(2), emotion(1, revision=1)):
        outlet.publish(message)
    reader = Reassembler(("emotion/", "stream."), from_start=False)
    live = [outlet.publish(emotion(3)), outlet.publish(emotion(4))]
    assert reader.receive(live[0], 0) == []
    assert [type(request) for request in reader.requests()] == [AskState]
    got = outlet.answer(AskState(EPOCH, ("emotion/", "stream.")), reader, 0)
    assert isinstance(got[0], StreamOpened)
    assert [m.utterance[-1] for m in got[1:]] == ["2", "1", "3"]
    assert reader.receive(live[1], 0) == [live[1]]
    after = outlet.publish(emotion(5))
    assert reader.receive(after, 0) == [after]


def test_what_is_heard_while_the_state_is_asked_for_is_news_though_its_stream_has_closed() -> None:
    outlet = FakeOutlet()
    reader = Reassembler(("emotion/", "stream."), from_start=False)
    said = [opened("fusion"), emotion(1), emotion(1, revision=1), closed("fusion")]
    live = [outlet.publish(message) for message in said]
    assert [reader.receive(message, 0) for message in live] == [[], [], [], []]
    assert outlet.answer(AskState(EPOCH, ("emotion/", "stream.")), reader, 0) == live


def test_a_late_reader_follows_an_outlet_that_does_not_answer_from_where_it_is() -> None:
    outlet = FakeOutlet()
    for number in range(10):
        live = outlet.publish(transcript(number))
    reader = Reassembler(("transcript/",), from_start=False)
    reader.receive(live, 0)
    assert give_up(reader) == [live]
    assert reader.counts["requests given up"] == 1


def test_a_reader_from_the_start_gets_the_ring_in_the_order_of_publication(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "MAX_RESEND", 3)
    outlet = FakeOutlet()
    past = [outlet.publish(opened())]
    for number in range(10):
        past.append(outlet.publish(transcript(number)))
        past.append(outlet.publish(progress(number)))
    reader = Reassembler(("",), from_start=True)
    assert reader.receive(past[-1], 0) == []
    assert settle(outlet, reader) == past


def test_memory_stays_bounded_while_an_outlet_does_not_answer_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known_outlet, "MAX_HELD", 20)
    outlet, reader = followed()
    outlet.publish(transcript(1))
    for number in range(2, 200):
        assert reader.receive(outlet.publish(transcript(number)), 0) == []
    assert len(reader._outlets[EPOCH].held) == 20
    assert reader.counts["let go"] > 0
    assert [m.seq for m in settle(outlet, reader)] == list(range(1, 200))


def test_outlets_that_are_not_heard_of_any_more_are_forgotten_and_counted() -> None:
    reader = Reassembler(("",), from_start=True)
    for epoch in range(reassembler.MAX_OUTLETS + 5):
        outlet = FakeOutlet(epoch=epoch)
        reader.receive(outlet.publish(transcript(0)), 0)
        settle(outlet, reader)
    assert len(reader._outlets) == reassembler.MAX_OUTLETS
    assert reader.counts["outlets forgotten"] == 5


@pytest.mark.parametrize("from_start", [True, False])
def test_outlets_that_somebody_made_up_push_out_none_that_answers(from_start: bool) -> None:
    outlet, reader = FakeOutlet(), Reassembler(("",), from_start=from_start)
    got = []
    for number in range(31):
        got += reader.receive(outlet.publish(transcript(number)), 0)
        got += settle(outlet, reader)
    for epoch in range(1_000, 2_100):
        reader.receive(FakeOutlet(epoch=epoch).publish(transcript(0)), 0)
    assert len(reader._outlets) == reassembler.MAX_STRANGERS + 1
    reader.requests()
    last = outlet.publish(transcript(31))
    assert reader.receive(last, 0) == [last]
    assert reader.requests() == []


def test_what_is_held_of_outlets_that_never_answer_is_bounded_for_all_of_them_together() -> None:
    reader = Reassembler(("",), from_start=True)
    for epoch in range(1_000, 1_000 + 3 * reassembler.MAX_STRANGERS):
        outlet = FakeOutlet(epoch=epoch)
        for number in range(30):
            message = msgspec.structs.replace(transcript(number), text="x" * 16_000)
            reader.receive(outlet.publish(message), 0)
    held = sum(outlet.held_bytes for outlet in reader._outlets.values())
    most = reassembler.MAX_STRANGERS * (reassembler.STRANGER_BYTES + 20_000)
    assert held <= most
    reader._requests = [r for r in reader._requests if r.epoch == outlet.epoch]
    got = settle(outlet, reader)
    assert [m.seq for m in got if m.epoch == outlet.epoch] == list(range(30))


def test_a_reader_that_was_there_before_takes_what_it_knew_for_no_stranger() -> None:
    outlet = FakeOutlet()
    heard = [outlet.publish(transcript(number)) for number in range(31)]
    reader = Reassembler(("",), from_start=True, positions={EPOCH: {TOPIC: 31}})
    for epoch in range(1_000, 2_100):
        reader.receive(FakeOutlet(epoch=epoch).publish(transcript(0)), 0)
    reader.requests()
    last = outlet.publish(transcript(31))
    assert reader.receive(last, 0) + settle(outlet, reader) == [last]
    assert heard[-1].seq == 30


# Any loss, duplication and reordering

PREFIXES = ("stream.", "transcript/", "progress/")


def published(outlet: FakeOutlet, plan: list[int]) -> list[Message]:
    """Publish a stream after ``plan``: transcripts of two sources, and heartbeats."""
    kinds = {
        0: lambda n: transcript(n),
        1: lambda n: transcript(n, source="mic.ben"),
        2: lambda n: progress(n),
        3: lambda n: progress(n, source="mic.ben"),
        4: lambda n: emotion(n, source="mic.anna"),  # nobody subscribed to it
    }
    messages = [outlet.publish(opened()), outlet.publish(opened("mic.ben"))]
    return messages + [outlet.publish(kinds[kind](n)) for n, kind in enumerate(plan)]


def on_the_way(messages: list[Message], chance: random.Random) -> list[Message]:
    """Lose, double and displace messages."""
    arriving: list[tuple[float, Message]] = []
    for place, message in enumerate(messages):
        if not matches(message.topic, PREFIXES):
            continue
        arriving += [
            (place + chance.choice((0, 0, 0, 6)) * chance.random(), message)
            for _ in range(chance.choice((0, 1, 1, 1, 2)))
        ]
    return [message for _, message in sorted(arriving, key=lambda pair: pair[0])]


@settings(max_examples=200, deadline=None)
@given(
    plan=st.lists(st.integers(0, 4), max_size=40),
    seed=st.integers(0, 1 << 30),
    ring_bytes=st.sampled_from((400 + 2 * KEPT_BYTES, 10 * KEPT_BYTES, 1 << 20)),
    from_start=st.booleans(),
    lost_answers=st.integers(0, 3),
    in_order=st.booleans(),
)
def test_whatever_happens_on_the_way_all_is_delivered_once_in_order_or_said_as_lost(
    plan: list[int], seed: int, ring_bytes: int, from_start: bool, lost_answers: int, in_order: bool
) -> None:
    chance = random.Random(seed)
    outlet = FakeOutlet(ring_bytes)
    messages = published(outlet, plan)
    reader = Reassembler(PREFIXES, from_start=from_start, in_order=in_order)
    tally = Tally()
    now_ns, skipped = 0, 0

    def take(delivered: list[Message]) -> None:
        tally.take(delivered, PREFIXES)

    def answer_some() -> None:
        nonlocal skipped
        for request in reader.requests():
            if isinstance(request, AskState):
                starts = {t: n for t, n in outlet.heads.items() if matches(t, PREFIXES)}
                for held in reader._outlets[EPOCH].held:  # heard meanwhile: news
                    if matches(held.topic, PREFIXES):
                        starts[held.topic] = min(starts[held.topic], held.seq)
                dict.update(tally.next, starts)
                state = outlet.answer(request, reader, now_ns)
                open_before = [
                    m for m in outlet.state.messages(PREFIXES) if m.seq < starts[m.topic]
                ]
                take([m for m in state if m not in open_before])
            elif chance.random() < 0.5 and skipped < lost_answers:
                skipped += 1
            else:
                skipped = 0
                take(outlet.answer(request, reader, now_ns))

    for message in on_the_way(messages, chance):
        now_ns += FIRST_REPEAT_NS // 3
        take(reader.receive(message, now_ns))
        take(reader.wake(now_ns))
        answer_some()
    for source in ("mic.anna", "mic.ben"):
        now_ns += FIRST_REPEAT_NS
        take(reader.receive(outlet.publish(progress(99, source=source)), now_ns))
    while reader.next_wake_ns() is not None:
        now_ns = max(now_ns, reader.next_wake_ns() or 0)
        take(reader.wake(now_ns))
        answer_some()

    expected = {t: n for t, n in outlet.heads.items() if matches(t, PREFIXES)}
    assert dict(+tally.next) == expected
    if ring_bytes == 1 << 20:
        assert not tally.lost


def two_streams(outlet: FakeOutlet, count: int) -> list[Message]:
    """Words and watermarks of a dialogue by turns, and another dialogue's words."""
    return [
        outlet.publish(message)
        for number in range(count)
        for message in (
            transcript(number),
            progress(number + 1, source="mic.ben"),
            transcript(number, session="s2"),
        )
    ]


@pytest.mark.parametrize("let_go", [False, True])
@pytest.mark.parametrize("heard", [0, 7, 25])
def test_holes_in_several_topics_are_filled_in_the_order_of_publication(
    heard: int, let_go: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    outlet = FakeOutlet()
    reader = Reassembler(("transcript/", "progress/"), from_start=True, in_order=True)
    messages = two_streams(outlet, 20)
    got = [m for message in messages[:heard] for m in reader.receive(message, 0)]
    got += settle(outlet, reader)
    for message in messages[heard + 14 :]:  # the link was cut
        if let_go:
            monkeypatch.setattr(known_outlet, "MAX_HELD", 1)
        got += reader.receive(message, 0)
    got += settle(outlet, reader)
    last = outlet.publish(progress(99, source="mic.ben"))
    got += reader.receive(last, 0)
    got += settle(outlet, reader)
    for session in ("s1", "s2"):
        told = [m for m in got if m.session == session]
        assert told == [m for m in [*messages, last] if m.session == session]


def test_what_is_no_longer_there_is_said_once_where_holes_are_filled_in_order() -> None:
    outlet = FakeOutlet(ring_bytes=8 * KEPT_BYTES)
    reader = Reassembler(("transcript/", "progress/"), from_start=True, in_order=True)
    messages = two_streams(outlet, 3)
    got = [m for message in messages for m in reader.receive(message, 0)] + settle(outlet, reader)
    messages = two_streams(outlet, 20)
    got += reader.receive(messages[-2], 0) + reader.receive(messages[-1], 0)
    got += settle(outlet, reader)
    assert reader.requests() == []
    for topic in {m.topic for m in messages}:
        kind, session, source = topic.split("/")
        lost = sum(
            m.count
            for m in of_kind(got, Gap)
            if (m.lost, m.session, m.of) == (kind, session, source)
        )
        assert lost + sum(m.topic == topic for m in got) == 23


def test_a_state_without_the_head_of_what_it_brings_is_read_all_the_same() -> None:
    outlet, reader = FakeOutlet(), Reassembler(["transcript/", "stream."], from_start=False)
    first = outlet.publish(opened())
    assert reader.receive(outlet.publish(transcript(0)), 0) == []
    assert reader.requests() == [AskState(EPOCH, ("transcript/", "stream."))]
    delivered = reader.state(EPOCH, {TOPIC: 1}, [first], 0)
    assert [message.seq for message in of_kind(delivered, Transcript)] == [0]
    assert reader.receive(outlet.publish(transcript(1)), 0) != []
