"""An estimate as a message: what the wire cannot say is not said."""

from __future__ import annotations

import pytest

from affectstream.codec import decode, encode
from affectstream.core.dialogue.aligned import AlignedUtterance
from affectstream.core.dialogue.emotions import Stamp, emotion_of
from fakes import FakeModel, estimate_of


@pytest.mark.parametrize(
    ("now_ns", "announced_ns", "sent_ns"),
    [(5, 10, 20), (1 << 61, 0, 0), (1 << 61, 1 << 61, 1), (0, 1 << 61, 1)],
)
def test_clocks_that_disagree_give_a_latency_that_can_be_read(
    now_ns: int, announced_ns: int, sent_ns: int
) -> None:
    utterance = AlignedUtterance("u", "anna", 0, 1, announced_ns=announced_ns, sent_ns=sent_ns)
    emotion = emotion_of(
        utterance,
        estimate_of("ab" * 32),
        Stamp(FakeModel.identity, now_ns),
        session="s",
        source="fusion",
        revision=0,
        status="provisional",
        look_ahead=0,
    )
    assert decode(encode(emotion)) == emotion
    assert all(0 <= value <= 1e9 for value in emotion.latency_ms.values())
