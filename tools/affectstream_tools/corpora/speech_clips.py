"""Recordings of speech at 16 kHz, to measure front ends on; no labels."""

from __future__ import annotations

import wave
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectstream.data import demo_folder
from affectstream.errors import AffectstreamError
from affectstream.sources.decoders import open_decoder
from affectstream.timebase import SAMPLE_RATE_HZ

ClipSamples = NDArray[np.int16]
_SUFFIXES = (".wav", ".flac")


def read_clips(folder: str | None, seconds: float) -> list[ClipSamples]:
    """Return clips of ``seconds`` or a little more, mono int16 at 16 kHz.

    Args:
        folder: of recordings, with its subfolders; the clips are spread evenly over it. None
            takes the synthetic speech of the bundled demo, repeated as often as needed.

    Raises:
        AffectstreamError: there is no recording in it, or one is not at 16 kHz.
    """
    if folder is None:
        return _demo(seconds)
    paths = speech_files_in(Path(folder))
    if not paths:
        raise AffectstreamError(f"{folder} holds no wav or flac file; name a folder of speech")
    clips: list[ClipSamples] = []
    lasting = 0
    for path in _spread(paths):
        clips.append(read_speech_clip(path))
        lasting += len(clips[-1])
        if lasting >= seconds * SAMPLE_RATE_HZ:
            break
    return clips


def speech_files_in(folder: Path) -> list[Path]:
    """Return the recordings in a folder and below it, in order."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)


def _spread(paths: list[Path]) -> list[Path]:
    """Return the paths in an order whose first few, however many, lie evenly among all."""
    golden = 0.5 * (5**0.5 - 1)
    return [paths[i] for i in np.argsort(np.arange(len(paths)) * golden % 1)]


def read_speech_clip(path: Path) -> ClipSamples:
    """Return the first channel, int16; raises ``AffectstreamError`` where it cannot be used."""
    with closing(open_decoder(path)) as decoder:
        if decoder.rate_hz != SAMPLE_RATE_HZ:
            raise AffectstreamError(
                f"{path} is at {decoder.rate_hz} Hz; name recordings at {SAMPLE_RATE_HZ} Hz"
            )
        blocks = [np.zeros(0, np.int16)]
        while len(block := decoder.read(SAMPLE_RATE_HZ)):
            blocks.append(block[:, 0])
    return np.concatenate(blocks)


def _demo(seconds: float) -> list[ClipSamples]:
    with wave.open(str(demo_folder() / "dialogue.wav"), "rb") as wav:
        channels = wav.getnchannels()
        samples = np.frombuffer(wav.readframes(wav.getnframes()), dtype="<i2")
    mono = np.concatenate([samples[channel::channels] for channel in range(channels)])
    wanted = round(seconds * SAMPLE_RATE_HZ)
    return [np.resize(mono, wanted).astype(np.int16)]
