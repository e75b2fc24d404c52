"""The wire messages, one tagged union.

Knows: what each message says, in which units and within which bounds.
Refuses to know: sockets, files, and who reads a message. ``codec`` turns these into frames.

Every message names its ``session`` (one dialogue) and its ``source`` (one stream of it, such as
``mic.anna``). An outlet fills in ``epoch``, ``seq`` and ``sent_ns``: the epoch is random for each
start of an outlet, ``seq`` counts the messages of one topic from 0, and ``sent_ns`` is the sender's
processing time. All other times in ``_ns`` are event time, nanoseconds since 1970 or since the
start of a recording; an interval does not contain its end. ``docs/wire.md`` has all bounds.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

Name = Annotated[str, Meta(min_length=1, max_length=120, pattern=r"^[^/\s]+\Z")]
"""An id without a slash or white space: it is part of a topic."""

InstantNs = Annotated[int, Meta(ge=0, lt=1 << 62)]
Counter = Annotated[int, Meta(ge=0, lt=1 << 62)]
Epoch = Annotated[int, Meta(ge=0, lt=1 << 62)]
Size = Annotated[int, Meta(ge=0, le=1 << 20)]
Probability = Annotated[float, Meta(ge=0.0, le=1.0)]
Milliseconds = Annotated[float, Meta(ge=0.0, le=1e9)]
Level = Annotated[float, Meta(ge=1.0, le=5.0)]
Text = Annotated[str, Meta(max_length=16_384)]
Short = Annotated[str, Meta(max_length=400)]


class WireValue(msgspec.Struct, frozen=True, kw_only=True):
    """A value inside a message."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every message carries.

    Attributes:
        has_payload: whether messages of this kind have a ``payload``, which is not in the header.
    """

    session: Name
    source: Name
    epoch: Epoch = 0
    seq: Counter = 0
    sent_ns: InstantNs = 0

    has_payload: ClassVar[bool] = False

    @property
    def kind(self) -> str:
        """The message's kind, such as ``stream.opened``: the first part of its topic."""
        return str(self.__struct_config__.tag)

    @property
    def topic(self) -> str:
        """``kind/session/source``: a prefix of it is a subscription."""
        return f"{self.kind}/{self.session}/{self.source}"


class StreamOpened(Message, frozen=True, kw_only=True, tag="stream.opened"):
    """A source began.

    Attributes:
        modality: ``speech``, ``text``, ``mocap``, ``corpus`` or ``emotion``.
        speaker: whom the source hears or sees; None for several.
        of: the source that this one is derived from, such as a transcript's microphone.
        drives_clock: the session's processing time is this stream's (``Progress.now_ns``), as in
            a replay.
    """

    modality: Literal["speech", "text", "mocap", "corpus", "emotion"]
    start_ns: InstantNs = 0
    speaker: Name | None = None
    of: Name | None = None
    channels: tuple[Short, ...] = ()
    units: tuple[Short, ...] = ()
    nominal_rate_hz: Annotated[float, Meta(ge=0.0, le=1e6)] = 0.0
    clock_id: Short = ""
    drives_clock: bool = False


class StreamClosed(Message, frozen=True, kw_only=True, tag="stream.closed"):
    """A source ended and will say nothing more in this epoch."""

    reason: Short
    end_ns: InstantNs = 0


class Audio(Message, frozen=True, kw_only=True, tag="audio"):
    """A block of mono 16-bit PCM; the payload is little-endian samples.

    Attributes:
        first_sample: position of the first one: a count of samples from the stream's start.
        start_ns: event time of the first one.
    """

    first_sample: Counter
    sample_rate_hz: Annotated[int, Meta(ge=1000, le=384_000)]
    start_ns: InstantNs
    payload: bytes = b""

    has_payload: ClassVar[bool] = True

    @property
    def samples(self) -> NDArray[np.int16]:
        """The samples, shape (n,), sharing the payload's memory."""
        return np.frombuffer(self.payload, dtype="<i2")


class UtteranceStarted(Message, frozen=True, kw_only=True, tag="utterance.started"):
    """A speaker began to speak."""

    utterance: Name
    speaker: Name
    start_ns: InstantNs


class UtteranceEnded(Message, frozen=True, kw_only=True, tag="utterance.ended"):
    """A speaker's utterance is over; ``reason`` says why it was ended there."""

    utterance: Name
    speaker: Name
    start_ns: InstantNs
    end_ns: InstantNs
    reason: Literal["silence", "maximum length", "stream closed", "gap", "corpus"] = "silence"


class Matrix(Message, frozen=True, kw_only=True):
    """A message whose payload is rows x columns little-endian float32."""

    rows: Size
    columns: Size
    payload: bytes = b""

    has_payload: ClassVar[bool] = True

    @property
    def values(self) -> NDArray[np.float32]:
        """The frames, shape (rows, columns), sharing the payload's memory."""
        return np.frombuffer(self.payload, dtype="<f4").reshape(self.rows, self.columns)


class Acoustic(Matrix, frozen=True, kw_only=True, tag="acoustic"):
    """A block of a front end's low-level descriptors.

    Row ``i`` describes the sound that begins at ``start_ns + i * hop_ns``.
    """

    front_end: Name
    speaker: Name
    start_ns: InstantNs
    hop_ns: Annotated[int, Meta(gt=0, lt=1 << 62)]


class Mocap(Matrix, frozen=True, kw_only=True, tag="mocap"):
    """Frames of motion capture; NaN marks a coordinate that the tracker lost.

    Attributes:
        layout: the columns' names, such as ``iemocap.rotated`` or ``openface``.
        times_ns: one instant per row, strictly increasing.
    """

    layout: Name
    speaker: Name
    times_ns: tuple[InstantNs, ...]


class Observation(Matrix, frozen=True, kw_only=True, tag="observation"):
    """The features of one modality over one whole utterance: one row."""

    utterance: Name
    speaker: Name
    start_ns: InstantNs
    end_ns: InstantNs
    modality: Name
    front_end: Name


class Word(WireValue, frozen=True, kw_only=True):
    """A recognised word, in event time; ``confidence`` is the engine's own."""

    text: Short
    start_ns: InstantNs
    end_ns: InstantNs
    confidence: Probability = 1.0


class Transcript(Message, frozen=True, kw_only=True, tag="transcript"):
    """What was said in an utterance: a guess while ``final`` is false, then the text."""

    utterance: Name
    speaker: Name
    text: Text
    start_ns: InstantNs
    end_ns: InstantNs
    final: bool
    engine: Short
    words: tuple[Word, ...] = ()


class Progress(Message, frozen=True, kw_only=True, tag="progress"):
    """Watermark and heartbeat of one stream.

    Attributes:
        watermark_ns: nothing of this stream that ends at or before this instant is still to come.
        now_ns: the session's processing time, from a stream that drives the clock.
        heads: kind -> how many messages this stream has published. A reader that has seen fewer has
            missed some, and cannot trust the watermark yet.
    """

    watermark_ns: InstantNs
    now_ns: InstantNs | None = None
    heads: dict[Short, Counter] = {}


class Dimension(WireValue, frozen=True, kw_only=True):
    """One dimension of emotion: the mean on the 1..5 scale, and P(low), P(middle), P(high)."""

    mean: Level
    levels: tuple[Probability, Probability, Probability]


class ModelIdentity(WireValue, frozen=True, kw_only=True):
    """The checkpoint that produced an estimate, and the hash of its file."""

    id: Short
    sha256: Short


Status = Literal["partial", "provisional", "revised", "final"]


class Emotion(Message, frozen=True, kw_only=True, tag="emotion"):
    """An estimate of one utterance's emotion.

    Attributes:
        revision: counts the estimates of this utterance from 0 and strictly increases.
        status: ``partial`` while speech goes on, ``provisional`` for the first after it ended,
            then ``revised``, and at last ``final``.
        categorical: class -> probability.
        sure: whether the most probable class is probable enough to be believed.
        dimensional: ``valence``, ``activation``, ``dominance``, those that the model has.
        clusters: how many clusters there are (``3``, ``4``, ``5``) -> probability of each.
        modalities: those present -> how far each moved the class probabilities (total variation
            distance between the estimate with and without it, 0..1).
        look_ahead: how many later utterances the estimate has seen.
        text: what was said, as far as it was known.
        latency_ms: stage -> processing time.
    """

    utterance: Name
    speaker: Name
    start_ns: InstantNs
    end_ns: InstantNs
    revision: Counter
    status: Status
    categorical: Annotated[dict[Short, Probability], Meta(min_length=1)]
    sure: bool = True
    dimensional: dict[Short, Dimension] = {}
    clusters: dict[Short, tuple[Probability, ...]] = {}
    modalities: dict[Short, Probability] = {}
    look_ahead: Counter = 0
    text: Text | None = None
    model: ModelIdentity
    latency_ms: dict[Short, Milliseconds] = {}

    @property
    def label(self) -> str:
        """The most probable class, whether ``sure`` or not."""
        return max(self.categorical, key=lambda name: self.categorical[name])


class Gap(Message, frozen=True, kw_only=True, tag="gap"):
    """Something was lost: what, how much, and why.

    Attributes:
        of: the source whose data are missing.
        lost: the kind of the lost messages; in a source's own gaps, what it could not capture or
            use, such as ``audio`` for samples.
        count: how many messages or samples.
        start_ns, end_ns: where in event time, as far as it is known.
    """

    of: Name
    lost: Short
    count: Counter
    reason: Short
    start_ns: InstantNs | None = None
    end_ns: InstantNs | None = None


AnyMessage = (
    StreamOpened
    | StreamClosed
    | Audio
    | UtteranceStarted
    | UtteranceEnded
    | Acoustic
    | Transcript
    | Mocap
    | Observation
    | Progress
    | Emotion
    | Gap
)

MESSAGE_KINDS: dict[str, type[Message]] = {
    str(cls.__struct_config__.tag): cls for cls in AnyMessage.__args__
}
