"""Decoders of audio files: wav by ``wav``, what libsndfile reads by soundfile, others by ffmpeg.

Knows: which of them opens a file, and what libsndfile does otherwise than its callers expect.
Refuses to know: pace, resampling, and what the samples are for.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from affectstream.errors import SourceError, brief
from affectstream.sources.ffmpeg import FFMPEG_SUFFIXES, decode_by_ffmpeg
from affectstream.sources.wav import WavDecoder, full_scale_to_int16

_log = logging.getLogger(__name__)

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 384_000  # what an ``audio`` message can carry

MAX_AUDIO_CHANNELS = 64
"""A header that claims more is broken, and a second of such audio would fill the memory."""


_SOUNDFILE_SUFFIXES = (
    *(".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc"),
    *(".w64", ".rf64", ".caf", ".au", ".snd"),
)
SOUND_SUFFIXES = (".wav", *_SOUNDFILE_SUFFIXES, *FFMPEG_SUFFIXES)
"""How the names of files end that are looked for in a folder of recordings."""

_MOST_FRAMES = 1 << 40  # libsndfile says more where a file does not say how many it has
_COUNTED_FRAMES = 1 << 16
_stderr_lock = threading.Lock()


class AudioDecoder(Protocol):
    """An open audio file.

    Attributes:
        rate_hz, channels: of the file.
        frames: samples per channel, as the header says; the file may hold fewer. Where the header
            does not say it, what the file holds.
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
        if path.suffix.lower() in FFMPEG_SUFFIXES:
            return decode_by_ffmpeg(path)
        try:
            return WavDecoder(path)
        except SourceError as error:
            try:
                import soundfile
            except (ImportError, OSError):
                raise SourceError(f"{error}, or pip install 'affectstream[live]'") from error
        return _Soundfile(path, soundfile)
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read ({error.strerror}); see who may read it, or copy it again"
        ) from error


class _Soundfile:
    """Whatever libsndfile reads. A file that is damaged further on ends there, with a warning.

    Floating-point samples are read as such: libsndfile would make integers of them by cutting off
    what is behind the point, which leaves silence.

    Raises:
        SourceError: it cannot be opened.
    """

    def __init__(self, path: Path, soundfile: Any) -> None:
        self._path, self._error = path, soundfile.LibsndfileError
        self._file = self._open(soundfile)
        self.frames = int(self._file.frames)
        if self.frames > _MOST_FRAMES:
            self.frames = self._count()
            self._file.close()
            self._file = self._open(soundfile)
        self.rate_hz = int(self._file.samplerate)
        self.channels = int(self._file.channels)
        self._integers = self._file.subtype.startswith("PCM_")

    def _open(self, soundfile: Any) -> Any:
        try:
            with _without_library_noise():
                opened = soundfile.SoundFile(str(self._path))
        except self._error as error:
            raise SourceError(
                f"{self._path} cannot be read as audio ({brief(error)}); convert it with "
                "`ffmpeg -i IN -ac 1 -ar 16000 OUT.wav`"
            ) from error
        # Where it can seek, soundfile seeks after each block to where it is already. In mp3 that
        # loses the blocks after it, which come as zeros.
        opened.seekable = lambda: False
        return opened

    def _count(self) -> int:
        """Return how many frames there are, by reading all of them."""
        count = 0
        try:
            while read := len(self._file.read(_COUNTED_FRAMES, dtype="int16")):
                count += read
        except self._error as error:
            _log.debug("%s ends after %d frames: %s", self._path, count, brief(error))
        return count

    def read(self, frames: int) -> NDArray[np.int16]:
        kind = "int16" if self._integers else "float32"
        try:
            with _without_library_noise():
                block = self._file.read(frames, dtype=kind, always_2d=True)
        except self._error as error:
            _log.warning("%s cannot be read on: %s", self._path, brief(error))
            return np.zeros((0, self.channels), np.int16)
        samples: NDArray[np.int16] = block if self._integers else full_scale_to_int16(block)
        return samples

    def seek(self, frame: int) -> None:
        try:
            with _without_library_noise():
                self._file.seek(frame)
        except self._error as error:
            _log.warning("%s cannot be read from there: %s", self._path, brief(error))

    def close(self) -> None:
        self._file.close()


@contextmanager
def _without_library_noise() -> Iterator[None]:
    """Keep what a library writes to standard error from the terminal.

    libmpg123, by which libsndfile reads mp3, prints remarks on sound files, also on whole ones, and
    cannot be told not to. What is missing of a file is seen from the number of its frames.
    """
    with _stderr_lock:
        try:
            terminal = os.dup(2)
        except OSError:  # there is none
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
