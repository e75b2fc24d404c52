"""The speech descriptors of Wöllmer et al. (2010), streaming.

Knows: 12 MFCC, 27 mel bands, pitch and energy of 50 ms every 25 ms, and their first derivatives:
82 columns.
Refuses to know: utterances and their functionals.

One power spectrum of the frame (mean removed, Hanning window) serves all of them: its sums are the
mel bands, whose cosine transform is the MFCC; its inverse transform is the autocorrelation, in
which the pitch is found. Pitch (Hz, 0 where unvoiced) follows Boersma (1993). Energy is the
intensity of Praat's manual in dB: the mean square under a Kaiser window relative to 20 uPa, where
full scale, 1, is taken as 1 Pa.

To recognise silence, Praat compares a frame's peak with the recording's. A stream does not know
that. If it is not given, the greatest peak so far is used, which decays with a half-life of 10 s.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affectstream.features.framing import Framer, Frames, Samples
from affectstream.features.praat_pitch import (
    FLOOR_HZ,
    LAGS,
    PATH_DELAY_FRAMES,
    PraatPitchPath,
    autocorrelation_candidates,
    may_be_voiced,
    unvoiced_strength,
)
from affectstream.timebase import SAMPLE_RATE_HZ

_Rows = NDArray[np.float32]
_Floats = NDArray[np.float64]

WOELLMER_FRAME_SAMPLES = 800
WOELLMER_HOP_SAMPLES = 400
DELAY_ROWS = PATH_DELAY_FRAMES + 1
"""How many hops after its frame a row comes: the pitch is decided first, then the slope."""

_MFCC = 12
_BANDS = 27
_STATIC = _MFCC + _BANDS + 2
_PITCH, _ENERGY = _STATIC - 2, _STATIC - 1
_FFT_SAMPLES = 1_080  # a frame and its longest lag, so that nothing wraps around
_PERIOD = int(SAMPLE_RATE_HZ / FLOOR_HZ)  # the longest one, in samples
_STEP_S = WOELLMER_HOP_SAMPLES / SAMPLE_RATE_HZ
_CENTRE = slice(WOELLMER_FRAME_SAMPLES // 2 - _PERIOD, WOELLMER_FRAME_SAMPLES // 2 + _PERIOD + 1)
_MIDDLE = slice(
    (WOELLMER_FRAME_SAMPLES - _PERIOD) // 2, (WOELLMER_FRAME_SAMPLES + _PERIOD) // 2 + 1
)
_STREAM_BLOCK = 10
_BATCH_BLOCK = 20
_HALF_LIFE_S = 10.0
_QUIETEST_PEAK = 0.01
"""Least reference peak of a stream, so that a room's noise never counts as loud."""

_LEAST_POWER = 1e-10
_HEARING_THRESHOLD = 4e-10  # 20 uPa, squared
_LEAST_INTENSITY = 1e-3 * _HEARING_THRESHOLD

_STATIC_NAMES = (
    *(f"mfcc_{number}" for number in range(1, _MFCC + 1)),
    *(f"mel_{number}" for number in range(1, _BANDS + 1)),
    "pitch_hz",
    "energy_db",
)


class Woellmer:
    """Speech descriptors of a stream.

    Args:
        peak: the recording's greatest absolute sample, if it is known.
    """

    names = (*_STATIC_NAMES, *(f"delta_{name}" for name in _STATIC_NAMES))
    hop_samples = WOELLMER_HOP_SAMPLES

    def __init__(self, peak: float | None = None) -> None:
        self._framer = Framer(WOELLMER_FRAME_SAMPLES, WOELLMER_HOP_SAMPLES, _STREAM_BLOCK)
        self._describer = _Describer(_STREAM_BLOCK, peak)

    def push(self, samples: Samples) -> _Rows:
        """Return the rows, (n, 82), that ``samples`` complete: mono, 16 kHz, int16 or -1..1."""
        rows = [self._describer.describe(frames) for frames in self._framer.push(samples)]
        return np.concatenate(rows) if rows else np.empty((0, 2 * _STATIC), dtype=np.float32)

    def finish(self) -> _Rows:
        """Return the rows that are left, (k, 82)."""
        rows = self._describer.describe(self._framer.finish())
        return np.concatenate((rows, self._describer.finish()))


def extract_woellmer(samples: Samples, peak: float | None = None) -> _Rows:
    """Return the rows, (n, 82), of a recording; ``peak`` as for ``Woellmer``."""
    framer = Framer(WOELLMER_FRAME_SAMPLES, WOELLMER_HOP_SAMPLES, _BATCH_BLOCK)
    describer = _Describer(_BATCH_BLOCK, peak)
    rows = [describer.describe(frames) for frames in framer.push(samples)]
    return np.concatenate([*rows, describer.describe(framer.finish()), describer.finish()])


class _Describer:
    """Computes the descriptors of consecutive frames, whose rows wait for pitch and slope."""

    def __init__(self, block_frames: int, peak: float | None) -> None:
        self._peak = peak
        self._loudest = _QUIETEST_PEAK
        self._padded = np.zeros((block_frames, _FFT_SAMPLES))
        self._path = PraatPitchPath(_STEP_S)
        self._waiting = np.empty((0, _STATIC))  # rows that lack their pitch
        self._differ = _Differentiator()

    def describe(self, frames: Frames) -> _Rows:
        """Take frames (n, 800), a block at most; return the rows that are complete."""
        if not len(frames):
            return np.empty((0, 2 * _STATIC), dtype=np.float32)
        local_mean = frames[:, _CENTRE].mean(axis=1, keepdims=True, dtype=np.float64)
        centred = frames - local_mean
        padded = self._padded[: len(frames)]
        np.multiply(centred, _HANNING, out=padded[:, :WOELLMER_FRAME_SAMPLES])
        power = _power(padded)
        rows = np.empty((len(frames), _STATIC))
        bands = np.log(power @ _MEL + _LEAST_POWER)
        rows[:, :_MFCC] = bands @ _COSINES
        rows[:, _MFCC:_PITCH] = bands
        rows[:, _ENERGY] = _intensity_db(centred)
        self._waiting = np.concatenate((self._waiting, rows))
        candidates = self._candidates(np.abs(padded[:, _MIDDLE]).max(axis=1), power)
        return self._differ.push(self._settle(self._path.push(candidates)))

    def _candidates(self, peaks: _Floats, power: _Floats) -> tuple[_Floats, _Floats]:
        unvoiced = unvoiced_strength(peaks, self._reference(peaks))
        rows = np.flatnonzero(may_be_voiced(unvoiced, _STEP_S))
        return autocorrelation_candidates(_autocorrelation(power[rows]), rows, unvoiced)

    def finish(self) -> _Rows:
        """Return the rows that still waited."""
        rows = self._differ.push(self._settle(self._path.finish()))
        return np.concatenate((rows, self._differ.finish()))

    def _reference(self, peaks: _Floats) -> _Floats:
        if self._peak is not None:
            return np.full(len(peaks), self._peak)
        references = []
        for peak in peaks.tolist():
            self._loudest = max(_QUIETEST_PEAK, peak, self._loudest * _FADING)
            references.append(self._loudest)
        return np.array(references)

    def _settle(self, pitches_hz: list[float]) -> _Floats:
        settled, self._waiting = np.split(self._waiting, [len(pitches_hz)])
        settled[:, _PITCH] = pitches_hz
        return settled


class _Differentiator:
    """Puts each row's slope beside it: half the difference of its neighbours.

    The first and the last row count twice. The slope of the pitch is 0 where the row or one of its
    neighbours is unvoiced.
    """

    def __init__(self) -> None:
        self._held: _Floats | None = None  # the last two rows

    def push(self, rows: _Floats) -> _Rows:
        """Return the rows (m, 82) whose next row has come."""
        if not len(rows):
            return np.empty((0, 2 * _STATIC), dtype=np.float32)
        held = rows[:1] if self._held is None else self._held
        around = np.concatenate((held, rows))
        self._held = around[-2:].copy()
        return _with_slopes(around)

    def finish(self) -> _Rows:
        """Return the last row."""
        if self._held is None:
            return np.empty((0, 2 * _STATIC), dtype=np.float32)
        return _with_slopes(np.concatenate((self._held, self._held[-1:])))


def _with_slopes(around: _Floats) -> _Rows:
    rows = np.empty((len(around) - 2, 2 * _STATIC), dtype=np.float32)
    rows[:, :_STATIC] = around[1:-1]
    rows[:, _STATIC:] = 0.5 * (around[2:] - around[:-2])
    voiced = around[:, _PITCH] > 0
    rows[:, _STATIC + _PITCH] *= voiced[2:] & voiced[1:-1] & voiced[:-2]
    return rows


def _power(padded: _Floats) -> _Floats:
    spectrum = np.fft.rfft(padded, axis=1)
    return np.square(spectrum.real) + np.square(spectrum.imag)


def _autocorrelation(power: _Floats) -> _Floats:
    """Return the autocorrelations, (n, LAGS), 1 at lag 0, without the window's effect."""
    lagged = np.fft.irfft(power, _FFT_SAMPLES, axis=1)[:, :LAGS]
    energy = lagged[:, :1]
    shape = np.divide(lagged, energy, out=np.zeros_like(lagged), where=energy > _LEAST_POWER)
    shape *= _UNDO_WINDOW
    return shape


def _intensity_db(centred: _Floats) -> _Floats:
    """Return the intensities in dB, (n,): frames less their mean, under the Kaiser window."""
    mean = centred.mean(axis=1)
    power = np.square(centred) @ _KAISER - mean * (2 * (centred @ _KAISER) - mean)
    decibels: _Floats = 10 * np.log10(np.maximum(power, _LEAST_INTENSITY) / _HEARING_THRESHOLD)
    return decibels


def _mel_filters() -> _Floats:
    """Return triangular filters, (bins, 27), evenly spaced in mel from 0 to 8000 Hz."""
    edges_mel = np.linspace(0, 1127 * np.log1p(SAMPLE_RATE_HZ / 2 / 700), _BANDS + 2)
    edges_hz = 700 * np.expm1(edges_mel / 1127)
    bins_hz = np.fft.rfftfreq(_FFT_SAMPLES, 1 / SAMPLE_RATE_HZ)
    rising = (bins_hz[:, None] - edges_hz[:-2]) / np.diff(edges_hz)[:-1]
    falling = (edges_hz[2:] - bins_hz[:, None]) / np.diff(edges_hz)[1:]
    filters: _Floats = np.clip(np.minimum(rising, falling), 0, None)
    filters /= np.square(_HANNING.sum())  # so that full scale gives about 1 in any band
    return filters


def _cosines() -> _Floats:
    """Return columns 1 to 12 of the orthonormal cosine transform (DCT-II), (27, 12)."""
    angle = np.pi * np.outer(np.arange(_BANDS) + 0.5, np.arange(1, _MFCC + 1)) / _BANDS
    table: _Floats = np.cos(angle) * np.sqrt(2.0 / _BANDS)
    return table


def _undo_window() -> _Floats:
    """Return 1 over the window's own autocorrelation, (LAGS,), 1 at lag 0."""
    own = np.correlate(_HANNING, _HANNING, "full")[WOELLMER_FRAME_SAMPLES - 1 :][:LAGS]
    inverse: _Floats = own[0] / own
    return inverse


_FADING = 0.5 ** (_STEP_S / _HALF_LIFE_S)
_HANNING = np.hanning(WOELLMER_FRAME_SAMPLES + 2)[1:-1]
_KAISER = np.kaiser(WOELLMER_FRAME_SAMPLES, 2 * np.pi**2 + 0.5)
_KAISER /= _KAISER.sum()
_MEL = _mel_filters()
_COSINES = _cosines()
_UNDO_WINDOW = _undo_window()
