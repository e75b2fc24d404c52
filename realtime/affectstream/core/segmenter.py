"""Captured audio into blocks, utterances and a watermark.

Knows: sample positions, 20 ms frames, hysteresis, and what a hole in the audio means.
Refuses to know: devices, files, clocks, and how a voice is told from noise.

An utterance is announced once it cannot be a blip any more, about a quarter of a second after its
first sound, and is over after a stretch of silence that is not counted as part of it. Its end can
therefore never lie before what was already heard when it was announced, so the watermark may
follow the audio while nothing is announced, and waits at the last sound while something is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from affectstream.core.capture import (
    SAMPLE_RATE_HZ,
    AudioLost,
    Captured,
    CapturedAudio,
    DeviceLost,
)
from affectstream.core.voice_activity import Heard
from affectstream.messages import (
    Audio,
    Gap,
    Message,
    Progress,
    StreamClosed,
    StreamOpened,
    UtteranceEnded,
    UtteranceStarted,
)
from affectstream.timebase import NS_PER_MS, samples_to_ns

FRAME_SAMPLES = 320
MOST_HEARD = 100
"""Voiced frames that are remembered of what may yet turn out to be speech."""

_MS = SAMPLE_RATE_HZ // 1000
_LOST_LAG_NS = 300 * NS_PER_MS  # a device that comes back is heard from within this

EndReason = Literal["silence", "maximum length", "stream closed", "gap"]


@dataclass(frozen=True, slots=True)
class SegmenterSettings:
    """When an utterance begins and ends.

    Attributes:
        pre_roll_ms: how much before the first voiced frame belongs to an utterance.
        post_roll_ms: how much after the last one does.
        silence_ms: silence that ends an utterance.
        shortest_ms: what is shorter is a blip.
        faint_ms: the same for what never stands out from the background by ``clear_db``,
            such as breathing.
        onset_range_db: what lies further below the loudest of what is about to be announced is
            not yet part of it, such as the breath before it.
        blip_silence_ms: silence that ends something not yet announced.
        voiced_share: how much of what is announced must be voiced.
        longest_ms: an utterance is cut there, and speech continues in the next.
        hole_ms: missing audio longer than this ends an utterance.
        progress_ms: a watermark at least this often.
    """

    pre_roll_ms: int = 40
    post_roll_ms: int = 40
    silence_ms: int = 400
    shortest_ms: int = 250
    faint_ms: int = 450
    clear_db: float = 35.0
    onset_range_db: float = 18.0
    blip_silence_ms: int = 200
    voiced_share: float = 0.5
    longest_ms: int = 15_000
    hole_ms: int = 100
    progress_ms: int = 100


@dataclass(slots=True)
class _Speech:
    """Speech in the making; positions in samples."""

    start: int
    voiced_end: int
    continues: bool = False  # it was cut from the utterance before
    utterance: str | None = None  # its id, once it is announced
    heard: list[tuple[int, Heard]] = field(default_factory=list)  # voiced, until announced


class UtteranceSegmenter:
    """Turns what a source captures into the messages of one stream.

    Args:
        hear: tells what a frame (20 ms of 16 kHz s16 mono) holds; it is asked for every whole
            frame, in order.
        session, source, speaker: whose stream this is.
        start_ns: event time of sample 0.
        publish_audio: False keeps the raw audio here; everything else is still said.
    """

    def __init__(
        self,
        hear: Callable[[bytes], Heard],
        *,
        session: str,
        source: str,
        speaker: str,
        start_ns: int,
        settings: SegmenterSettings | None = None,
        publish_audio: bool = True,
        clock_id: str = "",
    ) -> None:
        self._hear = hear
        self._session, self._source, self._speaker = session, source, speaker
        self._start_ns = start_ns
        self._settings = settings or SegmenterSettings()
        self._publish_audio = publish_audio
        self._clock_id = clock_id
        self._pending = bytearray()  # less than a frame
        self._position: int | None = None  # of the first pending sample; None before any came
        self._earliest = 0  # no utterance may start before this
        self._speech: _Speech | None = None
        self._count = 0
        self._watermark_ns = start_ns
        self._next_progress: int | None = None
        self._opened = self._closed = False
        self._lost_wake_ns: int | None = None  # while the device is gone

    def receive(self, message: Captured, now_ns: int) -> list[Message]:
        """Take captured audio, a hole or the loss of the device; return what is to be published.

        Chunks may have any size: the messages are the same.
        """
        out = self._open()
        match message:
            case CapturedAudio():
                self._take_audio(message, out)
            case AudioLost():
                self._lost_wake_ns = None
                self._take_hole(message, out)
            case DeviceLost():
                self._take_loss(now_ns, out)
        return out

    def wake(self, now_ns: int) -> list[Message]:
        """Return the stream's beginning, or the watermark of a stream whose device is gone."""
        out = self._open()
        if self._lost_wake_ns is not None and now_ns >= self._lost_wake_ns:
            self._lost_wake_ns = now_ns + self._settings.progress_ms * NS_PER_MS
            self._progress(now_ns - _LOST_LAG_NS, out)
        return out

    def next_wake_ns(self) -> int | None:
        """Return when ``wake`` has something to say; None while audio drives the stream."""
        return self._lost_wake_ns if self._opened else 0

    def close(self, now_ns: int) -> list[Message]:
        """End what is open; nothing more will come."""
        if self._closed:
            return []
        out = self._open()
        self._flush_frame(out)
        self._end_speech("stream closed", out)
        end_ns = self._time_ns(self._position or 0)
        if self._lost_wake_ns is not None:
            missing_ns = max(0, now_ns - end_ns)
            count = missing_ns * SAMPLE_RATE_HZ // 1_000_000_000
            out.append(self._gap(count, "device lost", end_ns, end_ns + missing_ns))
            end_ns += missing_ns
        self._progress(end_ns, out)
        self._closed = True
        out.append(
            StreamClosed(
                session=self._session, source=self._source, reason="end of input", end_ns=end_ns
            )
        )
        return out

    # What comes in

    def _open(self) -> list[Message]:
        if self._opened:
            return []
        self._opened = True
        return [
            StreamOpened(
                session=self._session,
                source=self._source,
                modality="speech",
                speaker=self._speaker,
                start_ns=self._start_ns,
                channels=("mono",),
                units=("s16",),
                nominal_rate_hz=float(SAMPLE_RATE_HZ),
                clock_id=self._clock_id,
            )
        ]

    def _take_audio(self, captured: CapturedAudio, out: list[Message]) -> None:
        samples = captured.samples
        if self._position is None:
            self._position = self._earliest = captured.first_sample
            self._next_progress = captured.first_sample
        expected = self._position + len(self._pending) // 2
        offset = captured.first_sample - expected
        if offset > 0:
            hole = AudioLost(expected, captured.first_sample, offset, "unexplained")
            self._take_hole(hole, out)
        elif offset < 0:  # heard twice: what was published stays
            overlap = min(-offset, len(samples))
            self._take_hole(AudioLost(expected, expected, overlap, "overlap"), out)
            samples = samples[overlap:]
        self._pending += samples.astype("<i2", copy=False).tobytes()
        size = 2 * FRAME_SAMPLES
        whole = len(self._pending) // size * size
        for at in range(0, whole, size):
            self._take_frame(bytes(self._pending[at : at + size]), out)
        del self._pending[:whole]

    def _take_frame(self, frame: bytes, out: list[Message]) -> None:
        assert self._position is not None
        self._publish(frame, out)
        start = self._position
        self._position = start + FRAME_SAMPLES
        heard = self._hear(frame)
        if heard.voiced:
            self._hear_voice(start, heard, out)
        else:
            self._hear_silence(out)
        self._cut_at_longest(out)
        assert self._next_progress is not None
        if self._position >= self._next_progress:
            self._next_progress = self._position + self._settings.progress_ms * _MS
            self._follow(out)

    def _take_hole(self, hole: AudioLost, out: list[Message]) -> None:
        self._flush_frame(out)
        if hole.resumes_at - hole.first_sample > self._settings.hole_ms * _MS:
            self._end_speech("gap", out)
            self._earliest = hole.resumes_at
        start_ns, end_ns = self._time_ns(hole.first_sample), self._time_ns(hole.resumes_at)
        out.append(self._gap(hole.samples, hole.reason, start_ns, end_ns))
        if self._position is None:
            self._next_progress = hole.resumes_at
        self._position = max(self._position or 0, hole.resumes_at)

    def _take_loss(self, now_ns: int, out: list[Message]) -> None:
        """Say at once that audio is missing; how much is known when it comes back."""
        self._flush_frame(out)
        self._end_speech("gap", out)
        out.append(self._gap(0, "device lost", self._time_ns(self._position or 0), None))
        self._lost_wake_ns = now_ns

    # Utterances

    def _hear_voice(self, start: int, heard: Heard, out: list[Message]) -> None:
        end = start + FRAME_SAMPLES
        if self._speech is None:
            self._speech = _Speech(self._pre_rolled(start), end)
        speech = self._speech
        speech.voiced_end = end
        if speech.utterance is None:
            speech.heard.append((start, heard))
            del speech.heard[:-MOST_HEARD]
            self._believe(speech, out)

    def _believe(self, speech: _Speech, out: list[Message]) -> None:
        """Announce speech that can be no blip any more."""
        loudest = max(heard.level_db for _, heard in speech.heard)
        clear = max(heard.above_noise_db for _, heard in speech.heard) >= self._settings.clear_db
        loud = [
            at
            for at, heard in speech.heard
            if heard.level_db > loudest - self._settings.onset_range_db
        ]
        shortest_ms = self._settings.shortest_ms if clear else self._settings.faint_ms
        length = speech.voiced_end - loud[0]
        voiced = FRAME_SAMPLES * len(loud)
        if length >= shortest_ms * _MS and voiced >= self._settings.voiced_share * length:
            if not speech.continues:
                speech.start = self._pre_rolled(loud[0])
            speech.heard.clear()
            self._announce(speech, out)

    def _hear_silence(self, out: list[Message]) -> None:
        if self._speech is None or self._position is None:
            return
        silence = self._position - self._speech.voiced_end
        if self._speech.utterance is None:
            if silence >= self._settings.blip_silence_ms * _MS:
                self._speech = None
        elif silence >= self._settings.silence_ms * _MS:
            self._end_speech("silence", out)

    def _pre_rolled(self, start: int) -> int:
        return max(self._earliest, start - self._settings.pre_roll_ms * _MS)

    def _announce(self, speech: _Speech, out: list[Message]) -> None:
        speech.utterance = f"{self._speaker}-{self._count:04d}"
        self._count += 1
        out.append(
            UtteranceStarted(
                session=self._session,
                source=self._source,
                utterance=speech.utterance,
                speaker=self._speaker,
                start_ns=self._time_ns(speech.start),
            )
        )

    def _cut_at_longest(self, out: list[Message]) -> None:
        speech = self._speech
        if speech is None or speech.utterance is None or self._position is None:
            return
        # Cut one frame before the limit would be passed, so that no utterance exceeds it.
        if self._position + FRAME_SAMPLES - speech.start <= self._settings.longest_ms * _MS:
            return
        talking = self._position - speech.voiced_end < self._settings.blip_silence_ms * _MS
        cut = self._position if talking else None
        self._end_speech("maximum length", out, end=cut)
        if talking:
            self._speech = _Speech(self._position, self._position, continues=True)

    def _end_speech(self, reason: EndReason, out: list[Message], end: int | None = None) -> None:
        speech, self._speech = self._speech, None
        if speech is None or speech.utterance is None or self._position is None:
            return
        if end is None:
            end = min(speech.voiced_end + self._settings.post_roll_ms * _MS, self._position)
        self._earliest = max(self._earliest, end)
        out.append(
            UtteranceEnded(
                session=self._session,
                source=self._source,
                utterance=speech.utterance,
                speaker=self._speaker,
                start_ns=self._time_ns(speech.start),
                end_ns=self._time_ns(end),
                reason=reason,
            )
        )

    # What goes out

    def _publish(self, pcm: bytes, out: list[Message]) -> None:
        if self._publish_audio and self._position is not None:
            out.append(
                Audio(
                    session=self._session,
                    source=self._source,
                    first_sample=self._position,
                    sample_rate_hz=SAMPLE_RATE_HZ,
                    start_ns=self._time_ns(self._position),
                    payload=pcm,
                )
            )

    def _flush_frame(self, out: list[Message]) -> None:
        """Publish the samples before a hole or the end that do not fill a frame."""
        if self._pending and self._position is not None:
            self._publish(bytes(self._pending), out)
            self._position += len(self._pending) // 2
            self._pending.clear()

    def _follow(self, out: list[Message]) -> None:
        assert self._position is not None
        position = self._position
        if self._speech is not None and self._speech.utterance is not None:
            position = self._speech.voiced_end
        self._progress(self._time_ns(position), out)

    def _progress(self, watermark_ns: int, out: list[Message]) -> None:
        self._watermark_ns = max(self._watermark_ns, watermark_ns)
        out.append(
            Progress(session=self._session, source=self._source, watermark_ns=self._watermark_ns)
        )

    def _gap(self, count: int, reason: str, start_ns: int, end_ns: int | None) -> Gap:
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

    def _time_ns(self, position: int) -> int:
        return self._start_ns + samples_to_ns(position, SAMPLE_RATE_HZ)
