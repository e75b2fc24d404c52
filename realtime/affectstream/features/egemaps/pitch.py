"""Pitch by sub-harmonic summation and a Viterbi search over its candidates.

Knows: how likely each fundamental frequency is in a frame, and which path through the candidates is
the cheapest. Refuses to know: samples, hops, and what the pitch is used for.

The method is Hermes' (1988, *Measurement of pitch by subharmonic summation*): a magnitude spectrum
is thinned to its peaks, smoothed, resampled to an octave scale by a natural cubic spline, weighted
as the ear does, and added to itself shifted down by each harmonic's distance. The parameters are
those that eGeMAPS v01b states (25 Hz to 8 kHz, 15 harmonics, compression 0.85, six candidates
between 55 and 1000 Hz, voicing threshold 0.7, transition weights).

The costs of the search were measured on the reference with made-up candidates, one weight at a
time. Two differ from what their names say, and are kept for agreement: staying unvoiced costs 1 a
frame, and a step from a candidate that is not the best of its frame costs, besides the step, its
distance from the candidate before it in the order of scores.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float32]

PITCH_FFT_SAMPLES = 1024
BINS = PITCH_FFT_SAMPLES // 2 + 1
PITCH_BIN_HZ = 16_000 / PITCH_FFT_SAMPLES
SUBHARMONIC_CANDIDATES = 6
LAG_FRAMES = 20
"""Frames that are heard after a frame before its pitch is decided. (The reference waits for 40; on
209 s of acted speech 10 already gave every frame the same pitch.)"""

DECIDE_FRAMES = 20
"""Decisions are taken whenever the count of frames is a multiple of this."""

_POINTS = BINS
_LOWEST_HZ, _HIGHEST_HZ = 25.0, 8000.0
_OCTAVES = float(np.log2(_HIGHEST_HZ / _LOWEST_HZ))
_HARMONICS = 15
_COMPRESSION = 0.85
_SHIFTS = tuple(int(np.log2(n) * _POINTS / _OCTAVES) for n in range(1, _HARMONICS + 1))
_PITCH_FLOOR_HZ, _PITCH_CEILING_HZ = 55.0, 1000.0
_VOICED_FROM = 0.7  # of a candidate's voicing
_LOCAL, _THRESHOLD = 2.0, 4.0  # weights of a candidate's own likeness
_STEP, _CHANGE, _SWITCH, _UNVOICED = 10.0, 10.0, 10.0, 1.0  # and of going from state to state
_NEVER = 1e9
_SILENT = [0]  # where a frame without candidates comes from after one without
_REACH = 12  # knots after which the spline's response has fallen to 1e-7
_EDGES = (0, 128, 266, 366, 440, 480, _POINTS)  # octave points that are resampled together
_ROWS = 20  # frames that are: products so small that a BLAS does not wake other threads


class SubharmonicCandidates(NamedTuple):
    """Possible pitches of n frames, best first; a place that holds none has ``hz`` 0."""

    hz: _Floats
    """(n, 6)"""
    voicing: _Floats
    """(n, 6): how far the sub-harmonic sum's peak stands out from its mean, below 1."""

    @classmethod
    def none(cls, count: int) -> SubharmonicCandidates:
        """Return what ``count`` frames without a candidate have."""
        shape = (count, SUBHARMONIC_CANDIDATES)
        return cls(np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32))


def _spline_matrix() -> NDArray[np.float64]:
    """Natural cubic spline from bins to octave points, smoothing first: (bins, points)."""
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
    """Split the spline's matrix, all but zero far from its diagonal: (bins, points, block)."""
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
# The ear's weight: an arctangent of 3 per octave, one half at 31.8 Hz.
_EAR = (0.5 + np.arctan(3 * _OCTAVES / _POINTS * (np.arange(_POINTS) - 64 / 3)) / np.pi).astype(
    np.float32
)
_PLACES = np.arange(BINS, dtype=np.int16)


def peaks_only(spectra: _Floats) -> _Floats:
    """Set bins more than two away from every local maximum to 0, (n, 513) -> (n, 513).

    What lies before the first maximum or after the last is kept.
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
    """Return how much of each frame lies at multiples of each octave point, (n, 513).

    ``spectra``: (n, 513), magnitudes of a 1024-point FFT at 16 kHz.
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
    """Return the six highest peaks of the sub-harmonic sums that lie in the range of pitches."""
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
    # the valid ones first, in order of score
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
    """Return slope and bend of the parabolas through three points each; a bend that is none is -1.

    Their tops are higher than ``flat[at]`` by ``-slope**2 / (8 * bend)``.
    """
    left, right = flat[at - 1], flat[at + 1]
    bend = left + right - 2 * flat[at]
    return left - right, np.where(bend < 0, bend, np.float32(-1))


def _highest(score: _Floats) -> tuple[NDArray[np.intp], _Floats]:
    """Return where in the flattened rows their highest scores are, best first, and the scores."""
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


def _out_of_range(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cost of a pitch that is rare in speech: above 0 below 100 Hz and above 350 Hz."""
    high = np.where(hz > 600, 1.2, (hz - 350) / 250)
    return np.asarray(np.maximum(0, np.maximum((100 - hz) / 100, high)))


class SubharmonicPitchPath:
    """Chooses one candidate or none for each frame of a stream, with a bounded delay.

    A frame is decided at the first multiple of ``DECIDE_FRAMES`` that has heard ``LAG_FRAMES``
    after it: by the best path that ends there. State: as many frames as are undecided.
    """

    def __init__(self) -> None:
        self._count = 0
        self._cost = np.zeros(SUBHARMONIC_CANDIDATES + 1)
        self._last = np.zeros(SUBHARMONIC_CANDIDATES)  # the last frame's pitches, logarithms
        self._silent = False  # had the last frame no candidate?
        self._back: list[list[int]] = []
        self._hz: list[list[float]] = []

    def push(self, candidates: SubharmonicCandidates) -> _Floats:
        """Return the pitches in Hz, 0 where unvoiced, of the frames that are decided now."""
        decided: list[float] = []
        costs = iter(self._costs(candidates))
        total = np.empty((SUBHARMONIC_CANDIDATES + 1, SUBHARMONIC_CANDIDATES + 1))
        for voice in (candidates.hz[:, 0] > 0).tolist():
            if voice:
                self._silent = False
                np.add(next(costs), self._cost, out=total)
                self._back.append(total.argmin(axis=1).tolist())
                self._cost = np.minimum.reduce(total, 1)
            else:
                self._stay_unvoiced()
            self._count += 1
            if self._count % DECIDE_FRAMES == 0:
                self._cost -= self._cost.min()
                decided += self._decide(len(self._back) - LAG_FRAMES)
        return np.array(decided, dtype=np.float32)

    def finish(self) -> _Floats:
        """Return the pitches of the frames that were not decided yet."""
        return np.array(self._decide(len(self._back)), dtype=np.float32)

    def _costs(self, candidates: SubharmonicCandidates) -> NDArray[np.float64]:
        """Cost of each state (rows; 0 is unvoiced) from each (columns): (m, 7, 7).

        For those frames, m of n, that have a candidate.
        """
        self._hz += [[0.0, *row] for row in candidates.hz.tolist()]
        some: NDArray[np.bool_] = candidates.hz[:, 0] > 0
        hz = candidates.hz[some].astype(np.float64)
        voicing = np.maximum(candidates.voicing[some], 1e-10).astype(np.float64)
        weak = voicing < _VOICED_FROM
        local = _LOCAL * (_THRESHOLD * weak - np.log(voicing)) + _out_of_range(hz)
        pitch = np.zeros((len(some) + 1, SUBHARMONIC_CANDIDATES))
        pitch[0] = self._last
        pitch[1:][some] = np.log(np.where(hz > 0, hz, 1.0))
        self._last = pitch[-1]
        cost = np.empty((len(hz), SUBHARMONIC_CANDIDATES + 1, SUBHARMONIC_CANDIDATES + 1))
        step = pitch[1:][some][:, :, None] - pitch[:-1][some][:, None, :]
        change = step.copy()
        change[:, :, 1:] -= step[:, :, :-1]
        cost[:, 1:, 1:] = _STEP * np.abs(step) + _CHANGE * np.abs(change)
        cost[:, 0, 1:] = cost[:, 1:, 0] = _SWITCH
        cost[:, 0, 0] = _UNVOICED
        cost[:, 1:] += np.where(hz > 0, local, _NEVER)[:, :, None]
        cost[:, 0] += np.where(np.all(weak, axis=1), 0.0, _LOCAL * _THRESHOLD)[:, None]
        if not self._count and len(some) and some[0]:
            cost[0, 0] -= _UNVOICED
            cost[0, 1:] -= _SWITCH
            cost[0] = cost[0, :, :1]  # wherever from
        return cost

    def _stay_unvoiced(self) -> None:
        """Go on by a frame that has no candidate."""
        if self._silent:
            self._back.append(_SILENT)
            self._cost[0] += _UNVOICED
            return
        self._silent = True
        stay, *others = self._cost.tolist()
        if self._count:
            stay += _UNVOICED
        leave = min(others)
        self._back.append([0 if stay <= leave + _SWITCH else 1 + others.index(leave)])
        self._cost[1:] = _NEVER
        self._cost[0] = min(stay, leave + _SWITCH)

    def _decide(self, count: int) -> list[float]:
        """Return and forget the oldest ``count`` frames on the best path that ends now."""
        if count <= 0:
            return []
        state = int(self._cost.argmin())
        path = []
        for back in reversed(self._back):
            path.append(state)
            state = back[state]
        path.reverse()
        decided = [hz[s] for hz, s in zip(self._hz[:count], path[:count], strict=True)]
        del self._back[:count], self._hz[:count]
        return decided
