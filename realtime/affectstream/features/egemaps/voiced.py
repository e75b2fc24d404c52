"""The nine descriptors of eGeMAPS that need a pitch: F0, jitter, shimmer, noise, harmonics.

Knows: in which order they are computed, and how long a frame waits until its pitch is decided.
Refuses to know: how samples become frames, and how rows are smoothed.

The spectrum of a 60 ms frame under a Gaussian window is computed once: the pitch is looked for in
it, and the harmonics are read from it when the pitch is decided.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream.features.egemaps import harmonics
from affectstream.features.egemaps.jitter_shimmer import (
    PAST_SAMPLES,
    VOICED_HOP_SAMPLES,
    PeriodFollower,
)
from affectstream.features.egemaps.pitch_path import (
    DECIDE_FRAMES,
    LAG_FRAMES,
    SubharmonicPitchPath,
)
from affectstream.features.egemaps.subharmonics import (
    BINS,
    PITCH_FFT_SAMPLES,
    SubharmonicCandidates,
    subharmonic_candidates,
)

_Floats = NDArray[np.float32]

PITCH_FRAME_SAMPLES = 960
VOICED_DESCRIPTORS = (
    "F0semitone",
    "jitterLocal",
    "shimmerLocaldB",
    *harmonics.HARMONIC_DESCRIPTORS,
)
VOICED_DELAY_FRAMES = LAG_FRAMES + DECIDE_FRAMES - 1
"""How many later frames a frame's row waits for, at most."""

_MOST_FRAMES = 15 * DECIDE_FRAMES  # worked on at once: more would not stay in a core's cache
_LOWEST_RMS = 1e-3  # least level of a windowed frame that can be voiced
_QUIET_RMS = _LOWEST_RMS / 4
"""Least level at which candidates are looked for. Frames between the two levels are never voiced,
but their candidates help to decide their neighbours' pitch. (On 300 s of acted speech, half of it
below this level, leaving out the quieter frames gave every frame the same pitch.)"""

_LOWEST_HZ = 27.5  # where the semitones count from
_NO_FORMANT_DB = -201.0  # the formants' levels in an unvoiced frame
_UNVOICED = np.array([0, 0, 0, 0, 0, 0, *[_NO_FORMANT_DB] * 3], dtype=np.float32)


def _gauss_window() -> _Floats:
    middle = (PITCH_FRAME_SAMPLES - 1) / 2
    place = (np.arange(PITCH_FRAME_SAMPLES) - middle) / (0.4 * middle)
    return np.asarray(np.exp(-0.5 * place**2), dtype=np.float32)


_WINDOW = _gauss_window()
_POWER_WINDOW = _WINDOW * _WINDOW / np.float32(PITCH_FRAME_SAMPLES)


class VoicedDescriptors:
    """The ``VOICED_DESCRIPTORS`` of one stream, not smoothed.

    A row comes when its frame's pitch is decided, at most ``VOICED_DELAY_FRAMES`` later. The state
    is the spectra, formants and samples of the frames whose pitch is undecided.

    Args:
        follow_frames: least number of rows for which jitter and shimmer are computed together. A
            larger number costs less, but the rows come later and their samples are kept until then.
    """

    names = VOICED_DESCRIPTORS

    def __init__(self, follow_frames: int = 1) -> None:
        self._follow_frames = follow_frames
        self._started = False
        self._path = SubharmonicPitchPath()
        self._periods = PeriodFollower()
        self._waiting = np.empty((0, PITCH_FRAME_SAMPLES), dtype=np.float32)  # less than a block
        self._spectra = np.empty((0, BINS), dtype=np.float32)  # of frames louder than _QUIET_RMS
        self._formants = np.empty((0, 3), dtype=np.float32)
        self._power = np.empty(0, dtype=np.float32)
        self._signal = [np.zeros(PAST_SAMPLES, dtype=np.float32)]
        # Rows that lack jitter and shimmer, and their pitches.
        self._rows = [np.empty((0, len(VOICED_DESCRIPTORS)), dtype=np.float32)]
        self._pitch = [np.empty(0, dtype=np.float32)]

    def push(self, frames: NDArray[Any], formants: NDArray[Any]) -> _Floats:
        """Take n frames and return the rows, (m, 9), that are complete; m may be 0 or exceed n.

        Args:
            frames: (n, 960) samples without a window, one frame every 160 samples, in order.
            formants: (n, 3), F1 to F3 in Hz of the same frames.
        """
        self._waiting = np.concatenate((self._waiting, frames), dtype=np.float32)
        self._formants = np.concatenate((self._formants, formants), dtype=np.float32)
        whole = len(self._waiting) // DECIDE_FRAMES * DECIDE_FRAMES
        for begin in range(0, whole, _MOST_FRAMES):
            self._describe(self._search(min(_MOST_FRAMES, whole - begin)))
        return self._follow(self._follow_frames)

    def finish(self) -> _Floats:
        """Return the rows that are left, (k, 9). Nothing may be pushed afterwards."""
        decided = self._search(len(self._waiting))
        self._describe(np.concatenate((decided, self._path.finish())))
        return self._follow(1)

    def _search(self, count: int) -> _Floats:
        """Look for candidates in the oldest ``count`` waiting frames; return decided pitches."""
        frames, self._waiting = self._waiting[:count], self._waiting[count:]
        if not count:
            return np.empty(0, dtype=np.float32)
        power = np.einsum("ij,ij,j->i", frames, frames, _POWER_WINDOW)
        heard = np.flatnonzero(power > _QUIET_RMS**2)
        candidates = SubharmonicCandidates.none(count)
        if len(heard):
            spectra = _magnitudes(frames[heard] * _WINDOW)
            found = subharmonic_candidates(spectra)
            candidates.hz[heard], candidates.voicing[heard] = found
            self._spectra = np.concatenate((self._spectra, spectra))
        self._power = np.concatenate((self._power, power))
        start = frames[0, -VOICED_HOP_SAMPLES:] if self._started else frames[0]
        self._started = True
        self._signal += start, frames[1:, -VOICED_HOP_SAMPLES:].ravel()
        return self._path.push(candidates)

    def _describe(self, pitch_hz: _Floats) -> None:
        """Describe the oldest frames, whose pitch is now decided, except for jitter and shimmer."""
        count = len(pitch_hz)
        if not count:
            return
        rows = np.tile(_UNVOICED, (count, 1))
        power = self._power[:count]
        pitch_hz = np.where(power > _LOWEST_RMS**2, pitch_hz, np.float32(0))
        places = np.cumsum(power > _QUIET_RMS**2)  # number of each frame's spectrum, from 1
        voiced = np.flatnonzero(pitch_hz)
        if len(voiced):
            hz, spectra = pitch_hz[voiced], self._spectra[places[voiced] - 1]
            rows[voiced, 0] = np.maximum(12 * np.log2(hz / _LOWEST_HZ), 1)
            rows[voiced, 3:] = harmonics.describe_harmonics(spectra, hz, self._formants[voiced])
        self._rows.append(rows)
        self._pitch.append(pitch_hz)
        self._spectra = self._spectra[places[-1] :]
        self._formants = self._formants[count:]
        self._power = self._power[count:]

    def _follow(self, least: int) -> _Floats:
        """Add jitter and shimmer to the rows and return them, if there are ``least`` or more."""
        if sum(map(len, self._rows)) < least:
            return self._rows[0][:0]
        rows, signal = np.concatenate(self._rows), np.concatenate(self._signal)
        rows[:, 1:3] = self._periods.measure(signal, np.concatenate(self._pitch))
        self._rows, self._pitch = [rows[:0]], [rows[:0, 0]]
        self._signal = [signal[len(rows) * VOICED_HOP_SAMPLES :]]
        return rows


def _magnitudes(windowed: _Floats) -> _Floats:
    spectra = np.fft.rfft(windowed, PITCH_FFT_SAMPLES, axis=1)
    power = np.square(spectra.real)
    power += np.square(spectra.imag)
    return np.sqrt(power, out=power).astype(np.float32, copy=False)
