"""What a journal keeps of a dialogue: values with a version, and nothing else.

Knows: the fields of a saved dialogue, their types, and how bytes of another version are refused.
Refuses to know: files, what a model's values are (a model packs its own), and how a dialogue goes
on.

Each machine of a dialogue makes its own part (``snapshot``) and is made of it again
(``restored``). A field that is missing, that is not known, or that has another type is refused,
and so is another version: what is read can only become what is written here. Whoever changes a
field raises ``SNAPSHOT_VERSION``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from affectstream.core.dialogue.aligned import AlignedUtterance
from affectstream.core.dialogue.normalisation import Speakers, SpeakerStatistics
from affectstream.errors import AffectstreamError, brief
from affectstream.messages import Gap, UtteranceEnded

SNAPSHOT_VERSION = 2
"""1 was that of affectstream 0.1, which kept the private attributes of its classes."""


class SnapshotError(AffectstreamError, ValueError):
    """Bytes are no saved dialogue of this version; one sentence."""


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    """A part of a snapshot: all its fields are there, and no others."""


class ArraySnapshot(_Part):
    """An array: its numpy type such as ``<f4``, its shape, its values in C order."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes


class UtteranceSnapshot(_Part):
    """An ``AlignedUtterance``."""

    id: str
    speaker: str
    start_ns: int
    end_ns: int
    observations: dict[str, ArraySnapshot]
    frames: dict[str, ArraySnapshot]
    text: str | None
    announced_ns: int
    sent_ns: int
    origin: str


class SpeakerSnapshot(_Part):
    """A speaker's ``SpeakerStatistics``."""

    speaker: str
    count: ArraySnapshot
    mean: ArraySnapshot
    m2: ArraySnapshot


class OpenUtteranceSnapshot(_Part):
    """An ``OpenUtterance``; bytes are the model's."""

    utterance: UtteranceSnapshot
    state: str
    revision: int
    complete: bool
    given: UtteranceSnapshot | None
    speakers: list[SpeakerSnapshot] | None
    encoded: bytes | None
    after: bytes | None
    estimate: bytes | None
    seen: int


class ContextSnapshot(_Part):
    """A ``DialogueContext``; the first speaker is the one who spoke least recently."""

    look_ahead: int | None
    late: int
    base: bytes
    base_speakers: list[SpeakerSnapshot]
    utterances: list[OpenUtteranceSnapshot]
    partial_revisions: list[tuple[str, int]]
    gone: list[str]
    last_final: tuple[int, int, str, str] | None
    closed: bool


class StreamSnapshot(_Part):
    """How far a stream has come."""

    source: str
    watermark_ns: int
    heard_ns: int
    stalled: bool


class WatermarksSnapshot(_Part):
    """``Watermarks``."""

    stall_ns: int | None
    streams: list[StreamSnapshot]


class FrameBlockSnapshot(_Part):
    """A block of frames: times (n,) in ns, values (n, columns)."""

    times: ArraySnapshot
    values: ArraySnapshot


class FrameTrackSnapshot(_Part):
    """The ``FrameTrack`` of a speaker's frames of one kind."""

    speaker: str
    kind: str
    dropped: int
    blocks: list[FrameBlockSnapshot]


class PendingSnapshot(_Part):
    """An utterance that pieces are collected for."""

    utterance: str
    source: str
    speaker: str
    start_ns: int
    epoch: int
    ended: UtteranceEnded | None
    announced_ns: int
    partial_due_ns: int
    ready: bool
    dirty: bool
    observations: dict[str, ArraySnapshot]
    text: str | None
    text_is_final: bool


class AlignerSnapshot(_Part):
    """An ``UtteranceAligner``."""

    watermarks: WatermarksSnapshot
    pending: list[PendingSnapshot]
    done: list[tuple[str, str, int, int]]
    tracks: list[FrameTrackSnapshot]
    epochs: dict[str, int]
    gaps: list[Gap]


class DialogueSnapshot(_Part):
    """A dialogue at a node: whose clock it lives by, its alignment, its context."""

    session: str
    open: list[str]
    driver: str | None
    clock_ns: int
    heard_ns: int
    paused_ns: int
    closing: bool
    aligner: AlignerSnapshot
    context: ContextSnapshot
    version: int = SNAPSHOT_VERSION


class _Version(msgspec.Struct):
    """What is looked at first."""

    version: int


def encode_snapshot(snapshot: DialogueSnapshot) -> bytes:
    """Return a snapshot as bytes (MessagePack)."""
    return msgspec.msgpack.encode(snapshot)


def decode_snapshot(saved: bytes) -> DialogueSnapshot:
    """Return the snapshot that ``saved`` holds.

    Raises:
        SnapshotError: it holds none, or one of another version.
    """
    try:
        version = msgspec.msgpack.decode(saved, type=_Version).version
        if version != SNAPSHOT_VERSION:
            raise SnapshotError(
                f"it was saved as version {version}, and this program reads {SNAPSHOT_VERSION}"
            )
        return msgspec.msgpack.decode(saved, type=DialogueSnapshot)
    except msgspec.MsgspecError as error:
        raise SnapshotError(f"it is no saved dialogue ({brief(error)})") from error


def kept_array(values: NDArray[Any]) -> ArraySnapshot:
    """Return an array of numbers as a snapshot keeps it."""
    return ArraySnapshot(values.dtype.str, values.shape, values.tobytes())


def restored_array(kept: ArraySnapshot) -> NDArray[Any]:
    """Return an array of its own that has the kept values.

    Raises:
        SnapshotError: type, shape and values do not belong together.
    """
    try:
        dtype = np.dtype(kept.dtype)
        if dtype.hasobject:
            raise ValueError(f"{kept.dtype} is no type of numbers")
        return np.frombuffer(kept.data, dtype=dtype).reshape(kept.shape).copy()
    except (ValueError, TypeError) as error:
        raise SnapshotError(f"it holds no array where one must be ({brief(error)})") from error


def kept_arrays(arrays: Mapping[str, NDArray[Any]]) -> dict[str, ArraySnapshot]:
    """Return named arrays as a snapshot keeps them."""
    return {name: kept_array(values) for name, values in arrays.items()}


def restored_arrays(kept: Mapping[str, ArraySnapshot]) -> dict[str, NDArray[Any]]:
    """Return what ``kept_arrays`` was given."""
    return {name: restored_array(values) for name, values in kept.items()}


def kept_utterance(utterance: AlignedUtterance) -> UtteranceSnapshot:
    """Return an utterance as a snapshot keeps it."""
    return UtteranceSnapshot(
        id=utterance.id,
        speaker=utterance.speaker,
        start_ns=utterance.start_ns,
        end_ns=utterance.end_ns,
        observations=kept_arrays(utterance.observations),
        frames=kept_arrays(utterance.frames),
        text=utterance.text,
        announced_ns=utterance.announced_ns,
        sent_ns=utterance.sent_ns,
        origin=utterance.origin,
    )


def restored_utterance(kept: UtteranceSnapshot) -> AlignedUtterance:
    """Return what ``kept_utterance`` was given."""
    return AlignedUtterance(
        id=kept.id,
        speaker=kept.speaker,
        start_ns=kept.start_ns,
        end_ns=kept.end_ns,
        observations=restored_arrays(kept.observations),
        frames=restored_arrays(kept.frames),
        text=kept.text,
        announced_ns=kept.announced_ns,
        sent_ns=kept.sent_ns,
        origin=kept.origin,
    )


def kept_speakers(speakers: Speakers) -> list[SpeakerSnapshot]:
    """Return what is known of speakers as a snapshot keeps it, in the same order."""
    return [
        SpeakerSnapshot(name, kept_array(s.count), kept_array(s.mean), kept_array(s.m2))
        for name, s in speakers.items()
    ]


def restored_speakers(kept: list[SpeakerSnapshot]) -> Speakers:
    """Return what ``kept_speakers`` was given."""
    return MappingProxyType(
        {
            each.speaker: SpeakerStatistics(
                *(restored_array(values) for values in (each.count, each.mean, each.m2))
            )
            for each in kept
        }
    )
