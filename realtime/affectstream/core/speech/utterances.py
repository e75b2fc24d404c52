"""Where utterances begin and end, in samples.

Knows: hysteresis over frames that hold a voice or do not.
Refuses to know: audio, time, messages, and how a voice is heard.

An utterance is announced once it cannot be a blip any more, about a quarter of a second after its
first sound, and is over after a stretch of silence that is not counted as part of it. Its end
never lies before what was already heard when it was announced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from affectstream.core.speech.voice_activity import Heard
from affectstream.timebase import SAMPLE_RATE_HZ

VAD_FRAME_SAMPLES = 320
MOST_HEARD = 100
"""Voiced frames that are remembered of what may yet turn out to be speech."""

_MS = SAMPLE_RATE_HZ // 1000

EndReason = Literal["silence", "maximum length", "stream closed", "gap"]


@dataclass(frozen=True, slots=True)
class SegmenterSettings:
    """When an utterance begins and ends.

    Attributes:
        pre_roll_ms: how much before the first voiced frame belongs to an utterance.
        post_roll_ms: how much after the last one does.
        silence_ms: silence that ends an utterance.
        shortest_ms: what is shorter is a blip.
        faint_ms: the same for what has fewer than ``periodic_frames``, such as breathing.
        unvoiced_onset_ms: how long before its first periodic frame speech may begin.
        onset_range_db: what lies further below the loudest of what is about to be announced is
            not yet part of it, such as the breath before it.
        blip_silence_ms: silence that ends something not yet announced.
        voiced_share: how much of what is announced must be voiced.
        longest_ms: an utterance is cut there, and speech continues in the next.
        hole_ms: missing audio longer than this ends an utterance.
        progress_ms: a watermark at least this often.
        audio_ms: the length of a block of audio; whole frames.
    """

    pre_roll_ms: int = 40
    post_roll_ms: int = 40
    silence_ms: int = 400
    shortest_ms: int = 250
    faint_ms: int = 800
    periodic_frames: int = 4
    unvoiced_onset_ms: int = 250
    onset_range_db: float = 18.0
    blip_silence_ms: int = 200
    voiced_share: float = 0.5
    longest_ms: int = 15_000
    hole_ms: int = 100
    progress_ms: int = 100
    audio_ms: int = 100


@dataclass(frozen=True, slots=True)
class Began:
    """An utterance began at position ``start``."""

    start: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The utterance that began last is over."""

    start: int
    end: int
    reason: EndReason


@dataclass(slots=True)
class _Speech:
    """Speech in the making; positions in samples."""

    start: int
    voiced_end: int
    continues: bool = False  # it was cut from the utterance before
    announced: bool = False
    heard: list[tuple[int, Heard]] = field(default_factory=list)  # voiced, until announced


class UtteranceFinder:
    """Finds utterances in a sequence of frames of 20 ms.

    Args:
        settings: when an utterance begins and ends.
        earliest: no utterance begins before this position.
    """

    def __init__(self, settings: SegmenterSettings, earliest: int = 0) -> None:
        self._settings = settings
        self._earliest = earliest
        self._speech: _Speech | None = None

    @property
    def possible_end(self) -> int | None:
        """Where the open utterance would end if nothing more were said; None without one."""
        speech = self._speech
        return speech.voiced_end if speech is not None and speech.announced else None

    def earliest_start(self, position: int) -> int:
        """Return where an utterance that is not announced yet begins at the earliest."""
        speech = self._speech
        if speech is None or speech.announced:
            start = position
        elif speech.continues:
            return speech.start
        else:
            start = speech.start
        return max(self._earliest, start - self._settings.pre_roll_ms * _MS)

    def hear(self, start: int, heard: Heard) -> list[Began | Ended]:
        """Take the frame at position ``start``; return what is known by it."""
        position = start + VAD_FRAME_SAMPLES
        found: list[Began | Ended] = []
        if heard.voiced:
            found += self._hear_voice(start, heard)
        else:
            found += self._hear_silence(position)
        return found + self._cut_at_longest(position)

    def end(
        self, reason: EndReason, position: int, *, resumes_at: int | None = None
    ) -> list[Began | Ended]:
        """End what is open, no later than ``position``; go on at ``resumes_at``."""
        found = self._end(reason, position)
        if resumes_at is not None:
            self._earliest = max(self._earliest, resumes_at)
        return found

    def _hear_voice(self, start: int, heard: Heard) -> list[Began | Ended]:
        if self._speech is None:
            self._speech = _Speech(start, start)
        speech = self._speech
        speech.voiced_end = start + VAD_FRAME_SAMPLES
        if speech.announced:
            return []
        speech.heard.append((start, heard))
        del speech.heard[:-MOST_HEARD]
        onset = self._onset(speech)
        if onset is None:
            return []
        if not speech.continues:
            speech.start = max(self._earliest, onset - self._settings.pre_roll_ms * _MS)
        speech.announced = True
        speech.heard.clear()
        return [Began(speech.start)]

    def _onset(self, speech: _Speech) -> int | None:
        """Return where the speech begins, or None as long as it may be a blip or breath."""
        settings = self._settings
        periodic = [at for at, heard in speech.heard if heard.periodic]
        clear = len(periodic) >= settings.periodic_frames
        earliest = periodic[0] - settings.unvoiced_onset_ms * _MS if clear else 0
        faintest_db = max(heard.level_db for _, heard in speech.heard) - settings.onset_range_db
        loud = [at for at, heard in speech.heard if heard.level_db > faintest_db and at >= earliest]
        length = speech.voiced_end - loud[0]
        shortest_ms = settings.shortest_ms if clear else settings.faint_ms
        voiced = VAD_FRAME_SAMPLES * len(loud)
        if length < shortest_ms * _MS or voiced < settings.voiced_share * length:
            return None
        return loud[0]

    def _hear_silence(self, position: int) -> list[Began | Ended]:
        if self._speech is None:
            return []
        silence = position - self._speech.voiced_end
        if not self._speech.announced:
            if silence >= self._settings.blip_silence_ms * _MS:
                self._speech = None
        elif silence >= self._settings.silence_ms * _MS:
            return self._end("silence", position)
        return []

    def _cut_at_longest(self, position: int) -> list[Began | Ended]:
        speech = self._speech
        if speech is None or not speech.announced:
            return []
        # Cut a frame before the limit would be passed, so that no utterance exceeds it.
        if position + VAD_FRAME_SAMPLES - speech.start <= self._settings.longest_ms * _MS:
            return []
        talking = position - speech.voiced_end < self._settings.blip_silence_ms * _MS
        found = self._end("maximum length", position, exactly=talking)
        if talking:
            self._speech = _Speech(position, position, continues=True)
        return found

    def _end(
        self, reason: EndReason, position: int, *, exactly: bool = False
    ) -> list[Began | Ended]:
        speech, self._speech = self._speech, None
        if speech is None or not speech.announced:
            return []
        end = position
        if not exactly:
            end = min(speech.voiced_end + self._settings.post_roll_ms * _MS, position)
        self._earliest = max(self._earliest, end)
        return [Ended(speech.start, end, reason)]
