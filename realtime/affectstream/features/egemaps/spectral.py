"""Loudness, spectral shape, spectral flux and MFCC 1-4 of eGeMAPS, from 20 ms frames.

Knows: the definitions of the ten spectral descriptors (Eyben et al. 2016, *The Geneva minimalistic
acoustic parameter set*), and what openSMILE does where the paper leaves something open.
Refuses to know: pitch, formants, and the smoothing of rows over time.

What openSMILE does, as measured:

- *Loudness*: 26 mel bands of the power spectrum, weighted by Hermansky's equal-loudness curve with
  its high-frequency roll-off, to the power 0.33, averaged over the bands (not summed).
- *Alpha ratio*: energy in 1000-5000 Hz over energy in 0-1000 Hz, in dB (the paper: from 50 Hz).
- *Slopes*: least squares over the dB spectrum, but where the formula has the number of bins, the
  number of intervals between them is used, which is one less.
- *Flux*: root mean square of the difference of two magnitude spectra up to 5 kHz, not normalised.
- *MFCC*: samples scaled as HTK does, logarithms of at least 1, lifter 22.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from affectstream.features.framing import Frames
from affectstream.timebase import SAMPLE_RATE_HZ

SPECTRUM_FRAME_SAMPLES = 320
SPECTRUM_FFT_SAMPLES = 512
SPECTRUM_BIN_HZ = SAMPLE_RATE_HZ / SPECTRUM_FFT_SAMPLES

SPECTRAL_DESCRIPTORS = (
    "Loudness",
    "alphaRatio",
    "hammarbergIndex",
    "slope0-500",
    "slope500-1500",
    "spectralFlux",
    "mfcc1",
    "mfcc2",
    "mfcc3",
    "mfcc4",
)

_BANDS = 26
_LOW_HZ, _HIGH_HZ = 20.0, 8000.0
_MFCCS = 4
_LIFTER = 22
_LOUDNESS_EXPONENT = 0.33
_MEL_FLOOR = 9.3e-10
_HTK_SCALE = 32_767.0
_POWER_FLOOR = 1e-14
_FLUX_BINS = 160  # below 5 kHz
_SLOPE_BINS = 49  # up to 1500 Hz
_ROWS = 36  # of a matrix product: for larger ones, a BLAS would start other threads

_Complex = NDArray[np.complex128]
_Real = NDArray[np.float64]


def spectra(frames: Frames) -> _Complex:
    """Return the complex spectra, (n, 257), of 20 ms frames, (n, 320), under a Hamming window."""
    return np.fft.rfft(frames * _window(), SPECTRUM_FFT_SAMPLES)


class SpectralDescriptors:
    """Turns the spectra of successive frames into rows of the ten ``SPECTRAL_DESCRIPTORS``.

    Its state is the last magnitude spectrum, which the flux needs.
    """

    names = SPECTRAL_DESCRIPTORS

    def __init__(self) -> None:
        self._plan = _plan()
        self._magnitude: _Real | None = None

    def push(self, spectrum: _Complex) -> _Real:
        """Return the descriptors, (n, 10), of n consecutive frames.

        Args:
            spectrum: (n, 257), from ``spectra``.
        """
        plan = self._plan
        power = spectrum.real**2
        power += spectrum.imag**2
        rows = np.empty((len(power), len(SPECTRAL_DESCRIPTORS)))
        if not len(power):
            return rows
        sums = _product(power, plan.sums)  # (n, 26 mel bands, low, high)
        log_mel = np.log(np.maximum(sums[:, :_BANDS], _MEL_FLOOR))
        rows[:, 0] = np.exp(_LOUDNESS_EXPONENT * (log_mel + plan.log_equal_loudness)).mean(axis=1)
        rows[:, 1] = _ratio_db(sums[:, _BANDS + 1], sums[:, _BANDS])
        rows[:, 2] = _ratio_db(power[:, :64].max(axis=1), power[:, 64:161].max(axis=1))
        decibels = np.log10(np.maximum(power[:, :_SLOPE_BINS], _POWER_FLOOR))
        rows[:, 3:5] = decibels @ plan.slopes
        rows[:, 5] = self._flux(np.sqrt(power[:, :_FLUX_BINS]))
        rows[:, 6:] = np.maximum(log_mel + 2 * np.log(_HTK_SCALE), 0.0) @ plan.cosines
        return rows

    def _flux(self, magnitude: _Real) -> _Real:
        before = magnitude[:1] if self._magnitude is None else self._magnitude
        self._magnitude = magnitude[-1:].copy()
        change = np.diff(magnitude, axis=0, prepend=before)
        flux: _Real = np.sqrt(np.einsum("ij,ij->i", change, change) / _FLUX_BINS)
        return flux


def _product(power: _Real, sums: _Real) -> _Real:
    """Return ``power @ sums``, computed in parts of ``_ROWS`` rows."""
    parts = [power[first : first + _ROWS] @ sums for first in range(0, len(power), _ROWS)]
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _ratio_db(numerator: _Real, denominator: _Real) -> _Real:
    """Return the ratio of two powers in dB; 0 where both are 0."""
    ratio = np.maximum(numerator, _POWER_FLOOR) / np.maximum(denominator, _POWER_FLOOR)
    decibels: _Real = 10.0 * np.log10(ratio)
    return decibels


class _Plan(NamedTuple):
    sums: _Real  # (257, 28): the mel bands, then the energies below and above 1 kHz
    log_equal_loudness: _Real  # (26,)
    slopes: _Real  # (49, 2), of log10 of the power spectrum
    cosines: _Real  # (26, 4)


@cache
def _plan() -> _Plan:
    bank, centres_hz = _mel_bank()
    energies = np.zeros((SPECTRUM_FFT_SAMPLES // 2 + 1, 2))
    energies[:32, 0] = 1  # below 1000 Hz
    energies[32:161, 1] = 1  # 1000..5000 Hz
    slopes = np.zeros((_SLOPE_BINS, 2))
    slopes[:17, 0] = _slope_weights(0, 16)
    slopes[16:49, 1] = _slope_weights(16, 48)
    order = np.arange(1, _MFCCS + 1)
    lifter = 1 + _LIFTER / 2 * np.sin(np.pi * order / _LIFTER)
    angles = np.pi / _BANDS * np.outer(np.arange(_BANDS) + 0.5, order)
    return _Plan(
        sums=np.hstack((bank, energies)),
        log_equal_loudness=np.log(_equal_loudness(centres_hz)),
        slopes=slopes,
        cosines=np.cos(angles) * np.sqrt(2 / _BANDS) * lifter,
    )


@cache
def _window() -> NDArray[np.float64]:
    return np.hamming(SPECTRUM_FRAME_SAMPLES)


def _mel(hz: NDArray[Any]) -> _Real:
    mel: _Real = 1127.0 * np.log1p(hz / 700.0)
    return mel


def _mel_bank() -> tuple[_Real, _Real]:
    """Return triangles on the mel scale, (257, 26), and the frequencies of their peaks."""
    edges = np.linspace(_mel(np.array(_LOW_HZ)), _mel(np.array(_HIGH_HZ)), _BANDS + 2)
    bins = _mel(np.arange(SPECTRUM_FFT_SAMPLES // 2 + 1) * SPECTRUM_BIN_HZ)[:, np.newaxis]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bank = np.maximum(0.0, np.minimum(rising, falling))
    bank[1] = 0  # the reference leaves out the bin nearest to the lowest edge
    return bank, 700.0 * np.expm1(edges[1:-1] / 1127.0)


def _equal_loudness(hz: _Real) -> _Real:
    """Return Hermansky's weighting of power (1990, *Perceptual linear predictive analysis*)."""
    square = (2 * np.pi * hz) ** 2
    curve: _Real = (square + 56.8e6) * square**2 / ((square + 6.3e6) ** 2 * (square + 0.38e9))
    weights: _Real = curve / (0.17 * (1 + square**3.5 / 1.7e31))
    return weights


def _slope_weights(first_bin: int, last_bin: int) -> _Real:
    """Return weights that turn log10 of the power in these bins into a slope in dB per Hz."""
    bins = np.arange(first_bin, last_bin + 1) * SPECTRUM_BIN_HZ
    count = last_bin - first_bin  # intervals, not bins
    spread = count * (bins**2).sum() - bins.sum() ** 2
    weights: _Real = 10.0 * (count * bins - bins.sum()) / spread
    return weights
