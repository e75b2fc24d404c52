"""How much a voice's periods differ from one another: jitter and shimmer of eGeMAPS v01b.

Knows: how to follow period after period through a waveform whose pitch is given frame by frame.
Refuses to know: how the pitch was found.

The length of a period is looked for within a tenth of the length that the pitch gives: it is the
lag at which the samples of one period correlate best (Pearson) with those of the next. If no
correlation is a maximum of at least 0.5, there is no period, and the last measured values are kept.
Jitter is the mean absolute difference between the lengths of neighbouring periods, over their mean.
Shimmer is the mean absolute difference between the peak-to-peak amplitudes of the two stretches
that are compared, over their mean, as 20 log10(1 + share) dB. At the onset of a voice the reference
(openSMILE) follows other periods, so jitter does not agree with it frame by frame.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from affectstream.timebase import SAMPLE_RATE_HZ

_Floats = NDArray[np.float32]
_Sums = NDArray[np.float64]

VOICED_HOP_SAMPLES = 160
PAST_SAMPLES = 960
"""How far before a frame's start a period may begin that is measured for the frame."""

_SEARCH = 0.1  # of the period's length, either way
_LEAST_CORRELATION = 0.5
_LONGEST = 384  # samples: more than 1.1 periods of the lowest pitch
_BEFORE = np.tri(_LONGEST, k=-1, dtype=np.float32)  # row n is 1 in its first n columns, else 0
_ROOTS = np.sqrt(1 / np.maximum(np.arange(_LONGEST, dtype=np.float64), 1))
_LEAST_POWER = 1e-20
_SIDE_BY_SIDE = 3  # from so many voices on, following them together is faster than one by one


class _Question(NamedTuple):
    """For each length from ``least`` to ``most``: how well do the samples from ``begin`` on
    correlate with the samples after them?"""

    begin: int
    least: int
    most: int


_Walk = Generator[_Question, list[float]]
"""Follows one voice: yields questions, and is sent the correlation for each length."""


class PeriodFollower:
    """Measures jitter and shimmer of one stream. Its state is the last period.

    Each period is measured for one frame: the one in whose first hop the two compared stretches
    end. A frame measures at least one period if one begins at its start or earlier.

    Where a period begins depends on the one before it. But voices with a pause between them do not
    depend on one another, so all the voices in one call are followed at the same time.
    """

    def __init__(self) -> None:
        self._voice = _Voice()  # the last one
        self._following = False  # whether the last frame was voiced

    def measure(self, signal: _Floats, pitch_hz: _Floats) -> _Floats:
        """Return jitter and shimmer, (n, 2), 0 where they are unknown.

        Args:
            signal: samples from ``PAST_SAMPLES`` before the first frame to the last one's end.
            pitch_hz: (n,), 0 where unvoiced.
        """
        result = np.zeros((len(pitch_hz), 2), dtype=np.float32)
        if not len(pitch_hz):
            return result
        signal = np.ascontiguousarray(signal, dtype=np.float32)
        edges = np.flatnonzero(np.diff(pitch_hz > 0, prepend=False, append=False)).tolist()
        periods = (SAMPLE_RATE_HZ / np.maximum(pitch_hz.astype(np.float64), 1)).tolist()
        walks = []
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            if first or not self._following:
                self._voice = _Voice()
            start = PAST_SAMPLES + first * VOICED_HOP_SAMPLES
            walks.append(self._voice.follow(signal, start, periods[first:end], result[first:end]))
        self._following = bool(edges) and edges[-1] == len(pitch_hz)
        if walks:
            _answer(walks, signal)
        return result


class _Voice:
    """One voiced stretch without a pause, as far as it was followed."""

    def __init__(self) -> None:
        self.begin = 0  # where the next period begins, in samples from the current frame's start
        self._last = 0.0  # length of the period before; 0 if there is none
        self._jitter = self._shimmer_db = 0.0  # the last measured values

    def follow(self, signal: _Floats, start: int, periods: list[float], result: _Floats) -> _Walk:
        """Write the jitter and shimmer of consecutive frames into ``result``, (n, 2).

        Args:
            start: where the first frame begins in ``signal``.
            periods: n lengths in samples, as the pitch gives them.
        """
        bounds: list[int] = []
        counts = []
        for frame, period in enumerate(periods):
            before = len(bounds)
            result[frame, 0] = yield from self._follow(start, period, bounds)
            counts.append((len(bounds) - before) // 3)
            start += VOICED_HOP_SAMPLES
            self.begin -= VOICED_HOP_SAMPLES
        result[:, 1] = self._shimmers(signal, bounds, counts)

    def _follow(
        self, start: int, period: float, bounds: list[int]
    ) -> Generator[_Question, list[float], float]:
        """Return a frame's jitter; append three bounds of each pair of stretches to ``bounds``."""
        longest = int(np.ceil(period * (1 + _SEARCH)))
        least, most = int(period * (1 - _SEARCH)), int(period * (1 + _SEARCH))
        lengths: list[float] = []
        changes: list[float] = []
        first, missed = True, False
        while self.begin + 2 * longest < VOICED_HOP_SAMPLES or (first and self.begin <= 0):
            first = False
            begin = start + self.begin
            length = _most_alike((yield _Question(begin, least, most)), least)
            if not length:
                missed = True
                self.begin += round(period)
                continue
            step = round(length)
            self.begin += step
            bounds += begin, begin + step, begin + 2 * step
            if self._last:
                changes.append(abs(length - self._last))
            lengths.append(length)
            self._last = length
        if changes:
            self._jitter = sum(changes) / len(changes) * len(lengths) / sum(lengths)
        return self._jitter if changes or missed else 0.0

    def _shimmers(self, signal: _Floats, bounds: list[int], counts: list[int]) -> list[float]:
        """Return each frame's shimmer; frame ``i`` has ``counts[i]`` pairs of stretches."""
        peaks = iter(_peak_to_peak(signal, bounds))
        shimmers = []
        for count in counts:
            change = total = 0.0
            for one, other in islice(peaks, count):
                change += abs(one - other)
                total += one + other
            if count:
                share = 2 * change / total if total > 0 else 0.0
                self._shimmer_db = 20 * math.log10(1 + share)
            shimmers.append(self._shimmer_db)
        return shimmers


def _most_alike(likeness: list[float], least: int) -> float:
    """Return the length, to a fraction of a sample, at which the correlation peaks; 0 if nowhere.

    Args:
        likeness: the correlations at the lengths ``least``, ``least + 1``, ...
    """
    middle = max(likeness)
    if middle < _LEAST_CORRELATION:
        return 0.0
    best = likeness.index(middle)
    if not (0 < best < len(likeness) - 1 and likeness[best - 1] < middle > likeness[best + 1]):
        near = zip(likeness, likeness[1:], likeness[2:], strict=False)
        peaks = [(here, -k) for k, (one, here, other) in enumerate(near, 1) if one < here > other]
        middle, best = max(peaks, default=(0.0, 0))
        best = -best
        if middle < _LEAST_CORRELATION:
            return 0.0
    left, right = likeness[best - 1], likeness[best + 1]
    return least + best + 0.5 * (left - right) / (left - 2 * middle + right)


def _peak_to_peak(signal: _Floats, bounds: list[int]) -> list[list[float]]:
    """Return the peak-to-peak amplitudes of each pair of stretches, given by three ``bounds``."""
    if not bounds:
        return []
    places = np.array(bounds)
    signal = signal[: places.max() + 1]
    high = np.maximum.reduceat(signal, places)
    high -= np.minimum.reduceat(signal, places)
    pairs: list[list[float]] = high.reshape(-1, 3)[:, :2].tolist()
    return pairs


def _answer(walks: list[_Walk], signal: _Floats) -> None:
    """Answer the questions of all ``walks`` together until all of them have ended."""
    sums = np.zeros((2, len(signal) + 1))
    exact = signal.astype(np.float64)
    exact.cumsum(out=sums[0, 1:])
    np.square(exact, out=exact).cumsum(out=sums[1, 1:])
    going = [(walk, next(walk, None)) for walk in walks]
    while asked := [(walk, question) for walk, question in going if question]:
        questions = [question for _, question in asked]
        if len(asked) < _SIDE_BY_SIDE:
            answers = [_likeness(signal, sums, question) for question in questions]
        else:
            answers = _likenesses(signal, sums, questions)
        going = [
            (walk, _next_question(walk, answer))
            for (walk, _), answer in zip(asked, answers, strict=True)
        ]


def _next_question(walk: _Walk, answer: list[float]) -> _Question | None:
    try:
        return walk.send(answer)
    except StopIteration:
        return None


def _likeness(signal: _Floats, sums: _Sums, question: _Question) -> list[float]:
    """Return the correlation for each length.

    Args:
        sums: (2, samples + 1), running sums of the samples and of their squares.
    """
    begin, least, most = question
    ends = sums[:, begin + least : begin + most + 1]
    moments = np.empty((2, 2, most + 1 - least))  # of the first stretches and of the second ones
    np.subtract(ends, sums[:, begin : begin + 1], moments[0])
    np.subtract(sums[:, begin + 2 * least : begin + 2 * most + 1 : 2], ends, moments[1])
    sum_ = moments[:, 0] * _ROOTS[least : most + 1]
    power = moments[:, 1]
    power -= sum_ * sum_
    likeness = _products(signal, question) - sum_[0] * sum_[1]
    likeness /= np.sqrt(np.maximum(power[0] * power[1], _LEAST_POWER))
    found: list[float] = likeness.tolist()
    return found


def _likenesses(signal: _Floats, sums: _Sums, questions: list[_Question]) -> list[list[float]]:
    """Do what ``_likeness`` does, for several questions at once."""
    begin, least, most = np.array(questions).T[:, :, None]
    widest = int((most - least).max()) + 1
    length = np.minimum(least + np.arange(widest), most)
    products = np.zeros(length.shape)
    for row, question in zip(products, questions, strict=True):
        row[: question.most + 1 - question.least] = _products(signal, question)
    end = begin + length
    root = _ROOTS.take(length)
    one, after = sums.take(begin, axis=1), sums.take(end, axis=1)
    two = sums.take(end + length, axis=1) - after
    one = after - one
    one[0] *= root
    two[0] *= root
    power = (one[1] - one[0] * one[0]) * (two[1] - two[0] * two[0])
    likeness = (products - one[0] * two[0]) / np.sqrt(np.maximum(power, _LEAST_POWER))
    found: list[list[float]] = likeness.tolist()
    return [row[: most + 1 - least] for row, (_, least, most) in zip(found, questions, strict=True)]


def _products(signal: _Floats, question: _Question) -> _Floats:
    """Return, for each length, the sum of products of the first stretch with the second."""
    begin, least, most = question
    size = signal.itemsize
    shape = (most + 1 - least, most)
    windows = np.ndarray(shape, signal.dtype, signal.data, (begin + least) * size, (size, size))
    masked = windows * _BEFORE[least : most + 1, :most]
    products: _Floats = masked.dot(signal[begin : begin + most])
    return products
