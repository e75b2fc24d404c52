"""The codec: every message survives, everything else is refused under its name."""

from __future__ import annotations

import tracemalloc
from contextlib import suppress
from typing import Any

import msgpack
import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from affectstream.codec import (
    MAX_HEADER_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_TOPIC_BYTES,
    DecodeError,
    decode,
    encode,
    unpack_map,
)
from affectstream.messages import (
    MESSAGE_KINDS,
    Acoustic,
    Audio,
    Dimension,
    Emotion,
    Gap,
    Message,
    Mocap,
    ModelIdentity,
    Observation,
    Progress,
    StreamClosed,
    StreamOpened,
    Transcript,
    UtteranceEnded,
    UtteranceStarted,
    Word,
)
from bus_helpers import emotion, frames_of, transcript

VISIBLE = st.characters(codec="utf-8", exclude_categories=("Z", "C"), exclude_characters="/")
NAMES = st.text(VISIBLE, min_size=1, max_size=20)
SHORTS = st.text(st.characters(codec="utf-8"), max_size=20)
COUNTS = st.integers(0, (1 << 62) - 1)
PROBABILITIES = st.floats(0, 1)
SPANS = st.tuples(COUNTS, COUNTS).map(sorted)
COMMON = {"session": NAMES, "source": NAMES, "epoch": COUNTS, "seq": COUNTS, "sent_ns": COUNTS}


def spanned(kind: type[msgspec.Struct], **fields: Any) -> st.SearchStrategy[Any]:
    """Build ``kind`` with a start that is not after its end."""
    return st.tuples(SPANS, st.fixed_dictionaries(fields)).map(
        lambda drawn: kind(start_ns=drawn[0][0], end_ns=drawn[0][1], **drawn[1])
    )


def matrices(kind: type[Message], rows: st.SearchStrategy[int], **fields: Any) -> Any:
    def build(drawn: tuple[int, int, dict[str, Any]]) -> Message:
        rows, columns, values = drawn
        if kind is Mocap:
            values["times_ns"] = tuple(range(rows))
        payload = np.arange(rows * columns, dtype="<f4").tobytes()
        return kind(rows=rows, columns=columns, payload=payload, **values)

    return st.tuples(rows, st.integers(1, 6), st.fixed_dictionaries(fields)).map(build)


WORDS = spanned(Word, text=SHORTS, confidence=PROBABILITIES)
DIMENSIONS = st.builds(
    Dimension,
    mean=st.floats(1, 5),
    levels=st.tuples(PROBABILITIES, PROBABILITIES, PROBABILITIES),
)
SPOKEN = COMMON | {"utterance": NAMES, "speaker": NAMES}
FEATURES = COMMON | {"speaker": NAMES, "front_end": NAMES}
ROWS = st.integers(0, 5)
MESSAGES: dict[type[Message], st.SearchStrategy[Message]] = {
    StreamOpened: st.builds(
        StreamOpened,
        modality=st.sampled_from(("speech", "text", "mocap", "corpus", "emotion")),
        start_ns=COUNTS,
        speaker=st.none() | NAMES,
        of=st.none() | NAMES,
        channels=st.lists(SHORTS, max_size=3).map(tuple),
        units=st.lists(SHORTS, max_size=3).map(tuple),
        nominal_rate_hz=st.floats(0, 1e6),
        clock_id=SHORTS,
        drives_clock=st.booleans(),
        **COMMON,
    ),
    StreamClosed: st.builds(StreamClosed, reason=SHORTS, end_ns=COUNTS, **COMMON),
    Audio: st.builds(
        Audio,
        first_sample=COUNTS,
        sample_rate_hz=st.integers(1000, 384_000),
        start_ns=COUNTS,
        payload=st.binary(max_size=20).map(lambda b: b + b),
        **COMMON,
    ),
    UtteranceStarted: st.builds(UtteranceStarted, start_ns=COUNTS, **SPOKEN),
    UtteranceEnded: spanned(
        UtteranceEnded, reason=st.sampled_from(("silence", "gap", "corpus")), **SPOKEN
    ),
    Acoustic: matrices(
        Acoustic, ROWS, start_ns=st.integers(0, 1 << 61), hop_ns=st.integers(1, 10**9), **FEATURES
    ),
    Mocap: matrices(Mocap, ROWS, layout=NAMES, speaker=NAMES, **COMMON),
    Observation: matrices(
        Observation,
        st.just(1),
        utterance=NAMES,
        modality=NAMES,
        start_ns=st.just(5),
        end_ns=st.just(9),
        **FEATURES,
    ),
    Transcript: spanned(
        Transcript,
        text=SHORTS,
        final=st.booleans(),
        engine=SHORTS,
        words=st.lists(WORDS, max_size=3).map(tuple),
        **SPOKEN,
    ),
    Progress: st.builds(
        Progress,
        watermark_ns=COUNTS,
        now_ns=st.none() | COUNTS,
        heads=st.dictionaries(SHORTS, COUNTS, max_size=4),
        **COMMON,
    ),
    Emotion: spanned(
        Emotion,
        revision=COUNTS,
        status=st.sampled_from(("partial", "provisional", "revised", "final")),
        categorical=st.dictionaries(SHORTS, PROBABILITIES, min_size=1, max_size=4),
        dimensional=st.dictionaries(SHORTS, DIMENSIONS, max_size=3),
        clusters=st.dictionaries(
            SHORTS, st.lists(PROBABILITIES, max_size=5).map(tuple), max_size=2
        ),
        modalities=st.dictionaries(SHORTS, PROBABILITIES, max_size=3),
        look_ahead=COUNTS,
        text=st.none() | SHORTS,
        model=st.builds(ModelIdentity, id=SHORTS, sha256=SHORTS),
        latency_ms=st.dictionaries(SHORTS, st.floats(0, 1e9), max_size=3),
        **SPOKEN,
    ),
    Gap: st.builds(Gap, of=NAMES, lost=SHORTS, count=COUNTS, reason=SHORTS, **COMMON),
}


def refusal(frames: list[bytes]) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        decode(frames)
    return caught.value


def test_every_kind_of_message_is_tried() -> None:
    assert set(MESSAGES) == set(MESSAGE_KINDS.values())


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
@pytest.mark.parametrize("kind", list(MESSAGES), ids=lambda kind: kind.__name__)
def test_a_message_comes_back_as_it_was(kind: type[Message], data: st.DataObject) -> None:
    message = data.draw(MESSAGES[kind])
    assert decode(encode(message)) == message


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_random_bytes_are_refused_and_nothing_else_happens(frames: list[bytes]) -> None:
    assert refusal(frames).reason in {"frames", "not MessagePack", "version"}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_message_is_read_or_refused_and_nothing_else_happens(
    data: st.DataObject,
) -> None:
    frames = encode(data.draw(st.one_of(*MESSAGES.values())))
    which = data.draw(st.integers(0, 2))
    damaged = bytearray(frames[which])
    if damaged:
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    frames[which] = bytes(damaged)
    with suppress(DecodeError):
        decode(frames)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats() | SHORTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SHORTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(st.data(), JSON)
def test_any_value_in_any_field_is_read_or_refused_and_nothing_else_happens(
    data: st.DataObject, value: Any
) -> None:
    topic, packed, payload = encode(data.draw(st.one_of(*MESSAGES.values())))
    header = msgpack.unpackb(packed)
    header[data.draw(st.sampled_from(sorted(header)))] = value
    with suppress(DecodeError):
        decode([topic, msgpack.packb(header), payload])


HEADER = {"session": "s1", "source": "m", "watermark_ns": 1}


def test_unknown_fields_are_ignored() -> None:
    message = decode(frames_of("progress", HEADER | {"invented_later": [1, {"a": 2}]}))
    assert message == Progress(session="s1", source="m", watermark_ns=1)


def test_missing_optional_fields_take_their_defaults() -> None:
    message = decode(frames_of("progress", HEADER))
    assert isinstance(message, Progress)
    assert (message.epoch, message.seq, message.now_ns, message.heads) == (0, 0, None, {})


@pytest.mark.parametrize("kind", list(MESSAGES), ids=lambda kind: kind.__name__)
def test_an_old_reader_s_fields_are_all_that_a_newer_writer_adds_to(kind: type[Message]) -> None:
    """A message with all optional fields left out, and one with new ones, are both read."""
    required = {field.name for field in msgspec.structs.fields(kind) if field.required}

    @settings(max_examples=5, deadline=None)
    @given(MESSAGES[kind])
    def check(message: Message) -> None:
        topic, packed, payload = encode(message)
        header = msgpack.unpackb(packed)
        oldest = {k: v for k, v in header.items() if k in required | {"v", "kind"}}
        again = decode([topic, msgpack.packb(oldest), payload])
        for name in required:
            assert getattr(again, name) == getattr(message, name)
        newest = header | {"new_field": 1}
        assert decode([topic, msgpack.packb(newest), payload]) == message

    check()


@pytest.mark.parametrize("version", [2, 99, 1 << 40])
def test_a_newer_version_is_refused_with_a_remedy(version: int) -> None:
    error = refusal(frames_of("progress", HEADER | {"v": version}))
    assert error.reason == "version"
    assert f"wire version {version}" in str(error)
    assert "upgrade" in str(error)


@pytest.mark.parametrize("version", [None, "1", 0, -1, 1.0, True])
def test_what_is_no_version_is_refused(version: object) -> None:
    assert refusal(frames_of("progress", HEADER | {"v": version})).reason == "version"


def test_a_header_without_a_version_is_refused() -> None:
    packed = msgpack.packb({"kind": "progress"} | HEADER)
    assert refusal([b"progress/s1/m", packed, b""]).reason == "version"


@pytest.mark.parametrize("kind", ["laughter", "", 5, None, ["progress"]])
def test_an_unknown_kind_is_refused(kind: object) -> None:
    assert refusal(frames_of("progress", HEADER | {"kind": kind})).reason == "unknown kind"


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_a_message_has_three_frames(count: int) -> None:
    frames = [*encode(transcript(1)), b""]
    assert refusal(frames[:count]).reason == "frames"


def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    topic, packed, _ = encode(transcript(1))
    assert refusal([b"x" * (MAX_TOPIC_BYTES + 1), packed, b""]).reason == "too large"
    assert refusal([topic, b"\x81" * (MAX_HEADER_BYTES + 1), b""]).reason == "too large"
    assert refusal([topic, packed, bytes(MAX_PAYLOAD_BYTES + 1)]).reason == "too large"


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [7, 50, 500])
def test_what_nests_too_deep_is_refused(depth: int) -> None:
    error = refusal(frames_of("progress", HEADER | {"deep": nested(depth)}))
    assert error.reason == "too large"


@pytest.mark.parametrize("depth", [1500, 20_000])
def test_what_nests_absurdly_deep_is_refused_without_recursion(depth: int) -> None:
    packed = b"\x81\xa1a" + b"\x91" * depth + b"\x01"
    assert refusal([b"progress/s1/m", packed, b""]).reason in {"not MessagePack", "too large"}


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\xc1",
        b"\x01",
        b"\x90",
        b"\x80\x80",
        b"\x81\xa1",
        b"\xc7\x05\x01hello",
        b"\x81\x01\x02",
        b"\x81\xc4\x01a\x02",
        b"\x81\xa1a\x81\x01\x02",
        b"\x81\xa1a\x81\xc4\x01x\x02",
        b"\x81\xa1a\x91\xc7\x00\x05",
        b"\x81\xa1a\xd6\xff\x00\x00\x00\x05",
        b"\x81\xa1a\xa1\xff",
    ],
    ids=[
        "empty",
        "reserved",
        "number",
        "list",
        "two",
        "cut",
        "extension",
        "number key",
        "bytes key",
        "number key within",
        "bytes key within",
        "extension within",
        "timestamp within",
        "no UTF-8",
    ],
)
def test_what_is_not_one_messagepack_map_is_refused(packed: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        unpack_map(packed)
    assert caught.value.reason == "not MessagePack"


@pytest.mark.parametrize("start", [b"\xdf", b"\x81\xa1a\xdd", b"\x81\xa1a\xdb", b"\x81\xa1a\xc6"])
def test_a_header_that_claims_a_gigantic_value_is_refused(start: bytes) -> None:
    """A map, a list, a text and bytes."""
    assert refusal([b"t", start + b"\xff\xff\xff\xff", b""]).reason == "not MessagePack"


def test_lists_that_claim_more_and_more_take_no_memory() -> None:
    packed = b"\x81\xa1a" + b"\xdd\x7f\xff\xff\xff" * 900
    tracemalloc.start()
    try:
        assert refusal([b"t", packed, b""]).reason == "not MessagePack"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1024 * 1024


@pytest.mark.parametrize(
    "change",
    [
        {"watermark_ns": -1},
        {"watermark_ns": 1 << 62},
        {"watermark_ns": (1 << 64) - 1},
        {"watermark_ns": 1.5},
        {"watermark_ns": "1"},
        {"watermark_ns": None},
        {"heads": {"a": -1}},
        {"heads": [1]},
        {"seq": -1},
        {"session": ""},
        {"session": "a b"},
        {"session": "a/b"},
        {"session": "a\n"},
        {"session": "x" * 121},
        {"source": 5},
    ],
    ids=repr,
)
def test_a_field_out_of_its_bounds_is_refused(change: dict[str, Any]) -> None:
    body = HEADER | change
    assert refusal(frames_of("progress", body)).reason == "field"


def test_a_missing_required_field_is_refused() -> None:
    assert refusal(frames_of("progress", {"session": "s1", "source": "m"})).reason == "field"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -0.1, 1.1])
def test_a_probability_that_is_none_is_refused(bad: float) -> None:
    frames = encode(msgspec.structs.replace(emotion(1), categorical={"anger": bad}))
    assert refusal(frames).reason == "field"


def test_a_latency_that_is_not_finite_is_refused() -> None:
    frames = encode(msgspec.structs.replace(emotion(1), latency_ms={"fusion": float("nan")}))
    assert refusal(frames).reason == "field"


def test_a_span_that_ends_before_it_starts_is_refused() -> None:
    frames = encode(msgspec.structs.replace(transcript(1), start_ns=5, end_ns=4))
    assert refusal(frames).reason == "field"
    word = Word(text="a", start_ns=2, end_ns=1)
    frames = encode(msgspec.structs.replace(transcript(1), words=(word,)))
    assert refusal(frames).reason == "field"


def acoustic(values: np.ndarray[Any, Any]) -> Acoustic:
    return Acoustic(
        session="s",
        source="m",
        speaker="a",
        front_end="f",
        start_ns=0,
        hop_ns=1,
        rows=len(values),
        columns=values.shape[1],
        payload=values.astype("<f4").tobytes(),
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused(bad: float) -> None:
    assert refusal(encode(acoustic(np.array([[1.0, bad]])))).reason == "not finite"


def mocap(times_ns: tuple[int, ...]) -> Mocap:
    payload = np.full((2, 3), np.nan, dtype="<f4").tobytes()
    return Mocap(
        session="s",
        source="m",
        layout="l",
        speaker="a",
        times_ns=times_ns,
        rows=2,
        columns=3,
        payload=payload,
    )


def test_a_lost_marker_is_nan_in_motion_capture_and_is_read() -> None:
    message = decode(encode(mocap((1, 2))))
    assert isinstance(message, Mocap)
    assert np.isnan(message.values).all()


@pytest.mark.parametrize("times_ns", [(1,), (1, 1), (2, 1), (1, 2, 3)])
def test_motion_capture_needs_one_strictly_later_time_per_row(times_ns: tuple[int, ...]) -> None:
    assert refusal(encode(mocap(times_ns))).reason in {"payload", "field"}


def test_a_payload_of_another_size_than_said_is_refused() -> None:
    topic, packed, payload = encode(acoustic(np.ones((2, 3))))
    assert refusal([topic, packed, payload[:-1]]).reason == "payload"
    assert refusal([topic, packed, b""]).reason == "payload"
    assert refusal([topic, packed, payload * 2]).reason == "payload"


def test_half_a_sample_is_refused() -> None:
    body = {"session": "s", "source": "m", "first_sample": 0, "sample_rate_hz": 16_000}
    assert refusal(frames_of("audio", body | {"start_ns": 0}, b"abc")).reason == "payload"


def test_a_payload_where_none_belongs_is_refused() -> None:
    assert refusal(frames_of("progress", HEADER, b"x")).reason == "payload"


@pytest.mark.parametrize(
    "topic", [b"emotion/s1/m", b"progress/s2/m", b"", b"\xff", b"progress/s1/m "]
)
def test_a_topic_that_does_not_belong_to_its_header_is_refused(topic: bytes) -> None:
    _, packed, payload = frames_of("progress", HEADER)
    assert refusal([topic, packed, payload]).reason == "topic"


@pytest.mark.parametrize("kind", list(MESSAGES), ids=lambda kind: kind.__name__)
def test_a_header_is_the_bytes_that_another_messagepack_writes(kind: type[Message]) -> None:
    @settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(MESSAGES[kind])
    def check(message: Message) -> None:
        _, packed, _ = encode(message)
        assert packed == msgpack.packb(msgpack.unpackb(packed))

    check()


def test_what_a_reader_would_refuse_for_its_size_is_not_even_encoded() -> None:
    too_long = Audio(
        session="s",
        source="m",
        first_sample=0,
        sample_rate_hz=16_000,
        start_ns=0,
        payload=bytes(MAX_PAYLOAD_BYTES + 2),
    )
    with pytest.raises(DecodeError, match="split it"):
        encode(too_long)
    with pytest.raises(DecodeError, match="split it"):
        encode(transcript(1, size=MAX_HEADER_BYTES))
    with pytest.raises(DecodeError, match="shorter names"):
        encode(Progress(session="\U0001f600" * 120, source="\U0001f600" * 120, watermark_ns=0))


def test_nothing_is_ever_unpickled() -> None:
    packed = b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93."
    assert refusal([b"t", packed, packed]).reason == "not MessagePack"


@pytest.mark.parametrize(
    "change", [{"v": "9" * 5_000}, {"kind": "x\n" * 5_000}, {"modality": "a\nb" * 5_000}]
)
def test_what_a_stranger_wrote_is_repeated_on_one_short_line(change: dict[str, Any]) -> None:
    body = {"session": "s", "source": "m", "modality": "speech", "start_ns": 0}
    topic, packed, payload = frames_of("stream.opened", body)
    header = msgpack.unpackb(packed) | change
    with pytest.raises(DecodeError) as refused:
        decode([topic, msgpack.packb(header), payload])
    assert len(str(refused.value)) < 300
    assert len(str(refused.value).splitlines()) == 1


def test_rows_of_nothing_are_refused() -> None:
    block = Mocap(
        session="s", source="m", layout="x", speaker="a", rows=2, columns=0, times_ns=(1, 2)
    )
    with pytest.raises(DecodeError, match="payload: mocap says 2 rows of nothing"):
        decode(encode(block))


def test_frames_that_would_lie_beyond_all_times_are_refused() -> None:
    values = np.zeros((3, 1), "<f4")
    block = Acoustic(
        session="s",
        source="m",
        front_end="x",
        speaker="a",
        start_ns=0,
        hop_ns=1 << 61,
        rows=3,
        columns=1,
        payload=values.tobytes(),
    )
    with pytest.raises(DecodeError, match="beyond all times"):
        decode(encode(block))


def test_an_estimate_of_no_class_is_refused_for_it_has_no_label() -> None:
    frames = encode(msgspec.structs.replace(emotion(1), categorical={}))
    with pytest.raises(DecodeError, match="categorical"):
        decode(frames)
