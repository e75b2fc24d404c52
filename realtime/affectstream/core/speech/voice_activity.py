"""Which frames of audio hold a voice.

Knows: one detector's opinion, the level of a frame, and the level of the background.
Refuses to know: utterances, time, and which detector is asked.

A detector alone is fooled by breathing and by its own hang-over, and after a while takes a steady
vowel for noise; a level alone takes a slammed door for speech. A frame counts as voiced when it
stands out from the background and the detector agrees, or when it repeats itself at the pitch of
a voice; then half as much will do.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

_SHORTEST_LAG, _LONGEST_LAG = 16_000 // 400, 16_000 // 70
_SILENCE_DB = -75.0  # digital silence and converters' own noise are never the background
_FADE_DB_PER_FRAME = 0.1  # the loudest level is forgotten by 5 dB in a second


class VoiceDetector(Protocol):
    """Something that hears voices."""

    def is_speech(self, frame: bytes) -> bool:
        """Return whether the frame (20 ms of 16 kHz s16 mono) holds speech."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What one frame holds.

    Attributes:
        voiced: whether it is a voice.
        level_db: its level in dB of full scale.
        periodic: whether vocal folds move; breath and most noises are not periodic.
    """

    voiced: bool
    level_db: float = 0.0
    periodic: bool = True


class VoiceActivity:
    """Decides frame by frame.

    Args:
        detector: is asked for every frame, so that it can keep a state.
        above_noise_db: how far speech must stand out from the background; half as much is
            enough for what is periodic.
        below_peak_db: how far below the loudest recent frame a voice may fall.
        noise_window_frames: over how many frames the background is the minimum.
        periodic_above: autocorrelation from which on sound counts as periodic.
        trusted: the detector knows voices from other sounds, as networks do: what stands out or
            repeats itself is nothing to it, only what is faint is left out.
    """

    def __init__(
        self,
        detector: VoiceDetector,
        *,
        above_noise_db: float = 12.0,
        below_peak_db: float = 34.0,
        noise_window_frames: int = 400,
        periodic_above: float = 0.7,
        trusted: bool = False,
    ) -> None:
        self._trusted = trusted
        self._detector = detector
        self._above_noise_db = above_noise_db
        self._below_peak_db = below_peak_db
        self._part_frames = max(1, noise_window_frames // 8)
        self._parts: deque[float] = deque(maxlen=8)
        self._part_level = np.inf
        self._part_count = 0
        self._peak_db = -np.inf
        self._periodic_above = periodic_above
        self._last = b""

    def hear(self, frame: bytes) -> Heard:
        """Return what the frame (s16 mono) holds."""
        level_db = frame_level_db(frame)
        detected = self._detector.is_speech(frame)
        self._peak_db = max(self._peak_db - _FADE_DB_PER_FRAME, level_db)
        near_db = level_db - (self._peak_db - self._below_peak_db)
        if self._trusted:
            voiced = detected and near_db > 0
            return Heard(voiced, level_db, periodic=voiced)
        noise_db = self._background_db(level_db)
        two, self._last = self._last + frame, frame
        above_db = level_db - noise_db
        periodic = (
            near_db > 0
            and above_db > self._above_noise_db / 2
            and periodicity(two) > self._periodic_above
        )
        clear = near_db > 0 and above_db > self._above_noise_db
        return Heard(periodic or (clear and detected), level_db, periodic)

    def _background_db(self, level_db: float) -> float:
        self._part_level = min(self._part_level, level_db)
        noise_db = min(self._part_level, min(self._parts, default=np.inf))
        self._part_count += 1
        if self._part_count == self._part_frames:
            self._parts.append(self._part_level)
            self._part_level, self._part_count = np.inf, 0
        return max(float(noise_db), _SILENCE_DB)


def frame_level_db(frame: bytes) -> float:
    """Return the level of an s16 frame in dB of full scale, without its constant offset."""
    samples = np.frombuffer(frame, dtype="<i2").astype(np.float64)
    mean = float(samples.sum()) / len(samples)
    variance = max(0.0, float(samples @ samples) / len(samples) - mean * mean)
    return 10.0 * math.log10(variance / 32768.0**2 + 1e-12)


def periodicity(pcm: bytes) -> float:
    """Return how well s16 samples at 16 kHz repeat themselves at a voice's pitch, 0..1.

    The largest normalised autocorrelation at a lag of 70 to 400 Hz; 0 for silence. White noise
    reaches about 0.3 in 40 ms.
    """
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
    size = len(samples)
    if size <= _LONGEST_LAG:
        return 0.0
    samples -= samples.sum() / size
    spectrum = np.fft.rfft(samples, _transform_size(size + _LONGEST_LAG))
    power = spectrum.real**2 + spectrum.imag**2
    products = np.fft.irfft(power)[_SHORTEST_LAG : _LONGEST_LAG + 1]
    energy = np.cumsum(samples * samples, dtype=np.float64)  # of the first 1, 2, ... samples
    ends = energy[size - _LONGEST_LAG - 1 : size - _SHORTEST_LAG][::-1]
    starts = energy[-1] - energy[_SHORTEST_LAG - 1 : _LONGEST_LAG]
    norm = np.sqrt(ends * starts)
    if norm.min() <= 0.0:
        return 0.0
    return float((products / norm).max())


def _transform_size(samples: int) -> int:
    """Return the next power of two."""
    return int(1 << (samples - 1).bit_length())
