"""A voice that shows a cue: harmonics under formants, at the cue's pitch, loudness and rhythm.

Nothing here was measured on a person. The four sounds differ in what the front ends measure, as
angry, happy, neutral and sad voices are said to, but more clearly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affectstream_tools.synthesis.iemocap_files import AUDIO_RATE_HZ

_Floats = NDArray[np.float64]

_ROOM_RMS = 8.0
_CROSSTALK = 0.12  # of the partner's voice in one's own microphone
_LEVEL = 1800.0  # rms of a neutral voice, of 32,768
_HIGHEST_HZ = 5_000.0
_BANDWIDTH_HZ = 120.0


@dataclass(frozen=True, slots=True)
class _Manner:
    """How a cue sounds; pitch and formants are those of the speaker times a factor."""

    pitch: float
    semitones: float
    level_db: float
    syllables_hz: float
    tilt_db: float  # an octave
    formants_hz: tuple[float, float, float]
    breath: float


_MANNERS = (
    _Manner(1.30, 2.0, 7.0, 6.0, -5.0, (760, 1280, 2600), 0.01),
    _Manner(1.55, 5.0, 2.0, 4.8, -8.0, (480, 1900, 2800), 0.02),
    _Manner(1.00, 1.0, -2.0, 3.8, -10.0, (580, 1450, 2450), 0.03),
    _Manner(0.80, 0.4, -9.0, 2.4, -14.0, (360, 900, 2300), 0.10),
)
"""In the order of the emotions: anger, happiness, neutral, sadness."""


@dataclass(frozen=True, slots=True)
class RenderedVoice:
    """A speaker's pitch, and the factor by which formants differ from the average speaker's."""

    pitch_hz: float
    formants: float


def draw_voice(woman: bool, rng: np.random.Generator) -> RenderedVoice:
    """Return somebody's voice."""
    middle_hz, formants = (205.0, 1.08) if woman else (118.0, 0.97)
    return RenderedVoice(middle_hz * rng.uniform(0.93, 1.07), formants * rng.uniform(0.98, 1.02))


def render_voice(
    cue: int, seconds: float, voice: RenderedVoice, rng: np.random.Generator
) -> _Floats:
    """Return samples (n,) at 16 kHz of a turn that shows ``cue``, 0..3."""
    manner = _MANNERS[cue]
    times_s = np.arange(round(seconds * AUDIO_RATE_HZ)) / AUDIO_RATE_HZ
    syllables_hz = manner.syllables_hz * rng.uniform(0.94, 1.06)
    start = rng.uniform(0, 1)
    swing = np.sin(2 * np.pi * (syllables_hz / 3 * times_s + start))
    pitch_hz = voice.pitch_hz * manner.pitch * rng.uniform(0.97, 1.03)
    pitch = pitch_hz * 2 ** (manner.semitones * swing / 12)
    phase = 2 * np.pi * np.cumsum(pitch) / AUDIO_RATE_HZ
    formants = np.array(manner.formants_hz) * voice.formants
    sound = _harmonics(phase, pitch_hz, formants, manner.tilt_db)
    sound += manner.breath * rng.standard_normal(len(times_s)) * np.abs(sound).max()
    sound *= 0.08 + np.sin(np.pi * (syllables_hz * times_s + start)) ** 2
    edge = np.minimum(1.0, np.minimum(times_s, times_s[::-1]) / 0.02)
    level = _LEVEL * 10 ** ((manner.level_db + rng.normal(0, 0.7)) / 20)
    return np.asarray(sound * edge * level / np.sqrt(np.mean(sound**2)))


def _harmonics(phase: _Floats, pitch_hz: float, formants_hz: _Floats, tilt_db: float) -> _Floats:
    """Return the sum of the harmonics of a phase (n,), each as loud as tilt and formants say."""
    step = 2 * np.cos(phase)
    before, now = np.zeros_like(phase), np.sin(phase)
    sound = np.zeros_like(phase)
    for number in range(1, int(_HIGHEST_HZ / pitch_hz) + 1):
        distance = (number * pitch_hz - formants_hz) / _BANDWIDTH_HZ
        resonance = 0.02 + (1 / (1 + distance**2)).sum()
        sound += resonance * number ** (tilt_db / 6.02) * now
        before, now = now, step * now - before  # sin((k + 1) x) of sin(k x) and sin((k - 1) x)
    return sound


def mix(
    turns: Sequence[tuple[float, int, _Floats]], seconds: float, rng: np.random.Generator
) -> _Floats:
    """Return samples (n, 2): each turn (its start in s, its channel, its sound) in a quiet room."""
    samples = rng.normal(0, _ROOM_RMS, (round(seconds * AUDIO_RATE_HZ), 2))
    for start_s, channel, sound in turns:
        first = round(start_s * AUDIO_RATE_HZ)
        samples[first : first + len(sound), channel] += sound
        samples[first : first + len(sound), 1 - channel] += _CROSSTALK * sound
    return np.asarray(samples)
