"""A dialogue that is saved at any moment and restored goes on as if nothing had happened."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from affectstream.core.dialogue.snapshot import (
    SNAPSHOT_VERSION,
    ArraySnapshot,
    SnapshotError,
    decode_snapshot,
    encode_snapshot,
    kept_array,
    restored_array,
)
from affectstream.fusion.node import FusionNode
from affectstream.fusion.session import DialogueSession
from affectstream.messages import Acoustic, Message, Mocap
from fakes import (
    MS,
    FakeModel,
    S,
    closed,
    ended,
    observation,
    opened,
    progress,
    speaker_normaliser,
    started,
    transcript,
)


def frames(kind: type[Acoustic | Mocap], start_ns: int, rows: int) -> Message:
    values = np.arange(rows * 3, dtype="<f4").reshape(rows, 3) + start_ns % 7
    common: dict[str, Any] = {
        "session": "s1",
        "source": "mic.anna",
        "speaker": "anna",
        "rows": rows,
        "columns": 3,
        "payload": values.tobytes(),
    }
    if kind is Mocap:
        times = tuple(start_ns + 10 * MS * i for i in range(rows))
        return Mocap(layout="test", times_ns=times, **common)
    return Acoustic(front_end="test", start_ns=start_ns, hop_ns=10 * MS, **common)


def heard(count: int) -> list[Message]:
    """A dialogue with everything that a state can hold: frames, guesses, gaps, late pieces."""
    said: list[Message] = [opened("mic.anna"), opened("asr.mic.anna", modality="text")]
    for i in range(count):
        start_ns, end_ns = S * (i + 1), S * (i + 1) + 700 * MS
        name = f"u{i}"
        said += [
            started(name, start_ns),
            frames(Mocap, start_ns, 40),
            transcript(name, "a gue", final=False),
            ended(name, start_ns, end_ns),
            observation(name, float(i) / 7),
            progress(end_ns, "mic.anna"),
        ]
        if i % 3:
            said += [transcript(name, f"text {i}"), progress(end_ns, "asr.mic.anna")]
        if i % 4 == 3:
            said.append(transcript(f"u{i - 3}", "far too late"))
    return [*said, closed("mic.anna"), closed("asr.mic.anna")]


def played(normalised: bool, saved_after: set[int], count: int = 9) -> list[Message]:
    """What a node says to the dialogue; after some messages it is saved and restored."""
    model = FakeModel(speaker_normaliser() if normalised else None)
    node = FusionNode(model, 2, stopwatch=lambda: 0)
    said: list[Message] = []
    for place, message in enumerate(heard(count)):
        now_ns = S + 170 * MS * place
        said += node.receive(message, now_ns)
        said += node.wake(now_ns)
        if place in saved_after and "s1" in node.sessions:
            saved = encode_snapshot(node.sessions["s1"].snapshot(model))
            restored = DialogueSession.restored(decode_snapshot(saved), model, node.reads)
            assert encode_snapshot(restored.snapshot(model)) == saved
            restored.planned_ns = node.sessions["s1"].planned_ns
            node.sessions["s1"] = restored
    return said


@settings(max_examples=30, deadline=None)
@given(st.booleans(), st.sets(st.integers(0, 70)))
def test_saved_and_restored_at_any_moment_it_says_the_same(
    normalised: bool, saved_after: set[int]
) -> None:
    assert played(normalised, saved_after) == played(normalised, set())


def a_saved_dialogue() -> bytes:
    model = FakeModel(speaker_normaliser())
    node = FusionNode(model, 2, stopwatch=lambda: 0)
    for message in heard(4)[:-2]:
        list(node.receive(message, S))
        list(node.wake(S))
    return encode_snapshot(node.sessions["s1"].snapshot(model))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every map in a decoded value."""
    if isinstance(value, dict):
        inner = [p for key, part in value.items() for p in places(part, (*path, key))]
        return [path, *inner]
    if isinstance(value, list):
        return [p for index, part in enumerate(value) for p in places(part, (*path, index))]
    return []


NAMED = {"observations", "frames", "epochs"}
"""Maps whose keys are data, and messages of the wire, whose unknown fields are ignored."""
WIRE = {"ended", "gaps"}


def structs(saved: Any) -> list[tuple[Any, ...]]:
    return [
        path
        for path in places(saved)
        if not (path and path[-1] in NAMED) and not WIRE & {str(step) for step in path}
    ]


def refusal(plain: Any) -> str:
    with pytest.raises(SnapshotError) as caught:
        decode_snapshot(msgspec.msgpack.encode(plain))
    return str(caught.value)


def at(plain: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        plain = plain[step]
    return plain


def test_a_field_that_is_missing_or_not_known_is_refused_wherever_it_is() -> None:
    saved = a_saved_dialogue()
    decoded = msgspec.msgpack.decode(saved)
    kinds = {tuple(str(s) for s in path if not isinstance(s, int)) for path in structs(decoded)}
    assert len(kinds) >= 10  # every kind of part is among them
    for path in structs(decoded):
        fields = list(at(decoded, path))
        for name in fields:
            plain = msgspec.msgpack.decode(saved)
            del at(plain, path)[name]
            if name == "version":
                continue  # the test below
            assert f"missing required field `{name}`" in refusal(plain)
        plain = msgspec.msgpack.decode(saved)
        at(plain, path)["surprise"] = 1
        assert "unknown field `surprise`" in refusal(plain)


def test_a_value_of_another_type_is_refused() -> None:
    plain = msgspec.msgpack.decode(a_saved_dialogue())
    plain["context"]["late"] = "many"
    assert "Expected `int`, got `str`" in refusal(plain)


@pytest.mark.parametrize("version", [0, 1, SNAPSHOT_VERSION + 1])
def test_another_version_is_named(version: int) -> None:
    plain = msgspec.msgpack.decode(a_saved_dialogue()) | {"version": version}
    assert refusal(plain) == (
        f"it was saved as version {version}, and this program reads {SNAPSHOT_VERSION}"
    )
    assert refusal({"version": version, "what": "ever"}).startswith("it was saved as version")


def test_what_is_no_snapshot_is_refused_in_one_sentence() -> None:
    saved = a_saved_dialogue()
    for wrong in (b"", b"\xc1", b"not a dialogue", saved[: len(saved) // 2], saved + b"\x00"):
        with pytest.raises(SnapshotError, match=r"^it is no saved dialogue \([^\n]*\)$"):
            decode_snapshot(wrong)
    without = msgspec.msgpack.decode(saved)
    del without["version"]
    assert "missing required field `version`" in refusal(without)


@pytest.mark.parametrize(
    "wrong",
    [
        ArraySnapshot("<f4", (2,), b"\x00" * 7),
        ArraySnapshot("<f4", (3,), b"\x00" * 8),
        ArraySnapshot("no type", (2,), b"\x00" * 8),
        ArraySnapshot("|O", (1,), b"\x00" * 8),
    ],
)
def test_an_array_that_is_none_is_refused(wrong: ArraySnapshot) -> None:
    with pytest.raises(SnapshotError, match="it holds no array"):
        restored_array(wrong)


def test_a_restored_array_is_its_own_and_has_the_same_bits() -> None:
    values = np.array([[0.1, np.nan, -0.0], [np.inf, 1e-40, 3.0]], np.float32)
    restored = restored_array(kept_array(values))
    assert restored.dtype == values.dtype
    assert restored.tobytes() == values.tobytes()
    restored[0, 0] = 7.0  # can be written, and nothing else changes
    assert values[0, 0] == np.float32(0.1)
