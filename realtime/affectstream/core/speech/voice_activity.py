"""Which frames of audio hold a voice.

Knows: one detector's opinion, the level of a frame, and the level of the background.
Refuses to know: utterances, time, and which detector is asked.

A detector alone is fooled by breathing, goes on for a while after speech has ended, and takes a
steady vowel for noise in the end. A level alone takes a slammed door for speech. So a frame counts
as voiced in two cases: it stands out from the background and the detector agrees; or it stands out
by half as much and repeats itself at the pitch of a voice.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from affectstream.timebase import SAMPLE_RATE_HZ

ABOVE_NOISE_DB = 12.0
"""How far speech must stand out from the background; half as much for what is periodic."""

BELOW_PEAK_DB = 34.0
"""How far below the loudest recent frame a voice may fall."""

PERIODIC_ABOVE = 0.7
"""``periodicity`` from which on a sound counts as periodic."""

NOISE_WINDOW_FRAMES = 400
"""The background is the faintest of so many frames (8 s)."""

_NOISE_PARTS = 8  # of the window: each keeps its minimum only
_SHORTEST_LAG, _LONGEST_LAG = SAMPLE_RATE_HZ // 400, SAMPLE_RATE_HZ // 70
_SILENCE_DB = -75.0  # digital silence and converters' own noise are never the background
_FADE_DB_PER_FRAME = 0.1  # the loudest level is forgotten by 5 dB in a second


class VoiceDetector(Protocol):
    """Something that tells speech from other sounds."""

    def is_speech(self, frame: bytes) -> bool:
        """Return whether the frame (20 ms of 16 kHz s16 mono) holds speech."""


@dataclass(frozen=True, slots=True)
class FrameActivity:
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
        trusted: the detector knows voices from other sounds, as networks do: its opinion is taken,
            except for frames far below the loudest.
    """

    def __init__(self, detector: VoiceDetector, *, trusted: bool = False) -> None:
        self._detector = detector
        self._trusted = trusted
        self._part_minima_db: deque[float] = deque(maxlen=_NOISE_PARTS)
        self._part_minimum_db = np.inf
        self._part_frames = 0
        self._peak_db = -np.inf
        self._previous = b""

    def classify(self, frame: bytes) -> FrameActivity:
        """Return what the frame (20 ms of 16 kHz s16 mono) holds."""
        level_db = frame_level_db(frame)
        detected = self._detector.is_speech(frame)
        self._peak_db = max(self._peak_db - _FADE_DB_PER_FRAME, level_db)
        near = level_db > self._peak_db - BELOW_PEAK_DB
        if self._trusted:
            voiced = detected and near
            return FrameActivity(voiced, level_db, periodic=voiced)
        above_db = level_db - self._background_db(level_db)
        two_frames, self._previous = self._previous + frame, frame
        periodic = (
            near and above_db > ABOVE_NOISE_DB / 2 and periodicity(two_frames) > PERIODIC_ABOVE
        )
        clear = near and above_db > ABOVE_NOISE_DB
        return FrameActivity(periodic or (clear and detected), level_db, periodic)

    def _background_db(self, level_db: float) -> float:
        self._part_minimum_db = min(self._part_minimum_db, level_db)
        noise_db = min(self._part_minimum_db, min(self._part_minima_db, default=np.inf))
        self._part_frames += 1
        if self._part_frames == NOISE_WINDOW_FRAMES // _NOISE_PARTS:
            self._part_minima_db.append(self._part_minimum_db)
            self._part_minimum_db, self._part_frames = np.inf, 0
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
    spectrum = np.fft.rfft(samples, _next_power_of_two(size + _LONGEST_LAG))
    power = spectrum.real**2 + spectrum.imag**2
    products = np.fft.irfft(power)[_SHORTEST_LAG : _LONGEST_LAG + 1]
    energy = np.cumsum(samples * samples, dtype=np.float64)  # of the first 1, 2, ... samples
    ends = energy[size - _LONGEST_LAG - 1 : size - _SHORTEST_LAG][::-1]
    starts = energy[-1] - energy[_SHORTEST_LAG - 1 : _LONGEST_LAG]
    norm = np.sqrt(ends * starts)
    if norm.min() <= 0.0:
        return 0.0
    return float((products / norm).max())


def _next_power_of_two(samples: int) -> int:
    return 1 << (samples - 1).bit_length()
