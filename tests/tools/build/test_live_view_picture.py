"""The README's picture: the view of a demo, drawn at one moment."""

from __future__ import annotations

import msgspec
import pytest

from affectstream.messages import Message, StreamOpened
from affectstream_tools.build.live_view_picture import TAKEN_AT, draw
from bus_helpers import emotion


def demo(utterance: str, revision: int) -> list[Message]:
    opened = StreamOpened(session="demo", source="mic.anna", modality="speech", start_ns=1)
    estimate = msgspec.structs.replace(emotion(0, revision), utterance=utterance)
    return [opened, estimate]


def test_the_picture_shows_the_view_at_its_moment() -> None:
    picture = draw(demo(*TAKEN_AT))
    assert picture.startswith("<svg")
    assert "synthetic" in picture
    assert "neutral" in picture


def test_a_demo_that_ends_before_has_no_picture() -> None:
    with pytest.raises(ValueError, match="ended before"):
        draw(demo("anna-0000", 0))
