"""Labelled clips through the live path, and what the same model says of them offline.

Knows: one dialogue per speaker, clips in it one after the other with silence between, and which
estimate answers for a clip.
Refuses to know: how speech is found, described, aligned and estimated: those are the machines that
a microphone worker and a fusion node run, fed with what the microphone would have heard.

Time is the audio's own, so a run is as fast as it computes and the same on every machine; with a
speed it keeps that pace.
"""

from __future__ import annotations

import math
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from affectstream.core.capture.audio import CapturedAudio
from affectstream.core.dialogue.normalisation import NOBODY
from affectstream.features.egemaps.front_end import extract_egemaps
from affectstream.features.egemaps.statistics import utterance_statistics
from affectstream.fusion.node import NODE_PREFIXES, FusionNode
from affectstream.fusion.pretrained import PretrainedModel
from affectstream.messages import Emotion, Message
from affectstream.run.virtual_time import JoinedMachine, run_in_virtual_time
from affectstream.sources.speech import speech_segmenter
from affectstream.timebase import NS_PER_S, SAMPLE_RATE_HZ, Interval, samples_to_ns
from affectstream_models.context.values import UtteranceInputs
from affectstream_tools.corpora.features.utterance_audio import read_whole_clip
from affectstream_tools.corpora.labelled_clips import LabelledClip

LIVE_BLOCK_SAMPLES = 960
PAUSE_SAMPLES = SAMPLE_RATE_HZ
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
    recording = _JoinedClips(sounds)
    listener = _play(model, recording, vad, speed, on_clip)
    offline = _offline(model, sounds)
    answers = []
    for clip, span, whole in zip(order, recording.spans, offline, strict=True):
        found = listener.of(span)
        first, final = (None, None) if found is None else (found.first, found.final)
        answers.append(LiveAnswer(clip, _probabilities(first), _probabilities(final), whole))
    return answers


class _JoinedClips:
    """An input that plays clips one after the other, with a pause around each.

    Attributes:
        spans: where each of them is.
    """

    def __init__(self, clips: Sequence[NDArray[np.int16]]) -> None:
        pause = np.zeros(PAUSE_SAMPLES, np.int16)
        self._samples = np.concatenate([pause, *(part for clip in clips for part in (clip, pause))])
        self._position = 0
        self.spans: list[Interval] = []
        first = PAUSE_SAMPLES
        for clip in clips:
            ends = (samples_to_ns(at, SAMPLE_RATE_HZ) for at in (first, first + len(clip)))
            self.spans.append(Interval(*ends))
            first += len(clip) + PAUSE_SAMPLES

    @property
    def exhausted(self) -> bool:
        return self._position == len(self._samples)

    def fileno(self) -> int:
        return -1

    def next_read_ns(self) -> int | None:
        """Return when the next block is over."""
        return None if self.exhausted else samples_to_ns(self._block_end, SAMPLE_RATE_HZ)

    @property
    def _block_end(self) -> int:
        return min(self._position + LIVE_BLOCK_SAMPLES, len(self._samples))

    def read(self, now_ns: int) -> Iterator[CapturedAudio]:
        while (due_ns := self.next_read_ns()) is not None and due_ns <= now_ns:
            first, self._position = self._position, self._block_end
            yield CapturedAudio(first, self._samples[first : self._position])

    def close(self) -> None:
        self._position = len(self._samples)


def _play(
    model: PretrainedModel,
    recording: _JoinedClips,
    vad: str,
    speed: float,
    on_clip: Callable[[], None],
) -> _Listener:
    segmenter = speech_segmenter(
        session="live",
        speaker="you",
        start_ns=0,
        publish_audio=False,
        clock_id="clips",
        vad=vad,
    )
    parts = [
        JoinedMachine(segmenter, inputs=(recording,)),
        JoinedMachine(FusionNode(model, model.look_ahead), NODE_PREFIXES),
    ]
    listener, began_s = _Listener(), time.monotonic()
    clip_ends = deque(span.end_ns for span in recording.spans)
    for message in run_in_virtual_time(parts):
        due_s = began_s + message.sent_ns / NS_PER_S / speed
        time.sleep(max(0.0, due_s - time.monotonic()))
        listener.hear(message)
        while clip_ends and clip_ends[0] <= message.sent_ns:
            clip_ends.popleft()
            on_clip()
    return listener


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
