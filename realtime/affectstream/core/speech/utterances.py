"""Where utterances start and end, in samples.

Knows: hysteresis over frames that hold a voice or do not.
Refuses to know: audio, time, messages, and how a voice is recognised.

An utterance is announced once it cannot be a blip any more, about a quarter of a second after its
first sound. It is over after a stretch of silence, which is not part of it. Its end never lies
before what was already voiced when it was announced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from affectstream.core.speech.voice_activity import FrameActivity
from affectstream.timebase import SAMPLE_RATE_HZ

VAD_FRAME_SAMPLES = 320
"""A frame of 20 ms."""

PRE_ROLL_MS = 40
"""How much before its first voiced frame belongs to an utterance."""

POST_ROLL_MS = 40
"""How much after its last voiced frame belongs to an utterance."""

END_SILENCE_MS = 400
"""Silence that ends an utterance."""

SHORTEST_MS = 250
"""What is shorter is a blip, not an utterance."""

CLEAR_FRAMES = 4
"""An utterance with so many periodic frames is clearly speech."""

SHORTEST_UNCLEAR_MS = 800
"""The same as ``SHORTEST_MS`` for what is not clearly speech, such as breathing."""

UNVOICED_ONSET_MS = 250
"""How long before its first periodic frame speech may start, with an unvoiced consonant."""

ONSET_RANGE_DB = 18.0
"""What lies further below the loudest frame does not start an utterance: the breath before it."""

BLIP_SILENCE_MS = 200
"""Silence after which what was not announced is forgotten."""

VOICED_SHARE = 0.5
"""How much of what is announced must be voiced."""

LONGEST_MS = 15_000
"""An utterance is cut there, and speech continues in the next."""

MAX_VOICED_FRAMES = 100
"""How many voiced frames are remembered of what may yet turn out to be speech."""

_MS = SAMPLE_RATE_HZ // 1000

EndReason = Literal["silence", "maximum length", "stream closed", "gap"]


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """An utterance started at position ``start``."""

    start: int


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The utterance that started last is over: it lies in ``start..end``, the end excluded."""

    start: int
    end: int
    reason: EndReason


SpeechEvent = SpeechStarted | SpeechEnded


@dataclass(slots=True)
class _Speech:
    """An utterance, or what may become one.

    Attributes:
        start: position of its first sample.
        voiced_end: position after its last voiced frame.
        continues: it was cut from the utterance before.
        announced: ``SpeechStarted`` was returned.
        voiced: position and activity of its voiced frames, until it is announced.
    """

    start: int
    voiced_end: int
    continues: bool = False
    announced: bool = False
    voiced: list[tuple[int, FrameActivity]] = field(default_factory=list)


class UtteranceFinder:
    """Finds utterances in a sequence of frames of 20 ms.

    Args:
        longest_ms: an utterance is cut there.
    """

    def __init__(self, longest_ms: int = LONGEST_MS) -> None:
        self._longest_ms = longest_ms
        self._earliest = 0  # no utterance starts before this position
        self._speech: _Speech | None = None

    @property
    def possible_end(self) -> int | None:
        """Where the open utterance would end if nothing more were said; None without one."""
        speech = self._speech
        return speech.voiced_end if speech is not None and speech.announced else None

    def earliest_start(self, position: int) -> int:
        """Return where an utterance that is not announced yet starts at the earliest.

        Args:
            position: up to where frames were taken.
        """
        speech = self._speech
        if speech is None or speech.announced:
            start = position
        elif speech.continues:
            return speech.start
        else:
            start = speech.start
        return max(self._earliest, start - PRE_ROLL_MS * _MS)

    def add(self, start: int, activity: FrameActivity) -> list[SpeechEvent]:
        """Take the frame at position ``start``; return what is known by it."""
        position = start + VAD_FRAME_SAMPLES
        events: list[SpeechEvent] = []
        if activity.voiced:
            events += self._add_voiced(start, activity)
        else:
            events += self._add_silence(position)
        return events + self._cut_at_longest(position)

    def end(
        self, reason: EndReason, position: int, *, resumes_at: int | None = None
    ) -> list[SpeechEvent]:
        """End what is open, no later than ``position``; go on at ``resumes_at``."""
        events = self._end(reason, position)
        if resumes_at is not None:
            self._earliest = max(self._earliest, resumes_at)
        return events

    def _add_voiced(self, start: int, activity: FrameActivity) -> list[SpeechEvent]:
        if self._speech is None:
            self._speech = _Speech(start, start)
        speech = self._speech
        speech.voiced_end = start + VAD_FRAME_SAMPLES
        if speech.announced:
            return []
        speech.voiced.append((start, activity))
        del speech.voiced[:-MAX_VOICED_FRAMES]
        onset = self._onset(speech)
        if onset is None:
            return []
        if not speech.continues:
            speech.start = max(self._earliest, onset - PRE_ROLL_MS * _MS)
        speech.announced = True
        speech.voiced.clear()
        return [SpeechStarted(speech.start)]

    @staticmethod
    def _onset(speech: _Speech) -> int | None:
        """Return where the speech starts, or None as long as it may be a blip or breath."""
        periodic = [at for at, frame in speech.voiced if frame.periodic]
        clear = len(periodic) >= CLEAR_FRAMES
        earliest = periodic[0] - UNVOICED_ONSET_MS * _MS if clear else 0
        faintest_db = max(frame.level_db for _, frame in speech.voiced) - ONSET_RANGE_DB
        loud = [at for at, frame in speech.voiced if frame.level_db > faintest_db]
        loud = [at for at in loud if at >= earliest]
        length = speech.voiced_end - loud[0]
        shortest_ms = SHORTEST_MS if clear else SHORTEST_UNCLEAR_MS
        voiced = VAD_FRAME_SAMPLES * len(loud)
        if length < shortest_ms * _MS or voiced < VOICED_SHARE * length:
            return None
        return loud[0]

    def _add_silence(self, position: int) -> list[SpeechEvent]:
        if self._speech is None:
            return []
        silence = position - self._speech.voiced_end
        if not self._speech.announced:
            if silence >= BLIP_SILENCE_MS * _MS:
                self._speech = None
        elif silence >= END_SILENCE_MS * _MS:
            return self._end("silence", position)
        return []

    def _cut_at_longest(self, position: int) -> list[SpeechEvent]:
        speech = self._speech
        if speech is None or not speech.announced:
            return []
        # Cut a frame before the limit would be passed, so that no utterance exceeds it.
        if position + VAD_FRAME_SAMPLES - speech.start <= self._longest_ms * _MS:
            return []
        talking = position - speech.voiced_end < BLIP_SILENCE_MS * _MS
        events = self._end("maximum length", position, exactly=talking)
        if talking:
            self._speech = _Speech(position, position, continues=True)
        return events

    def _end(self, reason: EndReason, position: int, *, exactly: bool = False) -> list[SpeechEvent]:
        """End what is open: ``exactly`` at ``position``, or soon after its last voiced frame."""
        speech, self._speech = self._speech, None
        if speech is None or not speech.announced:
            return []
        end = position
        if not exactly:
            end = min(speech.voiced_end + POST_ROLL_MS * _MS, position)
        self._earliest = max(self._earliest, end)
        return [SpeechEnded(speech.start, end, reason)]
