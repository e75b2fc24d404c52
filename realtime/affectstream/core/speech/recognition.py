"""What a recogniser gets to hear of one microphone.

Knows: audio by position, the little of it that is kept, and what fills a hole.
Refuses to know: messages, and which recogniser it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from affectstream.timebase import SAMPLE_RATE_HZ, ns_to_samples, samples_to_ns

HEARD_AT_ONCE_SAMPLES = SAMPLE_RATE_HZ // 5
"""A recogniser is fed 200 ms at a time, and says at most as often what it has understood."""

BACKLOG_SAMPLES = 20 * SAMPLE_RATE_HZ
LONGEST_FILL_SAMPLES = 20 * SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word as a recogniser gives it; times in seconds since the first sample it was given."""

    text: str
    start_s: float
    end_s: float
    confidence: float = 1.0


class Recognizer(Protocol):
    """Recognises one utterance."""

    def accept(self, pcm: bytes) -> str | None:
        """Take 16 kHz s16 mono samples; return the text so far, None if there is nothing new."""

    def finish(self) -> Sequence[HeardWord]:
        """Return the words; the recogniser is not used again."""


class Backlog:
    """The latest audio of a microphone, by position; bounded."""

    def __init__(self, most_samples: int) -> None:
        self._most = most_samples
        self._blocks: deque[tuple[int, bytes]] = deque()
        self._kept = 0
        self.end = 0

    def add(self, first_sample: int, pcm: bytes) -> None:
        """Keep a block; the oldest make room."""
        self._blocks.append((first_sample, pcm))
        self._kept += len(pcm) // 2
        self.end = max(self.end, first_sample + len(pcm) // 2)
        while self._kept > self._most and len(self._blocks) > 1:
            self._kept -= len(self._blocks.popleft()[1]) // 2

    def since(self, position: int) -> Iterator[tuple[int, bytes]]:
        """Yield the blocks that reach beyond ``position``, oldest first."""
        for first, pcm in self._blocks:
            if first + len(pcm) // 2 > position:
                yield first, pcm


class RecognizerFeed:
    """One utterance's way into one recogniser.

    Args:
        recognizer: fresh; it is used up here.
        begin: position of the first sample that it hears.
    """

    def __init__(self, recognizer: Recognizer, begin: int) -> None:
        self._recognizer = recognizer
        self.begin = begin
        self.position = begin  # the next sample that is wanted
        self.heard_samples = 0
        self._pending = bytearray()
        self._text = ""

    def hear(self, first_sample: int, pcm: bytes) -> str | None:
        """Take audio; return the text so far if it changed.

        What is missing before it is silence, what was heard already is left out.
        """
        if first_sample > self.position:
            self._silence(min(first_sample - self.position, LONGEST_FILL_SAMPLES))
            self.position = first_sample
        new = pcm[2 * (self.position - first_sample) :]
        self._pending += new
        self.position += len(new) // 2
        self.heard_samples += len(new) // 2
        return self._feed()

    def finish(self, until: int) -> Sequence[HeardWord]:
        """Return the words; the recogniser hears silence up to position ``until``."""
        self._silence(max(0, until - self.position))
        self._feed()
        if self._pending:
            self._recognizer.accept(bytes(self._pending))
        return self._recognizer.finish()

    def _silence(self, samples: int) -> None:
        self._pending += bytes(2 * samples)

    def _feed(self) -> str | None:
        size = 2 * HEARD_AT_ONCE_SAMPLES
        before = self._text
        while len(self._pending) >= size:
            text = self._recognizer.accept(bytes(self._pending[:size]))
            del self._pending[:size]
            if text is not None:
                self._text = text
        return self._text if self._text != before else None


@dataclass(slots=True)
class HeardUtterance:
    """An utterance that is being recognised.

    Attributes:
        hearing: None as long as no audio came.
        end_ns: None as long as it is open.
        deadline_ns: processing time until which a closed one waits for its audio.
    """

    id: str
    speaker: str
    start_ns: int
    hearing: RecognizerFeed | None = None
    end_ns: int | None = None
    deadline_ns: int = 0


@dataclass(slots=True)
class HeardMicrophone:
    """A microphone that is being transcribed.

    Attributes:
        origin_ns: event time of sample 0, once audio came.
        heard_until_ns: the end of the utterance before.
        watermark_ns: the microphone's.
        promised_ns: the watermark of its transcripts.
    """

    source: str
    speaker: str | None
    origin_ns: int | None = None
    backlog: Backlog = field(default_factory=partial(Backlog, BACKLOG_SAMPLES))
    utterance: HeardUtterance | None = None
    heard_until_ns: int = 0
    watermark_ns: int | None = None
    promised_ns: int = 0

    @property
    def transcripts(self) -> str:
        """The name of its stream of transcripts."""
        return f"asr.{self.source}"

    def position(self, instant_ns: int) -> int:
        """Return the sample at an instant of event time."""
        return ns_to_samples(instant_ns - (self.origin_ns or 0), SAMPLE_RATE_HZ)

    def time_ns(self, position: int) -> int:
        """Return the event time of a sample."""
        return (self.origin_ns or 0) + samples_to_ns(position, SAMPLE_RATE_HZ)
