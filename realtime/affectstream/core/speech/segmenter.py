"""Captured audio into blocks, utterances, their descriptors, and a watermark.

Knows: sample positions, 20 ms frames, and what a hole in the audio means.
Refuses to know: devices, files, clocks, where an utterance starts (``utterances``), and what
describes it (``descriptors``).

The watermark promises that nothing of the stream that ends before it is still to come:

* while no utterance is open, it follows the audio;
* while one is open, it stays at its last voiced frame, and before the rows that are not out yet;
* with an extractor of descriptors it also stays before whatever may yet turn out to be speech,
  since the rows of an utterance begin where it does, which is known only later.
"""

from __future__ import annotations

from collections.abc import Callable

from affectstream.core.capture.audio import AudioLost, Captured, CapturedAudio, DeviceLost
from affectstream.core.speech.descriptors import DescriptorExtractor, DescriptorRows
from affectstream.core.speech.stream import SpeechStream
from affectstream.core.speech.utterances import (
    LONGEST_MS,
    VAD_FRAME_SAMPLES,
    SpeechEnded,
    SpeechEvent,
    SpeechStarted,
    UtteranceFinder,
)
from affectstream.core.speech.voice_activity import FrameActivity
from affectstream.messages import Message
from affectstream.timebase import NS_PER_MS, NS_PER_S, SAMPLE_RATE_HZ

HOLE_MS = 100
"""Missing audio longer than this ends an utterance."""

PROGRESS_MS = 100
"""A watermark at least this often."""

AUDIO_BLOCK_FRAMES = 5
"""Frames of 20 ms in a published block of audio."""

_MS = SAMPLE_RATE_HZ // 1000
_LOST_LAG_NS = 500 * NS_PER_MS  # a device that comes back is captured from within this


class UtteranceSegmenter:
    """Turns what a source captures into the messages of one stream.

    Args:
        classify: tells what a frame (20 ms of 16 kHz s16 mono) holds, as ``VoiceActivity.classify``
            does; it is asked for every whole frame, in order.
        session, source, speaker: whose stream this is.
        start_ns: event time of sample 0.
        longest_ms: an utterance is cut there.
        publish_audio: False keeps the raw audio here; everything else is still said.
        clock_id: whose time event time is.
        extractor: describes each utterance; None leaves that to others.
        take: see ``SpeechStream``.
    """

    def __init__(
        self,
        classify: Callable[[bytes], FrameActivity],
        *,
        session: str,
        source: str,
        speaker: str,
        start_ns: int,
        longest_ms: int = LONGEST_MS,
        publish_audio: bool = True,
        clock_id: str = "",
        extractor: DescriptorExtractor | None = None,
        take: str = "",
    ) -> None:
        self._classify = classify
        self._stream = SpeechStream(session, source, speaker, start_ns, clock_id, take)
        self._publish_audio = publish_audio
        self._extractor = extractor
        self._unpublished: list[bytes] = []  # frames up to the position
        self._pending = bytearray()  # less than a frame
        self._position: int | None = None  # of the first pending sample; None before any came
        self._finder = UtteranceFinder(longest_ms)
        self._next_progress: int | None = None
        self._opened = self._closed = False
        self._lost_wake_ns: int | None = None  # while the device is gone
        self._lost_reason = ""

    def receive(self, message: Captured, now_ns: int) -> list[Message]:
        """Take captured audio, a hole or the loss of the device; return what is to be published.

        Chunks may have any size: the messages are the same.
        """
        out = self._open()
        match message:
            case CapturedAudio():
                self._lost_wake_ns = None
                self._take_audio(message, out)
            case AudioLost():
                self._lost_wake_ns = None
                self._take_hole(message, out)
            case DeviceLost():
                self._take_loss(message.reason, now_ns, out)
        return out

    def wake(self, now_ns: int) -> list[Message]:
        """Return the stream's beginning, or the watermark of a stream whose device is gone."""
        out = self._open()
        if self._lost_wake_ns is not None and now_ns >= self._lost_wake_ns:
            self._lost_wake_ns = now_ns + PROGRESS_MS * NS_PER_MS
            out.append(self._stream.progress(now_ns - _LOST_LAG_NS))
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
        self._say(self._finder.end("stream closed", self._position or 0), out)
        end_ns = self._stream.time_ns(self._position or 0)
        if self._lost_wake_ns is not None:
            missing_ns = max(0, now_ns - end_ns)
            count = missing_ns * SAMPLE_RATE_HZ // NS_PER_S
            out.append(self._stream.gap(count, self._lost_reason, end_ns, end_ns + missing_ns))
            end_ns += missing_ns
        self._closed = True
        out += [self._stream.progress(end_ns), self._stream.closed(end_ns)]
        return out

    # What comes in

    def _open(self) -> list[Message]:
        if self._opened:
            return []
        self._opened = True
        return [self._stream.opened()]

    def _take_audio(self, captured: CapturedAudio, out: list[Message]) -> None:
        samples = captured.samples
        if self._position is None:
            self._position = captured.first_sample
            self._finder.end("gap", captured.first_sample, resumes_at=captured.first_sample)
            self._next_progress = captured.first_sample
        expected = self._position + len(self._pending) // 2
        offset = captured.first_sample - expected
        if offset > 0:
            hole = AudioLost(expected, captured.first_sample, offset, "unexplained")
            self._take_hole(hole, out)
        elif offset < 0:  # captured twice: what was published stays
            overlap = min(-offset, len(samples))
            self._take_hole(AudioLost(expected, expected, overlap, "overlap"), out)
            samples = samples[overlap:]
        self._pending += samples.astype("<i2", copy=False).tobytes()
        size = 2 * VAD_FRAME_SAMPLES
        whole = len(self._pending) // size * size
        for at in range(0, whole, size):
            self._take_frame(bytes(self._pending[at : at + size]), out)
        del self._pending[:whole]

    def _take_frame(self, frame: bytes, out: list[Message]) -> None:
        assert self._position is not None
        start = self._position
        self._position = start + VAD_FRAME_SAMPLES
        self._unpublished.append(frame)
        if len(self._unpublished) >= AUDIO_BLOCK_FRAMES:
            self._publish(out)
        if self._extractor is not None:
            self._say_rows(self._extractor.push(start, frame), out)
        events = self._finder.add(start, self._classify(frame))
        self._say(events, out)
        assert self._next_progress is not None
        ended = any(isinstance(event, SpeechEnded) for event in events)
        if self._position >= self._next_progress or ended:
            self._next_progress = self._position + PROGRESS_MS * _MS
            out.append(self._stream.progress(self._stream.time_ns(self._watermark())))

    def _take_hole(self, hole: AudioLost, out: list[Message]) -> None:
        self._flush_frame(out)
        if hole.resumes_at - hole.first_sample > HOLE_MS * _MS:
            end = self._position or 0
            self._say(self._finder.end("gap", end, resumes_at=hole.resumes_at), out)
        start_ns = self._stream.time_ns(hole.first_sample)
        end_ns = self._stream.time_ns(hole.resumes_at)
        out.append(self._stream.gap(hole.samples, hole.reason, start_ns, end_ns))
        if self._position is None:
            self._next_progress = hole.resumes_at
        self._position = max(self._position or 0, hole.resumes_at)

    def _take_loss(self, reason: str, now_ns: int, out: list[Message]) -> None:
        """Say at once that audio is missing; how much is known when the device comes back."""
        self._flush_frame(out)
        self._say(self._finder.end("gap", self._position or 0), out)
        lost_ns = self._stream.time_ns(self._position or 0)
        out.append(self._stream.gap(0, reason, lost_ns, None))
        self._lost_reason = reason
        self._lost_wake_ns = now_ns

    # What goes out

    def _say(self, events: list[SpeechEvent], out: list[Message]) -> None:
        for event in events:
            if isinstance(event, SpeechStarted):
                out.append(self._stream.started(event))
                if self._extractor is not None:
                    self._say_rows(self._extractor.begin(event.start), out)
            else:
                if self._extractor is not None:
                    self._say_rows(self._extractor.end(), out)
                out.append(self._stream.ended(event))

    def _say_rows(self, found: list[DescriptorRows], out: list[Message]) -> None:
        if self._extractor is not None:
            name = self._extractor.name
            out += [self._stream.acoustic(name, rows) for rows in found]

    def _publish(self, out: list[Message]) -> None:
        """Publish the audio up to the position that has not been published."""
        pcm = b"".join(self._unpublished)
        self._unpublished.clear()
        if self._publish_audio and pcm and self._position is not None:
            out.append(self._stream.audio(self._position - len(pcm) // 2, pcm))

    def _flush_frame(self, out: list[Message]) -> None:
        """Publish the samples before a hole or the end, even if they do not fill a frame."""
        if self._pending and self._position is not None:
            self._unpublished.append(bytes(self._pending))
            self._position += len(self._pending) // 2
            self._pending.clear()
        self._publish(out)

    def _watermark(self) -> int:
        """Return the position before which nothing is still to come."""
        assert self._position is not None
        possible_end = self._finder.possible_end
        position = self._position if possible_end is None else possible_end
        if self._extractor is None:
            return position
        reached = self._extractor.reached
        if reached is None:
            return self._finder.earliest_start(self._position)
        return min(position, reached)
