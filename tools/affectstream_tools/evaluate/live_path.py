"""Labelled clips through the live path, and what the same model says of them offline.

Knows: one dialogue per speaker, clips in it one after the other with silence between, and which
estimate answers for a clip.
Refuses to know: how speech is found, described, aligned and estimated: those are the machines that
a microphone worker and a fusion node run, fed with what the microphone would have heard.

Time is the audio's own, so a run is as fast as it computes and the same on every machine; with a
speed it keeps that pace. Every message passes the wire format.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from affectstream.codec import decode, encode
from affectstream.core.capture.audio import CapturedAudio
from affectstream.core.dialogue.normalisation import NOBODY
from affectstream.features.egemaps.front_end import extract_egemaps
from affectstream.features.egemaps.statistics import utterance_statistics
from affectstream.fusion.node import FusionNode
from affectstream.fusion.pretrained import PretrainedModel
from affectstream.messages import Emotion, Message
from affectstream.sources.speech import speech_segmenter
from affectstream.timebase import NS_PER_S, SAMPLE_RATE_HZ, Interval, samples_to_ns
from affectstream_models.context.values import UtteranceInputs
from affectstream_tools.corpora.features.utterance_audio import read_whole_clip
from affectstream_tools.corpora.labelled_clips import LabelledClip

LIVE_BLOCK_SAMPLES = 960
PAUSE_S = 1.0
"""Silence before, between and after the clips, beside their own."""


@dataclass(frozen=True, slots=True)
class LiveAnswer:
    """What was said of one clip.

    Attributes:
        first, final: class -> probability, when the utterance had ended, and at last; None where
            no utterance was found.
        offline: shape (4,), of the whole clip.
    """

    clip: LabelledClip
    first: NDArray[np.float32] | None
    final: NDArray[np.float32] | None
    offline: NDArray[np.float32]


@dataclass(slots=True)
class _Utterance:
    span: Interval
    first: Emotion | None = None
    final: Emotion | None = None


@dataclass(slots=True)
class _Listener:
    """Keeps the first and the last estimate of each utterance."""

    utterances: dict[str, _Utterance] = field(default_factory=dict)

    def hear(self, message: Message) -> None:
        if not isinstance(message, Emotion) or message.status == "partial":
            return
        span = Interval(message.start_ns, message.end_ns)
        known = self.utterances.setdefault(message.utterance, _Utterance(span))
        known.first = known.first or message
        known.final = message

    def of(self, span: Interval) -> _Utterance | None:
        """Return the utterance that overlaps most of ``span``."""
        found = max(self.utterances.values(), key=lambda u: u.span.overlap_ns(span), default=None)
        return found if found is not None and found.span.overlap_ns(span) else None


def answer_speaker(
    model: PretrainedModel,
    clips: Sequence[LabelledClip],
    rng: random.Random,
    *,
    vad: str = "webrtc",
    speed: float = math.inf,
    on_clip: Callable[[], None] = lambda: None,
) -> list[LiveAnswer]:
    """Play a speaker's clips in random order as one dialogue; return the answers.

    Raises:
        SourceError: a clip cannot be read, or the detector is missing.
    """
    order = rng.sample(list(clips), len(clips))
    sounds = [read_whole_clip(clip.path) for clip in order]
    spans, listener = _play(model, sounds, vad, speed, on_clip)
    offline = _offline(model, sounds)
    answers = []
    for clip, span, whole in zip(order, spans, offline, strict=True):
        found = listener.of(span)
        first, final = (None, None) if found is None else (found.first, found.final)
        answers.append(LiveAnswer(clip, _probabilities(first), _probabilities(final), whole))
    return answers


def _play(
    model: PretrainedModel,
    sounds: Sequence[NDArray[np.int16]],
    vad: str,
    speed: float,
    on_clip: Callable[[], None],
) -> tuple[list[Interval], _Listener]:
    segmenter = speech_segmenter(
        session="live",
        speaker="you",
        start_ns=0,
        publish_audio=False,
        clock_id="clips",
        vad=vad,
    )
    node, listener = FusionNode(model, model.look_ahead), _Listener()
    position, began_s = 0, time.monotonic()

    def pass_on(messages: Sequence[Message], now_ns: int) -> None:
        said = [m for one in messages for m in node.receive(decode(encode(one)), now_ns)]
        for message in (*said, *node.wake(now_ns)):
            listener.hear(message)

    spans = []
    for samples, is_clip in _with_pauses(sounds):
        first = position
        for block in _blocks(samples):
            captured = CapturedAudio(position, block)
            position += len(block)
            now_ns = samples_to_ns(position, SAMPLE_RATE_HZ)
            time.sleep(max(0.0, began_s + now_ns / NS_PER_S / speed - time.monotonic()))
            pass_on(segmenter.receive(captured, now_ns), now_ns)
        if is_clip:
            ends = (samples_to_ns(at, SAMPLE_RATE_HZ) for at in (first, position))
            spans.append(Interval(*ends))
            on_clip()
    now_ns = samples_to_ns(position, SAMPLE_RATE_HZ)
    pass_on(segmenter.close(now_ns), now_ns)
    for message in node.close(now_ns):
        listener.hear(message)
    return spans, listener


def _with_pauses(
    sounds: Sequence[NDArray[np.int16]],
) -> Iterator[tuple[NDArray[np.int16], bool]]:
    pause = np.zeros(int(PAUSE_S * SAMPLE_RATE_HZ), np.int16)
    yield pause, False
    for sound in sounds:
        yield sound, True
        yield pause, False


def _blocks(samples: NDArray[np.int16]) -> Iterator[NDArray[np.int16]]:
    for first in range(0, len(samples), LIVE_BLOCK_SAMPLES):
        yield samples[first : first + LIVE_BLOCK_SAMPLES]


def _offline(
    model: PretrainedModel, sounds: Sequence[NDArray[np.int16]]
) -> list[NDArray[np.float32]]:
    """Whole clips, normalised by all that the speaker said, in the same order, look-ahead 0."""
    observed = [utterance_statistics(extract_egemaps(sound)) for sound in sounds]
    speakers = NOBODY
    for statistics in observed:
        _, speakers = model.normaliser.carry(speakers, "you", statistics)
    known = speakers["you"]
    given = [
        UtteranceInputs("you", model.normaliser.normalise(statistics, known), None)
        for statistics in observed
    ]
    return [e.categorical for e in model.network.offline(given, 0, influence=False)]


def _probabilities(emotion: Emotion | None) -> NDArray[np.float32] | None:
    if emotion is None:
        return None
    return np.array(list(emotion.categorical.values()), dtype=np.float32)
