"""Praat's pitch, by autocorrelation: the candidates of a frame, and the best path through them.

Knows: how candidates are found in a frame's autocorrelation, how strong each is, and which path
through them has the highest score.
Refuses to know: samples, and other descriptors.

After P. Boersma (1993), *Accurate short-term analysis of the fundamental frequency and the
harmonics-to-noise ratio of a sampled sound*, IFA Proceedings 17, 97-110. Costs and thresholds are
the standard ones of Praat's manual. Two things were measured on Praat itself: its costs are per
10 ms, and octaves count from the ceiling.
"""

from __future__ import annotations

from collections import deque
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from affectstream.timebase import SAMPLE_RATE_HZ

FLOOR_HZ = 60.0
"""The lowest pitch: three of its periods fill a frame of 50 ms."""

CEILING_HZ = 600.0

PATH_DELAY_FRAMES = 20
"""A frame's pitch is decided when this many frames have followed."""

AUTOCORRELATION_CANDIDATES = 10
"""The most candidates of a frame. The first is always "unvoiced"."""

LAGS = int(SAMPLE_RATE_HZ / FLOOR_HZ) + 10
"""Lags of an autocorrelation that are used: the longest period, and some for interpolation."""

_VOICING_THRESHOLD = 0.45
_SILENCE_THRESHOLD = 0.03
_OCTAVE_COST = 0.01
_OCTAVE_JUMP_COST = 0.35
_VOICED_UNVOICED_COST = 0.14
_STANDARD_STEP_S = 0.01
_NEVER = -1e9
_TAPS = 8  # on each side, of the filter that interpolates between lags

_Floats = NDArray[np.float64]
_Candidates = tuple[_Floats, _Floats]
"""Pitches in Hz, (n, k), 0 for unvoiced, and their strengths, (n, k)."""


def unvoiced_strength(local_peak: _Floats, reference_peak: _Floats) -> _Floats:
    """Return the strengths, (n,), of the candidate "unvoiced". The quieter a frame, the stronger.

    Args:
        local_peak: (n,), the greatest absolute sample of each frame.
        reference_peak: (n,), the greatest absolute sample of the recording, or the one so far.
    """
    loud = local_peak / np.maximum(reference_peak, 1e-12)
    quiet = 2.0 - loud * ((1.0 + _VOICING_THRESHOLD) / _SILENCE_THRESHOLD)
    strength: _Floats = _VOICING_THRESHOLD + np.maximum(0.0, quiet)
    return strength


def may_be_voiced(unvoiced: _Floats, step_s: float) -> NDArray[np.bool_]:
    """Return, (n,), whether a voiced candidate could win in a frame; if not, none need be sought.

    A candidate's strength is at most 1, and choosing it avoids two changes at most between voiced
    and unvoiced.

    Args:
        unvoiced: (n,), from ``unvoiced_strength``.
        step_s: time from frame to frame.
    """
    spared = 2 * _VOICED_UNVOICED_COST * _STANDARD_STEP_S / step_s
    possible: NDArray[np.bool_] = unvoiced < 1.0 + spared
    return possible


def autocorrelation_candidates(
    correlation: _Floats, rows: NDArray[np.intp], unvoiced: _Floats
) -> _Candidates:
    """Return the candidates of n frames: "unvoiced" first, then the strongest.

    Args:
        correlation: (m, LAGS), autocorrelations, 1 at lag 0, of the frames that may be voiced.
        rows: (m,), which of the n frames these are.
        unvoiced: (n,), strength of the unvoiced candidate of each frame.
    """
    found, found_hz, height = _peaks(correlation)
    score = height - _OCTAVE_COST * np.log2(CEILING_HZ / found_hz)
    order = np.lexsort((-score, found))
    found, found_hz, score = found[order], found_hz[order], score[order]
    column = np.arange(1, len(found) + 1) - np.searchsorted(found, found)  # rank in its frame
    kept = column < AUTOCORRELATION_CANDIDATES
    found, column = rows[found[kept]], column[kept]
    width = 1 + int(column.max(initial=0))
    pitch_hz = np.zeros((len(unvoiced), width))
    strength = np.full((len(unvoiced), width), _NEVER)
    strength[:, 0] = unvoiced
    pitch_hz[found, column] = found_hz[kept]
    strength[found, column] = score[kept]
    return pitch_hz, strength


def _peaks(correlation: _Floats) -> tuple[NDArray[np.intp], _Floats, _Floats]:
    """Return row, pitch in Hz and height, each (k,), of the maxima from floor to ceiling."""
    first, end = int(SAMPLE_RATE_HZ / CEILING_HZ), int(SAMPLE_RATE_HZ / FLOOR_HZ) + 2
    rises = correlation[:, first:end] > correlation[:, first - 1 : end - 1]
    is_peak = rises[:, :-1] & ~rises[:, 1:]
    is_peak &= correlation[:, first : end - 1] > 0.5 * _VOICING_THRESHOLD
    row, column = np.nonzero(is_peak)
    column += first
    # Values half a lag apart around each maximum, (k, 5); a parabola through the greatest three.
    near = correlation[row[:, None], column[:, None] + _NEAR] @ _BETWEEN
    middle = 1 + near[:, 1:4].argmax(axis=1)
    numbers = np.arange(len(row))
    before, top, after = (near[numbers, middle + shift] for shift in (-1, 0, 1))
    slope = 0.5 * (after - before)
    bend = np.maximum(2.0 * top - before - after, 1e-12)
    lag = column + 0.5 * (middle - 2 + np.clip(slope / bend, -1, 1))
    height = top + 0.5 * slope**2 / bend
    height = np.where(height > 1.0, 1.0 / height, height)
    pitch_hz = SAMPLE_RATE_HZ / lag
    inside = (pitch_hz >= FLOOR_HZ) & (pitch_hz <= CEILING_HZ)
    return row[inside], pitch_hz[inside], height[inside]


def _interpolation() -> _Floats:
    """Return the filters, (2 taps + 1, 5), for values at -1, -1/2, 0, 1/2 and 1 lag from a lag."""
    places = np.arange(-_TAPS, _TAPS + 1)
    distance = places[:, None] - np.array([-1.0, -0.5, 0.0, 0.5, 1.0])
    window = 0.5 + 0.5 * np.cos(np.pi * distance / (_TAPS + 1))
    filters: _Floats = np.sinc(distance) * window
    return filters


_NEAR = np.arange(-_TAPS, _TAPS + 1)
_BETWEEN = _interpolation()


class PraatPitchPath:
    """The path through the frames' candidates with the highest score (Viterbi).

    A frame's pitch is taken from the best path that ends ``PATH_DELAY_FRAMES`` later, so it does
    not depend on how many frames come at once.

    Args:
        step_s: time from frame to frame.
    """

    def __init__(self, step_s: float) -> None:
        correction = _STANDARD_STEP_S / step_s
        self._jump_cost = _OCTAVE_JUMP_COST * correction
        self._voicing_cost = _VOICED_UNVOICED_COST * correction
        self._score = np.zeros(1)  # before the first frame, all is equally good
        self._last_hz: _Floats | None = None
        self._history: deque[tuple[list[int], list[float]]] = deque()

    def push(self, candidates: _Candidates) -> list[float]:
        """Take frames; return the pitches in Hz (0: unvoiced) of those that are decided now."""
        pitch_hz, strength = candidates
        settled = []
        for cost, local, frame_hz in zip(
            self._costs(pitch_hz), strength, pitch_hz.tolist(), strict=True
        ):
            total = self._score - cost[:, : len(self._score)]  # (to, from)
            score = total.max(axis=1)
            self._history.append((total.argmax(axis=1).tolist(), frame_hz))
            self._score = score + local
            if len(self._history) > PATH_DELAY_FRAMES:
                settled.append(self._oldest())
                self._history.popleft()
        self._score = self._score - self._score.max()  # or it would grow for ever
        return settled

    def finish(self) -> list[float]:
        """Return the pitches of the frames that were not decided yet."""
        return self._trace() if self._history else []

    def _costs(self, pitch_hz: _Floats) -> _Floats:
        """Return the costs, (n, to, from), of going from one frame's candidate to the next's."""
        count, width = pitch_hz.shape
        last_hz = pitch_hz[:1, :1] if self._last_hz is None else self._last_hz
        wide = np.zeros((count + 1, max(width, last_hz.shape[1])))
        wide[0, : last_hz.shape[1]] = last_hz
        wide[1:, :width] = pitch_hz
        voiced = wide > 0
        octave = np.log2(wide, where=voiced, out=np.zeros_like(wide))
        costs: _Floats = np.abs(octave[1:, :width, None] - octave[:-1, None, :])
        costs *= self._jump_cost
        costs[voiced[1:, :width, None] != voiced[:-1, None, :]] = self._voicing_cost
        if self._last_hz is None:
            costs[0] = 0.0
        self._last_hz = pitch_hz[-1:].copy()
        return costs

    def _oldest(self) -> float:
        """Return the pitch of the oldest frame on the best path."""
        state = int(self._score.argmax())
        for came_from, _ in islice(reversed(self._history), len(self._history) - 1):
            state = came_from[state]
        return self._history[0][1][state]

    def _trace(self) -> list[float]:
        """Return the pitches along the best path, oldest first."""
        state = int(self._score.argmax())
        path = []
        for came_from, frame_hz in reversed(self._history):
            path.append(frame_hz[state])
            state = came_from[state]
        return path[::-1]
