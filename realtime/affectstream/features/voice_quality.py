"""How much a voice's periods differ from one another: jitter and shimmer.

Knows: how to follow period after period through a waveform whose pitch is given frame by frame.
Refuses to know: how the pitch was found.

A period is the lag, within a tenth of the pitch's, at which the waveform correlates best with
itself. Jitter is the mean absolute difference between periods that follow one another over their
mean length; shimmer the mean absolute level difference, in dB, of their peak-to-peak amplitudes.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Floats = NDArray[np.float32]

HOP_SAMPLES = 160
PAST_SAMPLES = 800
"""How far before a frame a period may begin that the frame accounts for."""

_SEARCH = 0.1  # of the period, either way
_LEAST_CORRELATION = 0.5
_ENERGY_FLOOR = 1e-12


class PeriodFollower:
    """Measures jitter and shimmer of one stream; its state is one period.

    Each frame accounts for the periods that end in its first hop.
    """

    def __init__(self) -> None:
        self._position = 0  # in samples, from the start of the next frame; where the period begins
        self._period = 0.0  # the last one's length in samples; 0: none is known
        self._following = False

    def measure(self, signal: Floats, pitch_hz: Floats) -> Floats:
        """Return jitter and shimmer, (n, 2), 0 where they are unknown.

        Args:
            signal: from ``PAST_SAMPLES`` before the first frame to the last frame's end.
            pitch_hz: (n,), 0 where unvoiced.
        """
        result = np.zeros((len(pitch_hz), 2), dtype=np.float32)
        for frame, hz in enumerate(pitch_hz.tolist()):
            if hz > 0:
                result[frame] = self._measure_frame(
                    signal, PAST_SAMPLES + frame * HOP_SAMPLES, 16_000 / hz
                )
                self._position -= HOP_SAMPLES
            else:
                self._following = False
        return result

    def _measure_frame(self, signal: Floats, start: int, period: float) -> tuple[float, float]:
        shortest = int(period * (1 - _SEARCH))
        longest = int(np.ceil(period * (1 + _SEARCH)))
        length = round(period)
        if not self._following:
            self._following, self._position, self._period = True, 0, 0.0
        lengths, changes, levels = [], [], []
        while self._position + 2 * longest <= HOP_SAMPLES:
            begin = start + self._position
            lag, likeness = _best_lag(signal, begin, length, shortest, longest)
            if likeness < _LEAST_CORRELATION:
                self._period = 0.0
                self._position += length
                continue
            if self._period:
                changes.append(abs(lag - self._period))
            step = round(lag)
            levels.append(_level_change(signal[begin : begin + 2 * step], step))
            lengths.append(lag)
            self._period = lag
            self._position += step
        jitter = np.mean(changes) / np.mean(lengths) if changes else 0.0
        return float(jitter), float(np.mean(levels)) if levels else 0.0


def _best_lag(
    signal: Floats, begin: int, length: int, shortest: int, longest: int
) -> tuple[float, float]:
    """Return the lag at which ``length`` samples correlate best with later ones, and how well."""
    first = signal[begin : begin + length]
    later = signal[begin + shortest - 1 :]
    stride = signal.strides[0]
    windows = as_strided(later, (longest - shortest + 3, length), (stride, stride), writeable=False)
    energy = np.einsum("ij,ij->i", windows, windows) * first.dot(first)
    likeness = (windows @ first) / np.sqrt(np.maximum(energy, _ENERGY_FLOOR))
    best = 1 + int(likeness[1:-1].argmax())
    left, middle, right = likeness[best - 1 : best + 2].tolist()
    bend = left - 2 * middle + right
    offset = 0.5 * (left - right) / bend if bend < -1e-9 else 0.0
    return shortest - 1 + best + max(-1.0, min(1.0, offset)), middle


def _level_change(pair: Floats, step: int) -> float:
    """Return the level difference in dB of two periods' amplitudes."""
    first, second = pair[:step], pair[step:]
    one, other = float(first.max() - first.min()), float(second.max() - second.min())
    return abs(20 * np.log10(one / other)) if one > 0 and other > 0 else 0.0
