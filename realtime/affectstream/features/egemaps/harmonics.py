"""Descriptors of a voiced frame's harmonics: noise, tilt of the spectrum, levels of the formants.

Knows: where the harmonics of a given pitch lie in a magnitude spectrum.
Refuses to know: how the pitch and the formants were found, and what an unvoiced frame is.

After eGeMAPS v01b (Eyben et al. 2016). What it calls the first harmonic, H1, is the first one
*above* the fundamental. Checked against the reference (openSMILE) frame by frame.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream.features.egemaps.subharmonics import BINS, PITCH_BIN_HZ, PITCH_FFT_SAMPLES
from affectstream.timebase import SAMPLE_RATE_HZ

_Floats = NDArray[np.float32]
_Places = NDArray[np.intp]

HARMONIC_DESCRIPTORS = ("HNRdBACF", "H1-H2", "H1-A3", "F1amp", "F2amp", "F3amp")
MOST_HARMONICS = 100
_FORMANT_WIDTH = 0.2  # share of a formant's frequency within which a harmonic belongs to it
_MARGIN_HZ = 2000.0  # harmonics are looked for this far above the highest formant
_TINY = np.float32(1e-10)
_FAR = 4 * BINS


def nearest_peaks(curves: NDArray[Any], places: _Places, *, prefer_left: bool) -> _Places:
    """Return the places (n, k) of the local maxima nearest to ``places``.

    Where a curve has no maximum, its middle is returned.

    Args:
        curves: (n, bins).
        places: (n, k), places in each curve.
        prefer_left: which of two maxima to take that are equally near.
    """
    peak = np.zeros(curves.shape, dtype=bool)
    rising = curves[:, 1:] > curves[:, :-1]
    falling = curves[:, 1:] < curves[:, :-1]
    np.logical_and(rising[:, :-1], falling[:, 1:], out=peak[:, 1:-1])
    peaks = np.flatnonzero(peak)
    peaks = np.concatenate(([-_FAR], peaks, [curves.size + _FAR]))
    starts = _row_starts(curves)
    flat = places + starts
    after = np.searchsorted(peaks, flat, side="right")
    left, right = peaks[after - 1], peaks[after]
    to_left = np.where(left >= starts, flat - left, _FAR)
    to_right = np.where(right < starts + curves.shape[1], right - flat, _FAR)
    nearest = np.where(to_left <= to_right if prefer_left else to_left < to_right, left, right)
    known = np.minimum(to_left, to_right) < _FAR
    return np.asarray(np.where(known, nearest - starts, curves.shape[1] // 2), dtype=np.intp)


def harmonics_to_noise_db(spectra: _Floats, pitch_hz: _Floats) -> _Floats:
    """Return each frame's ratio of periodic to remaining power in dB, (n,).

    It follows from the maximum of the autocorrelation nearest to the period (Boersma 1993, without
    his correction for the window). The autocorrelation is the power spectrum's inverse transform.
    """
    correlation = np.fft.irfft(spectra * spectra, PITCH_FFT_SAMPLES, axis=1)[:, :BINS]
    period = (SAMPLE_RATE_HZ / pitch_hz.astype(np.float64)).astype(np.intp)[:, None]
    place = nearest_peaks(correlation, period, prefer_left=True)
    power = np.maximum(correlation[:, 0], _TINY)
    share = correlation[np.arange(len(place)), place[:, 0]] / power
    share = np.clip(share, _TINY, 1 - 1e-7)
    return np.asarray(10 * np.log10(share / (1 - share)), dtype=np.float32)


def describe_harmonics(spectra: _Floats, pitch_hz: _Floats, formants_hz: _Floats) -> _Floats:
    """Return the ``HARMONIC_DESCRIPTORS`` of voiced frames, (n, 6), all in dB.

    Args:
        spectra: (n, 513), magnitudes of a 1024-point FFT at 16 kHz.
        pitch_hz: (n,), above 0.
        formants_hz: (n, 3), 0 where a formant is missing.
    """
    result = np.empty((len(spectra), len(HARMONIC_DESCRIPTORS)), dtype=np.float32)
    if not len(spectra):
        return result
    result[:, 0] = harmonics_to_noise_db(spectra, pitch_hz)
    highest_hz = min(BINS * PITCH_BIN_HZ, formants_hz.max() * (1 + _FORMANT_WIDTH) + _MARGIN_HZ)
    most = max(3, min(MOST_HARMONICS, int(highest_hz / pitch_hz.min())))
    nominal = pitch_hz.astype(np.float64)[:, None] * (np.arange(1, most + 1) / PITCH_BIN_HZ)
    exists = nominal < BINS - 1
    places = np.rint(np.minimum(nominal, BINS - 2)).astype(np.intp)
    places = nearest_peaks(spectra, places, prefer_left=False)
    flat = places + _row_starts(spectra)
    every = spectra.reshape(-1)
    left, peak, right = every[flat - 1], every[flat], every[flat + 1]
    bend = left + right - 2 * peak
    slope = left - right
    bend = np.where(bend < 0, bend, np.float32(-1))
    level = np.maximum(peak - slope * slope / (8 * bend), _TINY)  # of the parabola's top
    hz = (places + slope / (2 * bend)) * PITCH_BIN_HZ
    fundamental = np.maximum(peak[:, 0], _TINY)
    level[:, 0] = fundamental
    result[:, 1] = _db(level[:, 1] / level[:, 2])
    rows = np.arange(len(spectra))
    for k in range(3):
        formant = formants_hz[:, k : k + 1]
        near = exists & (np.abs(hz - formant) <= _FORMANT_WIDTH * formant)
        strongest = np.where(near, peak, np.float32(-1)).argmax(axis=1)  # 0 (F0) if none
        result[:, 3 + k] = _db(level[rows, strongest] / fundamental)
    result[:, 2] = _db(level[:, 1] / fundamental) - result[:, 5]
    return result


def _row_starts(rows: NDArray[Any]) -> _Places:
    """Return where each row begins in the flattened array, (n, 1)."""
    return np.arange(0, rows.size, rows.shape[1], dtype=np.intp)[:, None]


def _db(ratio: _Floats) -> _Floats:
    return np.asarray(20 * np.log10(ratio), dtype=np.float32)
