"""A recording in place of a microphone.

Knows: wav files, other containers by way of soundfile, and how to play one at a pace.
Refuses to know: what an utterance is (``core.segmenter``) and who listens (``runner``).
"""

from __future__ import annotations

import logging
import math
import wave
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from affectstream.bus import Endpoint, HubClock
from affectstream.core.capture.audio import AudioLost, Captured
from affectstream.errors import SourceError, brief
from affectstream.run.loop import run
from affectstream.sources.backpressure import HeldBack, HeldInput
from affectstream.sources.resampling import TimelineResampler
from affectstream.sources.speech import speech_segmenter, take_at
from affectstream.timebase import NS_PER_MS, NS_PER_S, samples_to_ns

_log = logging.getLogger(__name__)

PLAYED_BLOCK_MS = 60
LONGEST_READ_S = 1.0
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 384_000
"""What the wire can say of audio."""
MAX_AUDIO_CHANNELS = 64
"""A header that says more is broken: a second of it would fill the memory."""
UNKNOWN_BYTES = 0x7FFF_0000
"""Programs that write a wav into a pipe do not know its length, and claim the longest."""


class _Reader(Protocol):
    rate_hz: int
    channels: int
    frames: int  # as the header says

    def read(self, frames: int) -> NDArray[np.int16]:
        """Return at most ``frames`` frames, shape (n, channels)."""

    def seek(self, frame: int) -> None:
        """Read on at ``frame``, which is not beyond the end."""

    def close(self) -> None:
        """Close the file."""


class _Wav:
    def __init__(self, path: Path) -> None:
        try:
            self._wav = wave.open(str(path), "rb")  # noqa: SIM115
        except (wave.Error, EOFError, RuntimeError) as error:  # the last: sizes that cannot be
            raise SourceError(
                f"{path} is no PCM wav file ({brief(error) or 'it ends in its header'}); "
                "convert it with "
                "`ffmpeg -i IN -ac 1 -ar 16000 OUT.wav`, or pip install 'affectstream[live]'"
            ) from error
        self.rate_hz = self._wav.getframerate()
        self.channels = self._wav.getnchannels()
        self.frames = self._wav.getnframes()
        if self._wav.getsampwidth() != 2:
            bits = 8 * self._wav.getsampwidth()
            self.close()
            raise SourceError(
                f"{path} has {bits} bits per sample, not 16; convert it with "
                "`ffmpeg -i IN -c:a pcm_s16le OUT.wav`, or pip install 'affectstream[live]'"
            )

    def read(self, frames: int) -> NDArray[np.int16]:
        pcm = self._wav.readframes(frames)
        whole = len(pcm) // (2 * self.channels) * 2 * self.channels
        return np.frombuffer(pcm[:whole], dtype="<i2").reshape(-1, self.channels)

    def seek(self, frame: int) -> None:
        self._wav.setpos(frame)

    def close(self) -> None:
        self._wav.close()


class _Soundfile:
    def __init__(self, path: Path, soundfile: Any) -> None:
        try:
            self._file = soundfile.SoundFile(str(path))
        except soundfile.LibsndfileError as error:
            raise SourceError(
                f"{path} cannot be read as audio ({brief(error)}); convert it with "
                "`ffmpeg -i IN -ac 1 -ar 16000 OUT.wav`"
            ) from error
        self._path, self._error = path, soundfile.LibsndfileError
        self.rate_hz = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        self.frames = int(self._file.frames)

    def read(self, frames: int) -> NDArray[np.int16]:
        try:
            block: NDArray[np.int16] = self._file.read(frames, dtype="int16", always_2d=True)
        except self._error as error:
            _log.warning("%s cannot be read on: %s", self._path, brief(error))
            return np.zeros((0, self.channels), np.int16)
        return block

    def seek(self, frame: int) -> None:
        try:
            self._file.seek(frame)
        except self._error as error:
            _log.warning("%s cannot be read from there: %s", self._path, brief(error))

    def close(self) -> None:
        self._file.close()


def _open(path: Path) -> _Reader:
    if not path.is_file():
        raise SourceError(f"{path} does not exist; name an audio file")
    try:
        return _Wav(path)
    except SourceError:
        try:
            import soundfile
        except (ImportError, OSError):
            soundfile = None
        if soundfile is None:
            raise
    return _Soundfile(path, soundfile)


class AudioFile:
    """A file as an input of the runner, played in real time or ``speed`` times as fast.

    Args:
        path: a wav file, or what soundfile can read.
        channel: which channel, from 0.
        speed: ``math.inf`` plays as fast as it is read.
        not_before_ns: processing time before which nothing is played.
        resume: begin where the recording would be by now, had it begun at ``not_before_ns``; one
            that is played as fast as it is read is nowhere by now, and begins at its beginning.

    Raises:
        SourceError: the file is missing, empty, no audio, or lacks the channel.
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
        self._reader = _open(self._path)
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
        """How long the file says it is."""
        return samples_to_ns(self._reader.frames, self._reader.rate_hz)

    @property
    def exhausted(self) -> bool:
        """Whether all of it has been read."""
        return self._exhausted

    def fileno(self) -> int:
        """Return -1: a file is paced by ``next_read_ns``."""
        return -1

    def next_read_ns(self) -> int | None:
        """Return the processing time at which the next block is over."""
        if self._exhausted:
            return None
        if self._begin_ns is None:
            return self.not_before_ns
        return self._begin_ns + self._played_ns(self._position) + int(self._block_ns)

    def read(self, now_ns: int) -> list[Captured]:
        """Return what was played until ``now_ns``; at most a second of it."""
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
        """Go to where the recording is by now; how much of it was heard before is not known."""
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
        unknown = 2 * self._reader.frames * self._reader.channels >= UNKNOWN_BYTES
        if missing <= 0 or unknown:
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
    source: str | None = None,
    channel: int = 0,
    speed: float = 1.0,
    start_ns: int | None = None,
    resume: bool = False,
    publish_audio: bool = True,
    vad: str = "webrtc",
    aggressiveness: int = 2,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Publish a recording as the stream ``mic.SPEAKER``, at its own pace.

    Args:
        address: the hub's.
        start_ns: event time of the file's first sample, the same for all files of one dialogue;
            None is now. A start in the future is waited for.
        speed: ``math.inf`` plays as fast as it is read, and as the dialogue's transcribers follow.
        resume: the recording began at ``start_ns`` already, in a worker that is no more; go on
            where it is by now.
        channel: as for ``AudioFile``; the rest as for the microphone.

    Raises:
        SourceError: the file cannot be played; one sentence with a remedy.
    """
    recording = AudioFile(path, channel=channel, speed=speed, resume=resume)
    with closing(recording), HubClock(address) as clock:
        clock.wait(stopping)
        start_ns = clock.now_ns() if start_ns is None else start_ns
        recording.not_before_ns = start_ns
        segmenter = speech_segmenter(
            session=session,
            source=source,
            speaker=speaker,
            start_ns=start_ns,
            publish_audio=publish_audio,
            clock_id="file",
            vad=vad,
            aggressiveness=aggressiveness,
            take=take_at(clock.now_ns()) if resume and not math.isinf(speed) else "",
        )
        if not math.isinf(speed):
            run(segmenter, address=address, inputs=[recording], clock=clock, stopping=stopping)
            return
        stream = HeldBack(segmenter, session, source or f"mic.{speaker}")
        run(
            stream,
            address=address,
            prefixes=stream.prefixes,
            from_start=False,
            inputs=[HeldInput(recording, stream)],
            clock=clock,
            stopping=stopping,
        )
