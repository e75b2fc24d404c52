"""Audio and utterances into transcripts.

Knows: which stretch of a microphone's audio an utterance is, and what the watermark of a stream of
transcripts may promise.
Refuses to know: which recogniser it is, and where messages come from.

A recogniser lives for one utterance. It gets a little audio before the utterance, the silence by
which its end was known, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

from affectstream.core.speech.microphone import TranscribedMicrophone, TranscribedUtterance
from affectstream.core.speech.recognition import Recognizer, RecognizerFeed
from affectstream.messages import (
    Audio,
    Message,
    Progress,
    StreamClosed,
    StreamOpened,
    UtteranceEnded,
    UtteranceStarted,
)
from affectstream.timebase import NS_PER_MS, SAMPLE_RATE_HZ

CONTEXT_SAMPLES = 3 * SAMPLE_RATE_HZ // 10
"""What a recogniser gets before an utterance, and at least after it."""

LAST_WORDS_WAIT_NS = 300 * NS_PER_MS
"""How long the end of an utterance waits for audio that belongs to it."""


class Transcriber:
    """Transcribes every microphone of a session, each as a stream ``asr.MICROPHONE``.

    Args:
        make_recognizer: is called once per utterance.
        session: whose audio this is.
        engine: the recogniser's name, for the transcripts.
    """

    def __init__(
        self, make_recognizer: Callable[[], Recognizer], *, session: str, engine: str
    ) -> None:
        self._make_recognizer = make_recognizer
        self._session = session
        self._engine = engine
        self._microphones: dict[str, TranscribedMicrophone] = {}

    def receive(self, message: Message, now_ns: int) -> list[Message]:
        """Take a message of a microphone; return what is to be published."""
        if message.session != self._session:
            return []
        if isinstance(message, StreamOpened):
            return self._open(message) if message.modality == "speech" else []
        out: list[Message] = []
        microphone = self._microphones.get(message.source)
        if microphone is None:
            if not isinstance(message, UtteranceStarted | UtteranceEnded | Audio):
                return []
            microphone = self._add(message.source)
        if isinstance(message, UtteranceStarted | UtteranceEnded):
            out += self._introduce(microphone, message.speaker, message.start_ns)
        match message:
            case Audio():
                self._add_audio(microphone, message, out)
            case UtteranceStarted():
                self._finish(microphone, out, next_start_ns=message.start_ns)
                self._start(microphone, message)
                self._catch_up(microphone, out)
            case UtteranceEnded():
                self._end(microphone, message, now_ns, out)
            case Progress():
                microphone.watermark_ns = message.watermark_ns
                self._promise(microphone, out)
            case StreamClosed():
                self._close(microphone, message.reason, out)
        return out

    def wake(self, now_ns: int) -> list[Message]:
        """Finish the utterances whose audio has been waited for long enough."""
        out: list[Message] = []
        for microphone in self._microphones.values():
            utterance = microphone.utterance
            if utterance and utterance.end_ns is not None and now_ns >= utterance.deadline_ns:
                self._finish(microphone, out)
        return out

    def next_wake_ns(self) -> int | None:
        """Return when an utterance has been waited for long enough."""
        waiting = (m.utterance for m in self._microphones.values())
        return min((u.deadline_ns for u in waiting if u and u.end_ns is not None), default=None)

    def close(self, now_ns: int) -> list[Message]:
        """Finish what was begun."""
        out: list[Message] = []
        for microphone in list(self._microphones.values()):
            self._close(microphone, "stopped", out)
        return out

    # Streams

    def _add(self, source: str) -> TranscribedMicrophone:
        microphone = TranscribedMicrophone(self._session, source, self._engine)
        self._microphones[source] = microphone
        return microphone

    def _open(self, message: StreamOpened) -> list[Message]:
        out: list[Message] = []
        known = self._microphones.pop(message.source, None)
        if known is not None:
            self._finish(known, out)
        microphone = self._add(message.source)
        if message.speaker is not None:
            out += self._introduce(microphone, message.speaker, message.start_ns)
        return out

    def _introduce(
        self, microphone: TranscribedMicrophone, speaker: str, start_ns: int
    ) -> list[Message]:
        """Open the stream of transcripts once it is known who speaks."""
        if microphone.speaker is not None:
            return []
        microphone.speaker, microphone.promised_ns = speaker, start_ns
        return [microphone.opened(speaker, start_ns)]

    def _close(self, microphone: TranscribedMicrophone, reason: str, out: list[Message]) -> None:
        self._finish(microphone, out)
        self._promise(microphone, out)
        del self._microphones[microphone.source]
        if microphone.speaker is not None:
            out.append(microphone.closed(reason))

    def _promise(self, microphone: TranscribedMicrophone, out: list[Message]) -> None:
        """Follow the microphone's watermark, but stay before an end whose text is not out."""
        if microphone.watermark_ns is None or microphone.speaker is None:
            return
        watermark_ns = microphone.watermark_ns
        utterance = microphone.utterance
        if utterance is not None and utterance.end_ns is not None:
            watermark_ns = min(watermark_ns, utterance.end_ns - 1)
        microphone.promised_ns = max(microphone.promised_ns, watermark_ns)
        out.append(microphone.progress())

    # Utterances

    def _add_audio(
        self, microphone: TranscribedMicrophone, audio: Audio, out: list[Message]
    ) -> None:
        if audio.sample_rate_hz != SAMPLE_RATE_HZ:
            return  # the utterance will be reported as one without audio
        microphone.keep(audio)
        utterance = microphone.utterance
        if utterance is None:
            return
        if utterance.feed is None:
            self._catch_up(microphone, out)
        else:
            text = utterance.feed.push(audio.first_sample, audio.payload)
            self._say_partial(microphone, utterance, text, out)
        end_ns = utterance.end_ns
        if end_ns is not None and microphone.backlog.end >= microphone.position(end_ns):
            self._finish(microphone, out)

    def _start(
        self, microphone: TranscribedMicrophone, message: UtteranceStarted | UtteranceEnded
    ) -> TranscribedUtterance:
        utterance = TranscribedUtterance(message.utterance, message.speaker, message.start_ns)
        microphone.utterance = utterance
        return utterance

    def _catch_up(self, microphone: TranscribedMicrophone, out: list[Message]) -> None:
        """Feed a recogniser with what was captured before the utterance was announced."""
        utterance = microphone.utterance
        if utterance is None or microphone.origin_ns is None:
            return
        begin = microphone.position(utterance.start_ns) - CONTEXT_SAMPLES
        begin = max(0, begin, microphone.position(microphone.previous_end_ns))
        feed = utterance.feed = RecognizerFeed(self._make_recognizer(), begin)
        text = None
        for first, pcm in microphone.backlog.since(begin):
            text = feed.push(first, pcm) or text
        self._say_partial(microphone, utterance, text, out)

    def _end(
        self,
        microphone: TranscribedMicrophone,
        message: UtteranceEnded,
        now_ns: int,
        out: list[Message],
    ) -> None:
        utterance = microphone.utterance
        if utterance is None or utterance.id != message.utterance:
            self._finish(microphone, out)
            utterance = self._start(microphone, message)
            self._catch_up(microphone, out)
        utterance.end_ns = message.end_ns
        utterance.deadline_ns = now_ns + LAST_WORDS_WAIT_NS
        has_all = microphone.backlog.end >= microphone.position(message.end_ns)
        if microphone.origin_ns is not None and has_all:
            self._finish(microphone, out)

    def _finish(
        self,
        microphone: TranscribedMicrophone,
        out: list[Message],
        next_start_ns: int | None = None,
    ) -> None:
        """Say the final text of the utterance, if there is one, and let the watermark pass."""
        utterance, microphone.utterance = microphone.utterance, None
        if utterance is None:
            return
        feed = utterance.feed
        end_ns = utterance.end_ns
        if end_ns is None:  # its end was never said
            end_ns = microphone.time_ns(feed.position) if feed else utterance.start_ns
            end_ns = min(end_ns, next_start_ns or end_ns)
        end_ns = max(end_ns, utterance.start_ns)
        microphone.previous_end_ns = end_ns
        if feed is None or feed.samples == 0:
            out.append(microphone.no_audio(utterance.start_ns, end_ns))
        else:
            recognized = feed.finish(microphone.position(end_ns) + CONTEXT_SAMPLES)
            words = microphone.words(recognized, feed.begin)
            if next_start_ns is not None:  # the rest is the next utterance's
                words = tuple(word for word in words if word.start_ns < next_start_ns)
            text = " ".join(word.text for word in words)
            out.append(microphone.transcript(utterance, text, end_ns, words=words, final=True))
        self._promise(microphone, out)

    def _say_partial(
        self,
        microphone: TranscribedMicrophone,
        utterance: TranscribedUtterance,
        text: str | None,
        out: list[Message],
    ) -> None:
        if not text or utterance.feed is None:
            return
        end_ns = max(utterance.start_ns, microphone.time_ns(utterance.feed.position))
        out.append(microphone.transcript(utterance, text, end_ns))
