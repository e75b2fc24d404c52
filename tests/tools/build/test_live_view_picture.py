"""The README's picture: the view of a demo, drawn at one moment."""

from __future__ import annotations

import msgspec

from affectstream.messages import StreamOpened
from affectstream_tools.build.live_view_picture import TAKEN_AT, Photographer
from bus_helpers import emotion

OPENED = StreamOpened(session="demo", source="mic.anna", modality="speech", start_ns=1)
UTTERANCE, REVISION = TAKEN_AT


def test_the_picture_shows_the_view_at_its_moment() -> None:
    photographer = Photographer()
    photographer.receive(OPENED)
    photographer.receive(msgspec.structs.replace(emotion(0, REVISION), utterance=UTTERANCE))
    assert photographer.picture is not None
    assert photographer.picture.startswith("<svg")
    assert "synthetic" in photographer.picture
    assert "neutral" in photographer.picture


def test_there_is_no_picture_before_its_moment() -> None:
    photographer = Photographer()
    photographer.receive(OPENED)
    photographer.receive(emotion(0, REVISION))
    assert photographer.picture is None
