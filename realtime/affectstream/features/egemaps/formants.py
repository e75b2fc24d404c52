"""Frequencies and bandwidths of formants, from the spectra of 20 ms frames.

Knows: linear prediction of order 11 at 11 kHz and the roots of its polynomial.
Refuses to know: whether a frame is voiced, and how the values move over time.

Measurements of the reference (openSMILE) showed three things that differ from a textbook. The
models' training data were made that way, so they are kept:

- The frame is resampled to 11 kHz through its spectrum, of which only the lowest 110 bins (up to
  3.4 kHz) are used and the constant part counts twice. The frame lies in the middle of the 352
  samples that result, of which only the first 220 are used, so its last 30 % are ignored.
- The polynomial has the predictor's coefficients with the opposite sign: a formant is a root of
  ``1 + sum(a_k z^-k)`` where the predictor is ``sum(a_k x[t-k])``.
- A root counts as a formant if its frequency lies in 50..5450 Hz, however large its bandwidth.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from affectstream.features.egemaps.roots import roots

_Complex = NDArray[np.complex128]
_Real = NDArray[np.float64]

FORMANTS = 3
PREDICTOR_ORDER = 11
FORMANT_RATE_HZ = 11_000
_FRAME_SAMPLES = 220
_CENTRED_SAMPLES = 352  # as long as 512 samples at 16 kHz
_LEAD_SAMPLES = 96  # zeros before the frame, at 16 kHz
_BINS = 110
_CORRELATION_SAMPLES = 240  # at least 220 samples and 11 lags, so that nothing wraps around
_LOW_HZ, _HIGH_HZ = 50.0, 5450.0
_APART = np.abs(np.subtract.outer(np.arange(PREDICTOR_ORDER), np.arange(PREDICTOR_ORDER)))
_ROWS = 150  # of a matrix product: for larger ones, a BLAS would start other threads
_FEW = 64
"""Up to so many frames, LAPACK is faster than Levinson's recursion in numpy."""

_NOISE = 1e-9
"""White noise that is added, as a share of the power: a pure tone makes the equations singular."""


def formants(spectrum: _Complex) -> _Real:
    """Return the frequencies and bandwidths of F1 to F3 in Hz, (n, 6): frequencies first.

    Both are 0 where a frame lacks the formant. Digital silence lacks all three.

    Args:
        spectrum: (n, 257), of frames at 16 kHz, from ``spectral.spectra``.
    """
    predictor = linear_prediction(autocorrelation(spectrum))
    sounding = predictor.any(axis=1)
    rows = np.zeros((len(predictor), 2 * FORMANTS))
    if sounding.any():
        heard = predictor[sounding]
        polynomials = np.concatenate((np.ones((len(heard), 1)), heard), axis=1)
        rows[sounding] = _lowest(roots(polynomials))
    return rows


def autocorrelation(spectrum: _Complex) -> _Real:
    """Return the autocorrelation of frames at 11 kHz, lags 0..11, (n, 12).

    Args:
        spectrum: (n, 257), of the frames at 16 kHz.
    """
    signal = np.fft.irfft(spectrum[:, :_BINS] * _centring(), _CENTRED_SAMPLES)
    halved = np.fft.rfft(signal[:, :_FRAME_SAMPLES], _CORRELATION_SAMPLES)
    power = halved.real**2
    power += halved.imag**2
    correlation = np.empty((len(power), PREDICTOR_ORDER + 1))
    for first in range(0, len(power), _ROWS):
        rows = slice(first, first + _ROWS)
        np.matmul(power[rows], _lag_cosines(), out=correlation[rows])
    return correlation


def linear_prediction(correlation: _Real) -> _Real:
    """Return the predictors' coefficients, (n, 11), from lags 0..11, (n, 12); 0 for silence."""
    return _solution(correlation) if len(correlation) <= _FEW else _recursion(correlation)


def _solution(correlation: _Real) -> _Real:
    """Return the coefficients by solving the normal equations."""
    silent = correlation[:, 0] <= 0
    share = correlation / np.where(silent, 1.0, correlation[:, 0])[:, np.newaxis]
    share[silent, 1:] = 0
    share[:, 0] = 1 + _NOISE
    solution = np.linalg.solve(share[:, _APART], share[:, 1:, np.newaxis])[:, :, 0]
    return np.asarray(solution, dtype=np.float64)


def _recursion(correlation: _Real) -> _Real:
    """Return the coefficients by Levinson's recursion."""
    rows = np.ascontiguousarray(correlation.T)  # (12, n)
    silent = rows[0] <= 0
    error = np.where(silent, 1.0, rows[0]) * (1 + _NOISE)
    predictor = np.zeros((PREDICTOR_ORDER, rows.shape[1]))
    for step in range(PREDICTOR_ORDER):
        known = predictor[:step]
        gap = rows[step + 1] - np.einsum("ij,ij->j", known, rows[step:0:-1])
        reflection = gap / error
        known -= reflection * known[::-1]
        predictor[step] = reflection
        error *= 1 - reflection * reflection
    predictor[:, silent] = 0
    return predictor.T


def _lowest(found: _Complex) -> _Real:
    """Return frequencies and bandwidths, (n, 6), of each row's three lowest roots that count."""
    frequency_hz = np.arctan2(found.imag, found.real) * (FORMANT_RATE_HZ / (2 * np.pi))
    counts = (frequency_hz >= _LOW_HZ) & (frequency_hz <= _HIGH_HZ)
    both = np.empty_like(found)  # complex numbers are sorted by their real parts
    both.real = np.where(counts, frequency_hz, np.inf)
    both.imag = np.abs(found)
    both.sort(axis=1)
    frequency_hz, radius = both.real[:, :FORMANTS], both.imag[:, :FORMANTS]
    known = np.isfinite(frequency_hz)
    bandwidth_hz = np.log(np.where(known, radius, 1.0)) * (-FORMANT_RATE_HZ / np.pi)
    return np.hstack((np.where(known, frequency_hz, 0.0), bandwidth_hz))


@cache
def _centring() -> _Complex:
    """Return factors, (110,), that move the frame to the middle and double the constant part."""
    bins = np.arange(_BINS)
    factors: _Complex = np.exp(-2j * np.pi / 512 * _LEAD_SAMPLES * bins)
    factors[0] = 2
    return factors


@cache
def _lag_cosines() -> _Real:
    """Return the matrix that turns power spectra, (n, 121), into lags 0..11, up to a constant."""
    bins = np.arange(_CORRELATION_SAMPLES // 2 + 1)
    lags = np.arange(PREDICTOR_ORDER + 1)
    weights = np.full(len(bins), 2.0)
    weights[[0, -1]] = 1
    angles = 2 * np.pi / _CORRELATION_SAMPLES * np.outer(bins, lags)
    cosines: _Real = weights[:, np.newaxis] * np.cos(angles)
    return cosines
