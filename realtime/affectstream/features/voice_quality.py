"""How much a voice's periods differ from one another: jitter and shimmer.

Knows: how to follow period after period through a waveform whose pitch is given frame by frame.
Refuses to know: how the pitch was found.

A period's length is the lag, within a tenth of the pitch's, at which the stretch of that length
correlates best (Pearson) with the stretch after it; without a maximum of at least 0.5 there is no
period, and what was measured last is held.
Jitter is the mean absolute difference between lengths that follow one another over their mean;
shimmer the mean absolute difference between the peak-to-peak amplitudes of the two stretches over
their mean, s, as 20 log10(1 + s) dB. Both as eGeMAPS v01b has them; where a voice sets in, the
reference follows other periods than these, so that its jitter is not met frame by frame.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

HOP_SAMPLES = 160
PAST_SAMPLES = 960
"""How far before a frame a period may begin that the frame accounts for."""

_SEARCH = 0.1  # of the period, either way
_LEAST_CORRELATION = 0.5
_LONGEST = 384  # samples; a tenth above the period of the lowest pitch, and some
_BELOW = np.tri(96, dtype=np.float32)
_SHARES = 1 / np.maximum(np.arange(_LONGEST, dtype=np.float64), 1)


class _Period(NamedTuple):
    length: float
    amplitudes: tuple[float, float]  # peak to peak, of the two stretches


class PeriodFollower:
    """Measures jitter and shimmer of one stream; its state is one period.

    A frame accounts for the periods whose pair of stretches ends in its first hop, and for one that
    begins at its start or before in any case.
    """

    def __init__(self) -> None:
        self._begin = 0  # of the next period, in samples from the start of the current frame
        self._last = 0.0  # length of the period before; 0: none is known
        self._jitter = self._shimmer_db = 0.0  # the last that were measured
        self._following = False

    def measure(self, signal: Floats, pitch_hz: Floats) -> Floats:
        """Return jitter and shimmer, (n, 2), 0 where they are unknown.

        Args:
            signal: from ``PAST_SAMPLES`` before the first frame to the last frame's end.
            pitch_hz: (n,), 0 where unvoiced.
        """
        result = np.zeros((len(pitch_hz), 2), dtype=np.float32)
        if not pitch_hz.any():
            self._following = self._following and not len(pitch_hz)
            return result
        signal = np.ascontiguousarray(signal, dtype=np.float32)
        sums = _running_sums(signal)
        start = PAST_SAMPLES
        for frame, hz in enumerate(pitch_hz.tolist()):
            if hz > 0:
                result[frame] = self._measure_frame(signal, sums, start, 16_000 / hz)
                self._begin -= HOP_SAMPLES
            else:
                self._following = False
            start += HOP_SAMPLES
        return result

    def _measure_frame(
        self, signal: Floats, sums: NDArray[np.float64], start: int, period: float
    ) -> tuple[float, float]:
        longest = int(np.ceil(period * (1 + _SEARCH)))
        if not self._following:
            self._following, self._begin = True, 0
            self._last = self._jitter = self._shimmer_db = 0.0
        lengths: list[float] = []
        changes: list[float] = []
        amplitudes: list[tuple[float, float]] = []
        first, missed = True, False
        while self._begin + 2 * longest < HOP_SAMPLES or (first and self._begin <= 0):
            first = False
            found = _next_period(signal, sums, start + self._begin, period)
            if found is None:
                missed = True
                self._begin += round(period)
                continue
            self._begin += round(found.length)
            if self._last:
                changes.append(abs(found.length - self._last))
            lengths.append(found.length)
            amplitudes.append(found.amplitudes)
            self._last = found.length
        if amplitudes:
            self._shimmer_db = _shimmer_db(amplitudes)
        if changes:
            self._jitter = sum(changes) / len(changes) * len(lengths) / sum(lengths)
        return self._jitter if changes or missed else 0.0, self._shimmer_db


def _running_sums(signal: Floats) -> NDArray[np.float64]:
    """Return the sums of the samples before each place, and of their squares: (2, n + 1)."""
    sums = np.zeros((2, len(signal) + 1))
    np.cumsum(signal, out=sums[0, 1:])
    np.cumsum(signal * signal, out=sums[1, 1:])
    return sums


def _next_period(
    signal: Floats, sums: NDArray[np.float64], begin: int, period: float
) -> _Period | None:
    """Return the period that begins at ``begin``, about ``period`` long, if there is one."""
    least, most = int(period * (1 - _SEARCH)), int(period * (1 + _SEARCH))
    lags = most + 1 - least
    shortest_end = begin + least
    ends = sums[:, shortest_end : begin + most + 1]
    one = ends - sums[:, begin : begin + 1]
    two = sums[:, begin + 2 * least : begin + 2 * most + 1 : 2] - ends
    head = signal[begin:shortest_end]
    rest = signal[shortest_end : begin + most]
    product = _windows(signal, shortest_end, (lags, least)).dot(head)
    tails = _windows(signal, shortest_end + least, (lags, lags - 1)) * _BELOW[:lags, 1:lags]
    product += tails.dot(rest)
    share = _SHARES[least : most + 1]
    variance = (one[1] - one[0] * one[0] * share) * (two[1] - two[0] * two[0] * share)
    np.maximum(variance, 1e-20, out=variance)
    likeness = (product - one[0] * two[0] * share) / np.sqrt(variance)
    inner = likeness[1:-1]
    peak = (inner > likeness[:-2]) & (inner > likeness[2:])
    best = 1 + int(np.where(peak, inner, -1.0).argmax())
    left, middle, right = likeness[best - 1 : best + 2].tolist()
    if middle < _LEAST_CORRELATION or not peak[best - 1]:
        return None
    length = least + best + 0.5 * (left - right) / (left - 2 * middle + right)
    step = round(length)
    pair = signal[begin : begin + 2 * step].reshape(2, step)
    peaks = (np.maximum.reduce(pair, 1) - np.minimum.reduce(pair, 1)).tolist()
    return _Period(length, (peaks[0], peaks[1]))


def _windows(signal: Floats, begin: int, shape: tuple[int, int]) -> Floats:
    """Return stretches of the signal that begin one sample after another: a view."""
    size = signal.itemsize
    return np.ndarray(shape, signal.dtype, signal.data, begin * size, (size, size))


def _shimmer_db(amplitudes: list[tuple[float, float]]) -> float:
    change = sum(abs(one - other) for one, other in amplitudes)
    total = sum(one + other for one, other in amplitudes)
    return 20 * float(np.log10(1 + 2 * change / total)) if total > 0 else 0.0
