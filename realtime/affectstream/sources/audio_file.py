"""The worker that plays a recording in place of a microphone.

Knows: at which pace a recording is played, and where each block lies in time.
Refuses to know: file formats (``decoders``), what an utterance is (``core.speech.segmenter``) and
who listens (``run.loop``).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from affectstream.bus import Endpoint, HubClock
from affectstream.core.capture.audio import AudioLost, Captured
from affectstream.errors import SourceError
from affectstream.run.loop import run
from affectstream.sources.backpressure import run_with_backpressure
from affectstream.sources.decoders import (
    HIGHEST_RATE_HZ,
    LOWEST_RATE_HZ,
    MAX_AUDIO_CHANNELS,
    open_decoder,
)
from affectstream.sources.resampling import TimelineResampler
from affectstream.sources.speech import speech_segmenter, take_at, voice_activity
from affectstream.timebase import NS_PER_MS, NS_PER_S, samples_to_ns

_log = logging.getLogger(__name__)

PLAYED_BLOCK_MS = 60
LONGEST_READ_S = 1.0
"""The most that one call of ``AudioFile.read`` returns."""


class AudioFile:
    """A recording as an input of ``run.loop``: one channel, resampled to 16 kHz.

    Args:
        path: a wav file; another format if soundfile or ffmpeg is installed.
        channel: which channel, from 0.
        speed: 1 plays in real time, 2 twice as fast, ``math.inf`` as fast as the file is read.
        not_before_ns: processing time before which nothing is played.
        resume: begin where the recording would be by now, had it begun at ``not_before_ns``. With
            an infinite speed it begins at its beginning all the same.

    Raises:
        SourceError: the file is missing, empty, not audio, or lacks the channel; or the speed is
            not above 0.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        channel: int = 0,
        speed: float = 1.0,
        not_before_ns: int = 0,
        resume: bool = False,
    ) -> None:
        if not speed > 0:
            raise SourceError(f"a speed of {speed} plays nothing; give a number above 0")
        self._path = Path(path)
        self._reader = open_decoder(self._path)
        try:
            self._check(channel)
            self._resampler = TimelineResampler(self._reader.rate_hz)
        except SourceError:
            self._reader.close()
            raise
        self._channel = channel
        self._speed = speed
        self._block_ns = PLAYED_BLOCK_MS * NS_PER_MS / speed
        self._begin_ns: int | None = None
        self.not_before_ns = not_before_ns
        self._resume = resume and not math.isinf(speed)
        self._position = 0
        self._exhausted = False

    def _check(self, channel: int) -> None:
        if not self._reader.frames:
            raise SourceError(f"{self._path} holds no audio; record it again")
        if not LOWEST_RATE_HZ <= self._reader.rate_hz <= HIGHEST_RATE_HZ:
            raise SourceError(
                f"{self._path} says that it has {self._reader.rate_hz} samples a second, and not "
                f"{LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}; convert it with "
                "`ffmpeg -i IN -ac 1 -ar 16000 OUT.wav`"
            )
        if self._reader.channels > MAX_AUDIO_CHANNELS:
            raise SourceError(
                f"{self._path} says that it has {self._reader.channels} channels, more than "
                f"{MAX_AUDIO_CHANNELS}; convert it with `ffmpeg -i IN -ac 1 OUT.wav`"
            )
        if not 0 <= channel < self._reader.channels:
            last = self._reader.channels - 1
            raise SourceError(
                f"{self._path} has no channel {channel}; choose one of 0..{last} with --channel"
            )

    @property
    def duration_ns(self) -> int:
        """The recording's length according to its header."""
        return samples_to_ns(self._reader.frames, self._reader.rate_hz)

    @property
    def channels(self) -> int:
        """How many channels the recording has."""
        return self._reader.channels

    @property
    def exhausted(self) -> bool:
        """Whether all of it has been read."""
        return self._exhausted

    def fileno(self) -> int:
        """Return -1: there is nothing to poll, ``next_read_ns`` says when to read."""
        return -1

    def next_read_ns(self) -> int | None:
        """Return the processing time at which the next block has been played; None at the end."""
        if self._exhausted:
            return None
        if self._begin_ns is None:
            return self.not_before_ns
        return self._begin_ns + self._played_ns(self._position) + int(self._block_ns)

    def read(self, now_ns: int) -> list[Captured]:
        """Return what was played until ``now_ns``, one second of audio at most."""
        if self._exhausted or now_ns < self.not_before_ns:
            return []
        if self._begin_ns is None:
            self._begin_ns = now_ns
            if self._resume and now_ns - self.not_before_ns > PLAYED_BLOCK_MS * NS_PER_MS:
                return [self._skip(now_ns)]
        most = int(LONGEST_READ_S * self._reader.rate_hz)
        if math.isinf(self._speed):
            due = most
        else:
            elapsed_s = (now_ns - self._begin_ns) / NS_PER_S
            due = int(elapsed_s * self._speed * self._reader.rate_hz) - self._position
        if due <= 0:
            return []
        frames = self._reader.read(min(due, most))
        if not len(frames):
            return self._finish()
        first, self._position = self._position, self._position + len(frames)
        return [*self._resampler.accept(first, frames[:, self._channel])]

    def _skip(self, now_ns: int) -> AudioLost:
        """Go to where the recording is by now.

        The loss that it returns has the count 0: how much the earlier worker played is not known.
        """
        self._begin_ns = self.not_before_ns
        elapsed_s = (now_ns - self._begin_ns) / NS_PER_S
        due = int(elapsed_s * self._speed * self._reader.rate_hz)
        self._position = min(due, self._reader.frames)
        self._reader.seek(self._position)
        at = self._resampler.position(self._position)
        return AudioLost(at, at, 0, "restarted")

    def _finish(self) -> list[Captured]:
        self._exhausted = True
        missing = self._reader.frames - self._position
        if missing <= 0:
            return [*self._resampler.end_run()]
        _log.warning(
            "%s is truncated: %d of its %d samples are missing; copy it again",
            self._path,
            missing,
            self._reader.frames,
        )
        return [*self._resampler.hole(self._reader.frames, missing, "truncated")]

    def _played_ns(self, position: int) -> int:
        if math.isinf(self._speed):
            return 0
        return int(position * NS_PER_S / (self._reader.rate_hz * self._speed))

    def close(self) -> None:
        """Close the file."""
        self._exhausted = True
        self._reader.close()


def run_audio_file(
    path: Path | str,
    *,
    address: str | Endpoint,
    session: str,
    speaker: str,
    channel: int = 0,
    speed: float = 1.0,
    start_ns: int | None = None,
    resume: bool = False,
    vad: str = "webrtc",
    in_step: Sequence[str] = (),
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Publish a recording as the stream ``mic.SPEAKER`` until its end or ``stopping()``.

    Args:
        channel, speed: as for ``AudioFile``. With ``math.inf`` it waits for transcript workers.
        start_ns: event time of the file's first sample, the same for all files of one dialogue;
            None is now. A start in the future is waited for.
        resume: an earlier worker began to play it at ``start_ns``; go on where it would be by now.
        vad: the voice detector, one of ``speech.DETECTORS``.
        in_step: with ``math.inf``, the other streams of the dialogue that are played at once.

    Raises:
        SourceError: the file cannot be played, or the detector's library is missing.
        UsageError: there is no such detector. Both are raised before the hub is waited for.
    """
    paced = not math.isinf(speed)
    recording = AudioFile(path, channel=channel, speed=speed, resume=resume)
    with closing(recording):
        activity = voice_activity(vad)
        with HubClock(address) as clock:
            clock.wait(stopping)
            recording.not_before_ns = start_ns = clock.now_ns() if start_ns is None else start_ns
            take = take_at(clock.now_ns()) if resume and paced else ""
            segmenter = speech_segmenter(
                session=session,
                speaker=speaker,
                start_ns=start_ns,
                clock_id="file",
                vad=activity,
                take=take,
            )
            if paced:
                run(segmenter, address=address, inputs=[recording], clock=clock, stopping=stopping)
                return
            run_with_backpressure(
                segmenter,
                recording,
                session,
                f"mic.{speaker}",
                address,
                in_step=in_step,
                clock=clock,
                stopping=stopping,
            )
