"""Scores a day hour by hour: which sentences were found, and how their words were recognised."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from affectstream.messages import (
    Emotion,
    Gap,
    Message,
    Progress,
    StreamClosed,
    Transcript,
    UtteranceEnded,
)
from affectstream.timebase import NS_PER_S, SAMPLE_RATE_HZ, samples_to_ns
from affectstream_tools.build.vosk_tiny.pronunciations import edit_distance
from affectstream_tools.trials.soak.recording import RecordedTurn

HOUR_NS = 3600 * NS_PER_S
_SETTLED_NS = 10 * NS_PER_S
"""A sentence is scored once transcripts have come this far beyond its end."""


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of event time.

    Attributes:
        said: sentences in it.
        found: those of them in which an utterance was found.
        utterances: all that the voice detector found.
        words, word_errors: of the sentences; substitutions, deletions and insertions.
        first, finals: first and final estimates, by when the utterance ended.
        model_ms: the model's share of the time to an utterance's first estimate, median.
        answer_ms: from sending an utterance's end to sending its first estimate, median.
    """

    hour: int
    said: int
    found: int
    utterances: int
    words: int
    word_errors: int
    first: int
    finals: int
    model_ms: float | None
    answer_ms: float | None


@dataclass(slots=True)
class _Tally:
    counts: Counter[str] = field(default_factory=Counter)
    model_ms: list[float] = field(default_factory=list)
    answer_ms: list[float] = field(default_factory=list)


class SpeechScorer:
    """Compares the messages of one day with what was said.

    Args:
        said: when which sentence is said.
        texts: the sentences.
        start_ns: event time of sample 0.
    """

    def __init__(self, said: Iterator[RecordedTurn], texts: list[str], start_ns: int) -> None:
        self._said, self._texts, self._start_ns = said, texts, start_ns
        self._turns: deque[tuple[RecordedTurn, list[str]]] = deque()
        self._ahead: RecordedTurn | None = next(said, None)
        self._hours: dict[int, _Tally] = {}
        self._ended_ns: dict[str, int] = {}
        self.gaps: Counter[str] = Counter()
        self.reached_ns = start_ns
        self.done = False

    def receive(self, message: Message) -> None:
        """Take a message in, of whatever kind."""
        match message:
            case UtteranceEnded():
                self._tally(message.end_ns).counts["utterances"] += 1
                self._ended_ns[message.utterance] = message.sent_ns
            case Transcript() if message.final:
                self._understand(message)
            case Emotion():
                self._estimate(message)
            case Gap():
                self.gaps[f"{message.lost} of {message.of}: {message.reason}"] += message.count
            case Progress() if message.source.startswith("asr."):
                self._settle(message.watermark_ns - _SETTLED_NS)
                self.reached_ns = max(self.reached_ns, message.watermark_ns)
            case StreamClosed() if message.source == "fusion":
                self._settle(self.reached_ns)
                self.done = True
            case _:
                pass

    def _tally(self, instant_ns: int) -> _Tally:
        hour = max(0, instant_ns - 1 - self._start_ns) // HOUR_NS
        return self._hours.setdefault(hour, _Tally())

    def _time_ns(self, position: int) -> int:
        return self._start_ns + samples_to_ns(position, SAMPLE_RATE_HZ)

    def _understand(self, transcript: Transcript) -> None:
        while self._ahead is not None and self._time_ns(self._ahead.start) < transcript.end_ns:
            self._turns.append((self._ahead, []))
            self._ahead = next(self._said, None)
        for turn, heard in reversed(self._turns):
            if self._time_ns(turn.end) > transcript.start_ns:
                heard += [transcript.text]
                return
        self._tally(transcript.end_ns).counts["word_errors"] += len(transcript.text.split())

    def _settle(self, until_ns: int) -> None:
        """Score the sentences that ended before ``until_ns``."""
        while self._ahead is not None and self._time_ns(self._ahead.end) < until_ns:
            self._turns.append((self._ahead, []))
            self._ahead = next(self._said, None)
        while self._turns and self._time_ns(self._turns[0][0].end) < until_ns:
            turn, heard = self._turns.popleft()
            words = self._texts[turn.sentence].split()
            counts = self._tally(self._time_ns(turn.end)).counts
            counts["said"] += 1
            counts["found"] += bool(heard)
            counts["words"] += len(words)
            counts["word_errors"] += edit_distance(words, " ".join(heard).split())

    def _estimate(self, emotion: Emotion) -> None:
        tally = self._tally(emotion.end_ns)
        if emotion.status == "final":
            tally.counts["finals"] += 1
        elif emotion.status == "provisional":
            tally.counts["first"] += 1
            if "model" in emotion.latency_ms:
                tally.model_ms.append(emotion.latency_ms["model"])
            ended_ns = self._ended_ns.pop(emotion.utterance, None)
            if ended_ns is not None:
                tally.answer_ms.append((emotion.sent_ns - ended_ns) / 1e6)

    def hours(self) -> list[Hour]:
        """Return every hour so far, also those without anything in them."""
        last = max([*self._hours, (self.reached_ns - 1 - self._start_ns) // HOUR_NS])
        return [self._hour(hour, self._hours.get(hour, _Tally())) for hour in range(last + 1)]

    @staticmethod
    def _hour(hour: int, tally: _Tally) -> Hour:
        def median(values: list[float]) -> float | None:
            return round(float(np.median(values)), 3) if values else None

        names = ("said", "found", "utterances", "words", "word_errors", "first", "finals")
        return Hour(
            hour=hour,
            model_ms=median(tally.model_ms),
            answer_ms=median(tally.answer_ms),
            **{name: tally.counts[name] for name in names},
        )
