"""Numbers, heads and heartbeats of an outlet's streams, by a clock in hand."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from affectstream.core.delivery.published import (
    BEATS_AFTER_CLOSE,
    FIRST_BEAT_AFTER_CLOSE_NS,
    HEARTBEAT_NS,
    PublishedStreams,
)
from affectstream.core.delivery.retention import Recalled
from affectstream.messages import Message, Progress
from bus_helpers import transcript
from fakes import closed, opened, progress

EPOCH = 7


def streams(heads: Mapping[str, int] | None = None, regenerated: bool = False) -> PublishedStreams:
    return PublishedStreams(EPOCH, Recalled(heads or {}), regenerated=regenerated, now_ns=0)


def publish(known: PublishedStreams, message: Message, now_ns: int = 0) -> Message:
    numbered = known.numbered(message, now_ns)
    known.note(numbered, now_ns)
    return numbered


def test_messages_of_each_topic_are_numbered_from_0() -> None:
    known = streams()
    sent = [publish(known, m, 5) for m in (opened(), transcript(1), transcript(2), opened("b"))]
    assert [(m.epoch, m.seq, m.sent_ns) for m in sent] == [
        (EPOCH, 0, 5),
        (EPOCH, 0, 5),
        (EPOCH, 1, 5),
        (EPOCH, 0, 5),
    ]


def test_a_number_is_given_again_when_its_message_was_not_sent() -> None:
    known = streams()
    assert known.numbered(transcript(1), 0).seq == 0
    assert publish(known, transcript(2)).seq == 0
    assert publish(known, transcript(3)).seq == 1


def test_a_watermark_vouches_for_all_that_its_stream_published_but_watermarks() -> None:
    known = streams()
    for message in (opened(), transcript(1), progress(5)):
        publish(known, message)
    last = publish(known, progress(9))
    assert isinstance(last, Progress)
    assert last.heads == {"stream.opened": 1, "transcript": 1}
    assert known.heads(["progress/", "transcript/"]) == {
        f"progress/{last.session}/{last.source}": 2,
        f"transcript/{last.session}/{last.source}": 1,
    }


def test_the_last_watermark_is_said_again_when_a_stream_is_quiet() -> None:
    known = streams()
    publish(known, opened())
    publish(known, progress(9), 10)
    assert known.next_beat_ns() is not None
    assert known.due_beats(10 + HEARTBEAT_NS - 1) == []
    (beat,) = known.due_beats(10 + HEARTBEAT_NS)
    assert beat.watermark_ns == 9
    publish(known, beat, 10 + HEARTBEAT_NS)
    assert known.next_beat_ns() == 10 + 2 * HEARTBEAT_NS


def test_a_closed_stream_beats_ever_more_seldom_then_no_more() -> None:
    known, times_ns = streams(), []
    publish(known, opened())
    publish(known, closed())
    while (due_ns := known.next_beat_ns()) is not None:
        for beat in known.due_beats(due_ns):
            publish(known, beat, due_ns)
            times_ns.append(due_ns)
    pauses_ns = [later - earlier for earlier, later in pairwise(times_ns)]
    assert pauses_ns == [FIRST_BEAT_AFTER_CLOSE_NS << i for i in range(BEATS_AFTER_CLOSE - 1)]


def test_numbers_go_on_where_the_outlet_before_ended() -> None:
    topic = transcript(1).topic
    known = streams({topic: 12})
    assert publish(known, transcript(1)).seq == 12


def test_what_is_regenerated_was_sent_as_often_as_before() -> None:
    topic = transcript(1).topic
    known = streams({topic: 2}, regenerated=True)
    assert [known.was_sent(transcript(n)) for n in range(4)] == [True, True, False, False]
