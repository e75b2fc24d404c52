"""The messages of one stream of speech.

Knows: whose stream it is, when its sample 0 was, and how each message is written.
Refuses to know: when a message is due (``segmenter``).
"""

from __future__ import annotations

import numpy as np

from affectstream.core.speech.descriptors import DescriptorRows
from affectstream.core.speech.utterances import SpeechEnded, SpeechStarted
from affectstream.messages import (
    Acoustic,
    Audio,
    Gap,
    Progress,
    StreamClosed,
    StreamOpened,
    UtteranceEnded,
    UtteranceStarted,
)
from affectstream.timebase import SAMPLE_RATE_HZ, samples_to_ns


class SpeechStream:
    """Writes the messages of one stream; positions in samples become event time.

    Args:
        session, source, speaker: whose stream this is.
        start_ns: event time of sample 0.
        clock_id: whose time that is.
        take: a part of the utterances' names, ``SPEAKER-TAKE-NUMBER``, that an earlier stream of
            the same speaker did not have; without it they are ``SPEAKER-NUMBER``.
    """

    def __init__(
        self,
        session: str,
        source: str,
        speaker: str,
        start_ns: int,
        clock_id: str,
        take: str = "",
    ) -> None:
        self.start_ns = start_ns
        self._session, self._source, self._speaker = session, source, speaker
        self._clock_id = clock_id
        self._name = f"{speaker}-{take}" if take else speaker
        self._utterance = ""
        self._count = 0
        self._watermark_ns = start_ns

    def time_ns(self, position: int) -> int:
        """Return the event time of a sample."""
        return self.start_ns + samples_to_ns(position, SAMPLE_RATE_HZ)

    def opened(self) -> StreamOpened:
        """Return the stream's beginning."""
        return StreamOpened(
            session=self._session,
            source=self._source,
            modality="speech",
            speaker=self._speaker,
            start_ns=self.start_ns,
            channels=("mono",),
            units=("s16",),
            nominal_rate_hz=float(SAMPLE_RATE_HZ),
            clock_id=self._clock_id,
        )

    def closed(self, end_ns: int) -> StreamClosed:
        """Return the stream's end."""
        return StreamClosed(
            session=self._session, source=self._source, reason="end of input", end_ns=end_ns
        )

    def started(self, event: SpeechStarted) -> UtteranceStarted:
        """Return that an utterance started; it gets the next number."""
        self._utterance = f"{self._name}-{self._count:04d}"
        self._count += 1
        return UtteranceStarted(
            session=self._session,
            source=self._source,
            utterance=self._utterance,
            speaker=self._speaker,
            start_ns=self.time_ns(event.start),
        )

    def ended(self, event: SpeechEnded) -> UtteranceEnded:
        """Return that the utterance that started last is over."""
        return UtteranceEnded(
            session=self._session,
            source=self._source,
            utterance=self._utterance,
            speaker=self._speaker,
            start_ns=self.time_ns(event.start),
            end_ns=self.time_ns(event.end),
            reason=event.reason,
        )

    def audio(self, position: int, pcm: bytes) -> Audio:
        """Return a block of audio."""
        return Audio(
            session=self._session,
            source=self._source,
            first_sample=position,
            sample_rate_hz=SAMPLE_RATE_HZ,
            start_ns=self.time_ns(position),
            payload=pcm,
        )

    def acoustic(self, front_end: str, rows: DescriptorRows) -> Acoustic:
        """Return a block of a front end's rows."""
        values = np.ascontiguousarray(rows.values, dtype="<f4")
        return Acoustic(
            session=self._session,
            source=self._source,
            front_end=front_end,
            speaker=self._speaker,
            start_ns=self.time_ns(rows.first_sample),
            hop_ns=samples_to_ns(rows.hop_samples, SAMPLE_RATE_HZ),
            rows=values.shape[0],
            columns=values.shape[1],
            payload=values.tobytes(),
        )

    def progress(self, watermark_ns: int) -> Progress:
        """Return the watermark; it never goes back."""
        self._watermark_ns = max(self._watermark_ns, watermark_ns)
        return Progress(session=self._session, source=self._source, watermark_ns=self._watermark_ns)

    def gap(self, count: int, reason: str, start_ns: int, end_ns: int | None) -> Gap:
        """Return that audio is missing."""
        return Gap(
            session=self._session,
            source=self._source,
            of=self._source,
            lost="audio",
            count=count,
            reason=reason,
            start_ns=start_ns,
            end_ns=end_ns,
        )
