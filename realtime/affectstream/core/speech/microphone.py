"""One microphone that is being transcribed, and the messages of its stream of transcripts.

Knows: what is kept of the microphone, and how a transcript is written.
Refuses to know: when a message is due (``transcriber``), and which recogniser it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from affectstream.core.speech.recognition import AudioBacklog, RecognizedWord, RecognizerFeed
from affectstream.messages import (
    Audio,
    Gap,
    Progress,
    StreamClosed,
    StreamOpened,
    Transcript,
    Word,
)
from affectstream.timebase import SAMPLE_RATE_HZ, ns_to_samples, samples_to_ns, seconds_to_ns

BACKLOG_SAMPLES = 20 * SAMPLE_RATE_HZ
"""How much of a microphone's audio is kept for an utterance that is announced late."""


@dataclass(slots=True)
class TranscribedUtterance:
    """An utterance that is being transcribed.

    Attributes:
        feed: to its recogniser; None as long as no audio came.
        end_ns: None as long as it is open.
        deadline_ns: processing time until which one that has ended waits for its audio.
    """

    id: str
    speaker: str
    start_ns: int
    feed: RecognizerFeed | None = None
    end_ns: int | None = None
    deadline_ns: int = 0


@dataclass(slots=True)
class TranscribedMicrophone:
    """A microphone that is being transcribed.

    Attributes:
        engine: the recogniser's name, for the transcripts.
        speaker: None as long as nothing has named one.
        origin_ns: event time of sample 0; None as long as no audio came.
        utterance: the one that is open, or waits for the rest of its audio.
        previous_end_ns: where the utterance before ended.
        watermark_ns: the microphone's.
        promised_ns: the watermark of its transcripts.
    """

    session: str
    source: str
    engine: str
    speaker: str | None = None
    origin_ns: int | None = None
    backlog: AudioBacklog = field(default_factory=partial(AudioBacklog, BACKLOG_SAMPLES))
    utterance: TranscribedUtterance | None = None
    previous_end_ns: int = 0
    watermark_ns: int | None = None
    promised_ns: int = 0

    @property
    def transcripts(self) -> str:
        """The name of its stream of transcripts."""
        return f"asr.{self.source}"

    # Positions and times

    def keep(self, audio: Audio) -> None:
        """Keep a block for utterances that are announced later."""
        if self.origin_ns is None:
            self.origin_ns = audio.start_ns - samples_to_ns(audio.first_sample, SAMPLE_RATE_HZ)
        self.backlog.add(audio.first_sample, audio.payload)

    def position(self, instant_ns: int) -> int:
        """Return the sample at an instant of event time."""
        return ns_to_samples(instant_ns - (self.origin_ns or 0), SAMPLE_RATE_HZ)

    def time_ns(self, position: int) -> int:
        """Return the event time of a sample."""
        return (self.origin_ns or 0) + samples_to_ns(position, SAMPLE_RATE_HZ)

    def words(self, recognized: Sequence[RecognizedWord], begin: int) -> tuple[Word, ...]:
        """Return the words of a recogniser that began at position ``begin``, in event time."""
        begin_ns = self.time_ns(begin)
        return tuple(
            Word(
                text=word.text,
                start_ns=begin_ns + seconds_to_ns(word.start_s),
                end_ns=begin_ns + seconds_to_ns(word.end_s),
                confidence=min(1.0, max(0.0, word.confidence)),
            )
            for word in recognized
        )

    # The messages of its transcripts

    def opened(self, speaker: str, start_ns: int) -> StreamOpened:
        """Return the beginning of the stream of transcripts."""
        return StreamOpened(
            session=self.session,
            source=self.transcripts,
            modality="text",
            of=self.source,
            speaker=speaker,
            start_ns=start_ns,
        )

    def closed(self, reason: str) -> StreamClosed:
        """Return the end of the stream of transcripts."""
        return StreamClosed(
            session=self.session, source=self.transcripts, reason=reason, end_ns=self.promised_ns
        )

    def progress(self) -> Progress:
        """Return the watermark of the transcripts."""
        return Progress(
            session=self.session, source=self.transcripts, watermark_ns=self.promised_ns
        )

    def transcript(
        self,
        utterance: TranscribedUtterance,
        text: str,
        end_ns: int,
        *,
        words: tuple[Word, ...] = (),
        final: bool = False,
    ) -> Transcript:
        """Return what was understood of an utterance up to ``end_ns``."""
        return Transcript(
            session=self.session,
            source=self.transcripts,
            utterance=utterance.id,
            speaker=utterance.speaker,
            text=text,
            start_ns=utterance.start_ns,
            end_ns=end_ns,
            final=final,
            engine=self.engine,
            words=words,
        )

    def no_audio(self, start_ns: int, end_ns: int) -> Gap:
        """Return that an utterance cannot be transcribed."""
        return Gap(
            session=self.session,
            source=self.transcripts,
            of=self.source,
            lost="audio",
            count=ns_to_samples(end_ns - start_ns, SAMPLE_RATE_HZ),
            reason="no 16 kHz audio was published for this utterance",
            start_ns=start_ns,
            end_ns=end_ns,
        )
