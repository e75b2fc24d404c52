"""How a speech recogniser gets the audio of one microphone.

Knows: audio by position, the little of it that is kept, and what fills a hole.
Refuses to know: messages, and which recogniser it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from affectstream.timebase import SAMPLE_RATE_HZ

FED_AT_ONCE_SAMPLES = SAMPLE_RATE_HZ // 5
"""A recogniser is fed 200 ms at a time, and tells at most as often what it has understood."""

LONGEST_FILL_SAMPLES = 20 * SAMPLE_RATE_HZ
"""The most silence that stands for a hole in the audio."""


@dataclass(frozen=True, slots=True)
class RecognizedWord:
    """A word as a recogniser gives it; times in seconds since the first sample it was given."""

    text: str
    start_s: float
    end_s: float
    confidence: float = 1.0


class Recognizer(Protocol):
    """Recognises one utterance."""

    def accept(self, pcm: bytes) -> str | None:
        """Take 16 kHz s16 mono samples; return the text so far, None if there is nothing new."""

    def finish(self) -> Sequence[RecognizedWord]:
        """Return the words; the recogniser is not used again."""


class AudioBacklog:
    """The latest audio of a microphone, by position; bounded."""

    def __init__(self, max_samples: int) -> None:
        self._max_samples = max_samples
        self._blocks: deque[tuple[int, bytes]] = deque()
        self._samples = 0
        self.end = 0

    def add(self, first_sample: int, pcm: bytes) -> None:
        """Keep a block; the oldest make room."""
        self._blocks.append((first_sample, pcm))
        self._samples += len(pcm) // 2
        self.end = max(self.end, first_sample + len(pcm) // 2)
        while self._samples > self._max_samples and len(self._blocks) > 1:
            self._samples -= len(self._blocks.popleft()[1]) // 2

    def since(self, position: int) -> Iterator[tuple[int, bytes]]:
        """Yield the blocks that reach beyond ``position``, oldest first."""
        for first, pcm in self._blocks:
            if first + len(pcm) // 2 > position:
                yield first, pcm


class RecognizerFeed:
    """Feeds one utterance to one recogniser.

    Args:
        recognizer: fresh; it is used up here.
        begin: position of the first sample that it gets.

    Attributes:
        position: of the next sample that is wanted.
        samples: how many samples of the microphone it got, silence for holes not counted.
    """

    def __init__(self, recognizer: Recognizer, begin: int) -> None:
        self._recognizer = recognizer
        self.begin = begin
        self.position = begin
        self.samples = 0
        self._pending = bytearray()
        self._text = ""

    def push(self, first_sample: int, pcm: bytes) -> str | None:
        """Take audio; return the text so far if it changed.

        What is missing before it becomes silence; what was pushed before is left out.
        """
        if first_sample > self.position:
            self._push_silence(min(first_sample - self.position, LONGEST_FILL_SAMPLES))
            self.position = first_sample
        new = pcm[2 * (self.position - first_sample) :]
        self._pending += new
        self.position += len(new) // 2
        self.samples += len(new) // 2
        return self._feed()

    def finish(self, until: int) -> Sequence[RecognizedWord]:
        """Return the words, after silence up to position ``until``."""
        self._push_silence(max(0, until - self.position))
        self._feed()
        if self._pending:
            self._recognizer.accept(bytes(self._pending))
        return self._recognizer.finish()

    def _push_silence(self, samples: int) -> None:
        self._pending += bytes(2 * samples)

    def _feed(self) -> str | None:
        size = 2 * FED_AT_ONCE_SAMPLES
        before = self._text
        while len(self._pending) >= size:
            text = self._recognizer.accept(bytes(self._pending[:size]))
            del self._pending[:size]
            if text is not None:
                self._text = text
        return self._text if self._text != before else None
