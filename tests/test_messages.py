"""The message types: topics, units, views on payloads."""

from __future__ import annotations

import numpy as np
import pytest

from affectstream.messages import MESSAGE_KINDS, Audio, Gap, Mocap, Progress
from bus_helpers import emotion, transcript

TABLE = {
    "stream.opened",
    "stream.closed",
    "audio",
    "utterance.started",
    "utterance.ended",
    "acoustic",
    "transcript",
    "mocap",
    "observation",
    "progress",
    "emotion",
    "gap",
}


def test_the_kinds_are_those_of_the_specification() -> None:
    assert set(MESSAGE_KINDS) == TABLE


@pytest.mark.parametrize("kind", sorted(MESSAGE_KINDS))
def test_a_kind_finds_its_type_and_has_no_slash(kind: str) -> None:
    assert MESSAGE_KINDS[kind].__struct_config__.tag == kind
    assert "/" not in kind


def test_a_topic_is_kind_session_source() -> None:
    assert transcript(1).topic == "transcript/s1/mic.anna"
    assert Progress(session="a", source="b", watermark_ns=0).topic == "progress/a/b"


def test_audio_samples_are_a_view_of_the_payload() -> None:
    samples = np.array([1, -2, 32_767], dtype="<i2")
    audio = Audio(
        session="s",
        source="m",
        first_sample=0,
        sample_rate_hz=16_000,
        start_ns=0,
        payload=samples.tobytes(),
    )
    assert audio.samples.tolist() == [1, -2, 32_767]
    assert not audio.samples.flags.owndata


def test_frames_are_a_view_of_the_payload_in_rows_and_columns() -> None:
    values = np.arange(6, dtype="<f4").reshape(2, 3)
    frames = Mocap(
        session="s",
        source="m",
        layout="test",
        speaker="anna",
        times_ns=(1, 2),
        rows=2,
        columns=3,
        payload=values.tobytes(),
    )
    assert np.array_equal(frames.values, values)
    assert not frames.values.flags.owndata


def test_the_label_is_the_most_probable_class() -> None:
    assert emotion(1).label == "neutral"


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        transcript(1).text = "other"  # type: ignore[misc]


def test_a_gap_need_not_know_where_in_time_it_was() -> None:
    gap = Gap(session="s", source="m", of="m", lost="audio", count=3, reason="overflow")
    assert (gap.start_ns, gap.end_ns) == (None, None)
