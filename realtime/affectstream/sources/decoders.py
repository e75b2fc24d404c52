"""Decoders of audio files: 16-bit wav by the standard library, other formats by soundfile.

Knows: how a file is opened, read block by block, and what to do about one that cannot be read.
Refuses to know: pace, resampling, and what the samples are for.
"""

from __future__ import annotations

import logging
import wave
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from affectstream.errors import SourceError, brief

_log = logging.getLogger(__name__)

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 384_000  # what an ``audio`` message can carry

MAX_AUDIO_CHANNELS = 64
"""A header that claims more is broken, and a second of such audio would fill the memory."""


class AudioDecoder(Protocol):
    """An open audio file.

    Attributes:
        rate_hz, channels: of the file.
        frames: samples per channel, as the header says; the file may hold fewer.
    """

    rate_hz: int
    channels: int
    frames: int

    def read(self, frames: int) -> NDArray[np.int16]:
        """Return the next ``frames`` frames or fewer, shape (n, channels); none at the end."""

    def seek(self, frame: int) -> None:
        """Go to frame number ``frame``, which is not beyond the end."""

    def close(self) -> None:
        """Close the file."""


def open_decoder(path: Path) -> AudioDecoder:
    """Open an audio file.

    Raises:
        SourceError: the file is missing, or is not audio that can be read here.
    """
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


class _Wav:
    """16-bit PCM by the standard library.

    Raises:
        SourceError: it is no such file.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._wav = wave.open(str(path), "rb")  # noqa: SIM115
        except (wave.Error, EOFError, RuntimeError) as error:  # the last for impossible sizes
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
    """Whatever libsndfile reads. A file that is damaged further on ends there, with a warning.

    Raises:
        SourceError: it cannot be opened.
    """

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
