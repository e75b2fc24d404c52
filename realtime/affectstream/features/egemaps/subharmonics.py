"""Possible pitches of a frame, by sub-harmonic summation.

Knows: Hermes (1988), *Measurement of pitch by subharmonic summation*: a magnitude spectrum is
reduced to its peaks, smoothed, resampled to an octave scale by a natural cubic spline, and weighted
as the ear does; then copies of it, shifted down by the distance of each harmonic, are added up. Its
parameters are those of eGeMAPS v01b: 25 Hz to 8 kHz, 15 harmonics, compression 0.85, six candidates
between 55 and 1000 Hz.
Refuses to know: which candidate is the pitch (``pitch_path``).
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from affectstream.timebase import SAMPLE_RATE_HZ

_Floats = NDArray[np.float32]

PITCH_FFT_SAMPLES = 1024
BINS = PITCH_FFT_SAMPLES // 2 + 1
PITCH_BIN_HZ = SAMPLE_RATE_HZ / PITCH_FFT_SAMPLES
SUBHARMONIC_CANDIDATES = 6

_POINTS = BINS  # of the octave scale
_LOWEST_HZ, _HIGHEST_HZ = 25.0, 8000.0
_OCTAVES = float(np.log2(_HIGHEST_HZ / _LOWEST_HZ))
_HARMONICS = 15
_COMPRESSION = 0.85
_SHIFTS = tuple(int(np.log2(n) * _POINTS / _OCTAVES) for n in range(1, _HARMONICS + 1))
_PITCH_FLOOR_HZ, _PITCH_CEILING_HZ = 55.0, 1000.0
_REACH = 12  # bins after which the spline's response to a bin has fallen to 1e-7
_EDGES = (0, 128, 266, 366, 440, 480, _POINTS)  # bounds of the octave points resampled together
_ROWS = 20  # frames resampled together: for larger products, a BLAS would start other threads


class SubharmonicCandidates(NamedTuple):
    """Possible pitches of n frames, best first.

    Attributes:
        hz: (n, 6); 0 where a frame has fewer than six.
        voicing: (n, 6), below 1: how far a candidate's peak stands out from the mean of the
            sub-harmonic sum.
    """

    hz: _Floats
    voicing: _Floats

    @classmethod
    def none(cls, count: int) -> SubharmonicCandidates:
        """Return ``count`` frames without a candidate."""
        shape = (count, SUBHARMONIC_CANDIDATES)
        return cls(np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32))


def _spline_matrix() -> NDArray[np.float64]:
    """Return what smooths bins and resamples them by a natural cubic spline: (bins, points)."""
    knots = np.log2(np.maximum(np.arange(BINS), 0.5) * PITCH_BIN_HZ)  # bin 0: an octave below bin 1
    gap = np.diff(knots)
    system = np.eye(BINS)
    right = np.zeros((BINS, BINS))
    for k in range(1, BINS - 1):
        system[k, k - 1 : k + 2] = gap[k - 1], 2 * (gap[k - 1] + gap[k]), gap[k]
        right[k, k - 1 : k + 2] = 6 / gap[k - 1], -6 / gap[k - 1] - 6 / gap[k], 6 / gap[k]
    bends = np.linalg.solve(system, right)  # second derivatives at the knots
    points = np.linspace(np.log2(_LOWEST_HZ), np.log2(_HIGHEST_HZ), _POINTS)
    low = np.clip(np.searchsorted(knots, points, side="right") - 1, 0, BINS - 2)
    width = gap[low]
    after = ((points - knots[low]) / width)[:, None]
    before = 1 - after
    values = np.eye(BINS)
    spline = before * values[low] + after * values[low + 1]
    spline += ((before**3 - before) * bends[low] + (after**3 - after) * bends[low + 1]) * (
        width[:, None] ** 2 / 6
    )
    smooth = 0.5 * np.eye(BINS) + 0.25 * (np.eye(BINS, k=1) + np.eye(BINS, k=-1))
    smooth[-1] = np.eye(BINS)[-1]
    return np.asarray((spline @ smooth).T)


def _spline_parts() -> list[tuple[slice, slice, _Floats]]:
    """Cut the spline's matrix, which is nearly 0 far from its diagonal, into blocks.

    Each is given with its bins and its points.
    """
    matrix = _spline_matrix()
    knots = np.log2(np.maximum(np.arange(BINS), 0.5) * PITCH_BIN_HZ)
    points = np.linspace(np.log2(_LOWEST_HZ), np.log2(_HIGHEST_HZ), _POINTS)
    parts = []
    for start, stop in pairwise(_EDGES):
        low = max(0, int(np.searchsorted(knots, points[start])) - _REACH)
        high = min(BINS, int(np.searchsorted(knots, points[stop - 1])) + _REACH)
        block = np.ascontiguousarray(matrix[low:high, start:stop], dtype=np.float32)
        parts.append((slice(low, high), slice(start, stop), block))
    return parts


_SPLINE = _spline_parts()
# The ear's weight: an arctangent over octaves, with slope 3, that is 0.5 at 31.8 Hz.
_EAR = (0.5 + np.arctan(3 * _OCTAVES / _POINTS * (np.arange(_POINTS) - 64 / 3)) / np.pi).astype(
    np.float32
)
_PLACES = np.arange(BINS, dtype=np.int16)


def peaks_only(spectra: _Floats) -> _Floats:
    """Set bins more than two away from every local maximum to 0, (n, 513) -> (n, 513).

    Bins before the first maximum or after the last are kept.
    """
    rising = spectra[:, 1:] > spectra[:, :-1]
    falling = spectra[:, 1:] < spectra[:, :-1]
    peak = np.zeros((len(spectra), BINS + 4), dtype=bool)  # two of margin on either side
    peak[:, 3:-3] = rising[:, :-1] & falling[:, 1:]
    peak[:, 2] = falling[:, 0]
    keep = peak[:, 2:-2] | peak[:, 1:-3] | peak[:, 3:-1] | peak[:, :-4] | peak[:, 4:]
    inner = peak[:, 2:-2]
    first, last = inner.argmax(axis=1), BINS - 1 - inner[:, ::-1].argmax(axis=1)
    keep |= first.astype(np.int16)[:, None] > _PLACES
    keep |= last.astype(np.int16)[:, None] <= _PLACES
    return np.where(keep, spectra, np.float32(0))


def subharmonic_sums(spectra: _Floats) -> _Floats:
    """Return the sub-harmonic sums of n frames at the points of the octave scale, (n, 513).

    The sum at a frequency is large where the spectrum is strong at its multiples.

    Args:
        spectra: (n, 513), magnitudes of a 1024-point FFT at 16 kHz.
    """
    thinned = peaks_only(spectra)
    octave = np.empty((len(spectra), _POINTS), dtype=np.float32)
    for first in range(0, len(spectra), _ROWS):
        rows = slice(first, first + _ROWS)
        for bins, points, block in _SPLINE:
            np.matmul(thinned[rows, bins], block, out=octave[rows, points])
    np.maximum(octave, 0, out=octave)
    octave *= _EAR
    sums = octave.copy()
    for n, shift in enumerate(_SHIFTS[1:], start=1):
        sums[:, :-shift] += octave[:, shift:] * np.float32(_COMPRESSION**n)
    return sums


def subharmonic_candidates(spectra: _Floats) -> SubharmonicCandidates:
    """Return the candidates of n frames: their six highest peaks, without those out of range.

    Args:
        spectra: (n, 513), as for ``subharmonic_sums``.
    """
    sums = subharmonic_sums(spectra)
    flat = sums.reshape(-1)
    rising = flat[1:] > flat[:-1]
    falling = flat[1:] < flat[:-1]
    peak = np.zeros(sums.shape, dtype=bool)
    np.logical_and(rising[:-1], falling[1:], out=peak.reshape(-1)[1:-1])
    peak[:, 0] = peak[:, -1] = False
    at = np.flatnonzero(peak)
    slope, bend = _parabola(flat, at)
    score = np.full(sums.shape, np.float32(-1))
    score.reshape(-1)[at] = flat[at] - slope * slope / (8 * bend)
    best, value = _highest(score)
    slope, bend = _parabola(flat, best)
    lean = slope / (2 * bend)
    place = best - np.arange(len(sums))[:, None] * _POINTS
    octaves = (place + lean.astype(np.float64)) * (_OCTAVES / (_POINTS - 1))
    hz = np.asarray(_LOWEST_HZ * np.exp2(octaves))
    valid = (value > 0) & (hz >= _PITCH_FLOOR_HZ) & (hz <= _PITCH_CEILING_HZ)
    # Valid ones come first, each group in order of score.
    order = (
        np.argsort(~valid, axis=1, kind="stable")
        + np.arange(len(hz))[:, None] * SUBHARMONIC_CANDIDATES
    )
    voicing = 1 - sums.sum(axis=1, keepdims=True) / _POINTS / np.where(valid, value, 1)
    hz, voicing = np.where(valid, hz, 0), np.where(valid, voicing, 0)
    return SubharmonicCandidates(
        hz.reshape(-1)[order].astype(np.float32), voicing.reshape(-1)[order]
    )


def _parabola(flat: _Floats, at: NDArray[np.intp]) -> tuple[_Floats, _Floats]:
    """Return slope and bend of the parabolas through the points around each place ``at``.

    A parabola's top is higher than ``flat[at]`` by ``-slope**2 / (8 * bend)``. Where the points do
    not bend downwards, the bend is -1.
    """
    left, right = flat[at - 1], flat[at + 1]
    bend = left + right - 2 * flat[at]
    return left - right, np.where(bend < 0, bend, np.float32(-1))


def _highest(score: _Floats) -> tuple[NDArray[np.intp], _Floats]:
    """Return each row's six highest scores, best first, and their places in the flattened array."""
    best = np.empty((len(score), SUBHARMONIC_CANDIDATES), dtype=np.intp)
    value = np.empty((len(score), SUBHARMONIC_CANDIDATES), dtype=np.float32)
    rows = np.arange(len(score)) * score.shape[1]
    flat = score.reshape(-1)
    for k in range(SUBHARMONIC_CANDIDATES):
        place = rows + score.argmax(axis=1)
        best[:, k] = place
        value[:, k] = flat[place]
        flat[place] = -1
    return best, value
