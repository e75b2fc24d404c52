"""The 34 short-term descriptors of Tripathi and Beigi (2018), streaming.

Knows: zero crossings, energies, spectral shape, 13 MFCC and 12 chroma of frames of 0.2 s every
0.1 s, as pyAudioAnalysis 0.3.14 (Giannakopoulos 2015) computes them.
Refuses to know: utterances, except that their matrix is 100 x 34.

Every number agrees with ``ShortTermFeatures.feature_extraction(..., deltas=False)``. That function
first shifts and scales the whole recording so that its mean is 0 and its peak 1. A stream does not
know them in advance, so they are arguments here; ``reference`` measures them on a recording.
Without them, the rows describe the signal as it is. Its scale affects two columns only, and
``rescaled`` corrects these when the peak is known.

What is odd in the reference is kept, because models were trained on it. The mel filters are placed
as if the bins spanned twice their frequencies. A chroma class counts only the last bin of each of
its semitones, and bins below 27.5 Hz (negative semitones) count for the classes at the end of the
array. The spectrum's window is rectangular.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affectstream.features.framing import Framer, Frames, Samples, as_signal
from affectstream.timebase import SAMPLE_RATE_HZ

_Rows = NDArray[np.float32]
_Spectra = NDArray[np.float64]

TRIPATHI_FRAME_SAMPLES = 3_200
TRIPATHI_HOP_SAMPLES = 1_600
UTTERANCE_ROWS = 100
"""Rows of an utterance's matrix: its first ten seconds."""

_BINS = TRIPATHI_FRAME_SAMPLES // 2
_PARTS = 10  # of a frame and of a spectrum, for the entropy of their energies
_FILTERS_LINEAR, _FILTERS_LOG = 13, 27
_MFCC = 13
_CLASSES = 12
_ROLL_OFF = 0.9
_STREAM_BLOCK = 5
_BATCH_BLOCK = 16
_EPS = float(np.finfo(np.float64).eps)

_NAMES = (
    *("zcr", "energy", "energy_entropy", "spectral_centroid", "spectral_spread"),
    *("spectral_entropy", "spectral_flux", "spectral_rolloff"),
    *(f"mfcc_{number}" for number in range(1, _MFCC + 1)),
    *(f"chroma_{number}" for number in range(1, _CLASSES + 1)),
    "chroma_std",
)


def reference(samples: Samples) -> tuple[float, float]:
    """Return the recording's ``offset`` and ``peak``, by which pyAudioAnalysis normalises it.

    The offset is the mean, the peak the greatest distance from it, where full scale is 1. Without
    any samples they are 0 and 1.
    """
    signal = as_signal(samples)
    if not len(signal):
        return 0.0, 1.0
    offset = float(signal.astype(np.float64).mean())
    return offset, max(float(signal.max()) - offset, offset - float(signal.min()))


class Tripathi34:
    """Short-term descriptors of a stream.

    Args:
        offset: subtracted from every sample.
        peak: what every sample is then divided by.
    """

    names = _NAMES
    hop_samples = TRIPATHI_HOP_SAMPLES

    def __init__(self, offset: float = 0.0, peak: float = 1.0) -> None:
        self._framer = Framer(TRIPATHI_FRAME_SAMPLES, TRIPATHI_HOP_SAMPLES, _STREAM_BLOCK)
        self._describer = _Describer(_STREAM_BLOCK, offset, peak)

    def push(self, samples: Samples) -> _Rows:
        """Return the rows, (n, 34), that ``samples`` complete: mono, 16 kHz, int16 or -1..1."""
        blocks = [self._describer.describe(frames) for frames in self._framer.push(samples)]
        return np.concatenate(blocks) if blocks else np.empty((0, len(_NAMES)), dtype=np.float32)

    def finish(self) -> _Rows:
        """Return the rows of the whole frames that are left, (k, 34)."""
        return self._describer.describe(self._framer.finish())


def extract_tripathi34(samples: Samples, offset: float = 0.0, peak: float = 1.0) -> _Rows:
    """Return the rows, (n, 34), of a recording; arguments as for ``Tripathi34``.

    ``extract_tripathi34(samples, *reference(samples))`` agrees with pyAudioAnalysis.
    """
    framer = Framer(TRIPATHI_FRAME_SAMPLES, TRIPATHI_HOP_SAMPLES, _BATCH_BLOCK)
    describer = _Describer(_BATCH_BLOCK, offset, peak)
    blocks = [describer.describe(frames) for frames in framer.push(samples)]
    return np.concatenate([*blocks, describer.describe(framer.finish())])


def rescaled(rows: _Rows, peak: float) -> _Rows:
    """Return rows (n, 34), computed with the peak 1, as they would be with ``peak``."""
    scaled = rows.copy()
    scaled[:, 1] /= peak * peak
    # Every log filter output falls by log10(peak). What all inputs of an orthonormal cosine
    # transform share affects its first coefficient only.
    scaled[:, 8] -= np.sqrt(_FILTERS_LINEAR + _FILTERS_LOG) * np.log10(peak)
    return scaled


def utterance_matrix(rows: _Rows) -> _Rows:
    """Return an utterance's rows (n, 34) as (100, 34): cut off, or followed by zeros."""
    matrix = np.zeros((UTTERANCE_ROWS, len(_NAMES)), dtype=np.float32)
    kept = rows[:UTTERANCE_ROWS]
    matrix[: len(kept)] = kept
    return matrix


class _Describer:
    """Computes the descriptors of consecutive frames. Its state is the last spectrum, for the flux.

    Its work arrays are kept from block to block: allocating them would cost more than the
    arithmetic.
    """

    def __init__(self, block_frames: int, offset: float, peak: float) -> None:
        self._offset = np.float64(offset)
        self._peak = peak + 1e-10  # as in the reference, so that silence is not divided by 0
        self._wave = np.empty((block_frames, TRIPATHI_FRAME_SAMPLES))
        self._power = np.empty((block_frames, _BINS))
        self._magnitude = np.empty((block_frames, _BINS))
        self._scratch = np.empty((block_frames, _BINS))
        self._shares = np.empty((block_frames + 1, _BINS))  # row 0 is the last frame's
        self._started = False

    def describe(self, frames: Frames) -> _Rows:
        """Return the rows (n, 34) of frames (n, 3200), at most a block."""
        count = len(frames)
        rows = np.empty((count, len(_NAMES)), dtype=np.float32)
        if not count:
            return rows
        wave = np.subtract(frames, self._offset, out=self._wave[:count], dtype=np.float64)
        wave /= self._peak
        power, magnitude = self._transform(wave)
        _describe_wave(wave, rows)
        _describe_shape(magnitude, power, rows)
        self._describe_flux(magnitude, rows)
        rows[:, 8:21] = np.log10(magnitude[:, :_MEL_BINS] @ _MEL + _EPS) @ _COSINES
        return rows

    def _transform(self, wave: _Spectra) -> tuple[_Spectra, _Spectra]:
        spectrum = np.fft.rfft(wave, axis=1)[:, :_BINS]
        scratch = self._scratch[: len(wave)]
        power = np.square(spectrum.real, out=self._power[: len(wave)])
        power += np.square(spectrum.imag, out=scratch)
        power *= 1.0 / (_BINS * _BINS)
        return power, np.sqrt(power, out=self._magnitude[: len(wave)])

    def _describe_flux(self, magnitude: _Spectra, rows: _Rows) -> None:
        shares = self._shares[: len(magnitude) + 1]
        total = magnitude.sum(axis=1, keepdims=True) + _BINS * _EPS
        np.divide(magnitude, total, out=shares[1:])
        if not self._started:
            shares[0] = shares[1]
            self._started = True
        change = np.subtract(shares[1:], shares[:-1], out=self._scratch[: len(magnitude)])
        rows[:, 6] = np.einsum("nk,nk->n", change, change)
        shares[0] = shares[-1]


def _describe_wave(wave: _Spectra, rows: _Rows) -> None:
    crossed = np.zeros(len(wave))
    for side in (wave > 0, wave < 0):  # a change of sign is counted on both sides: twice
        steps = side[:, 1:] != side[:, :-1]
        crossed += np.count_nonzero(steps, axis=1)
    rows[:, 0] = crossed / (2.0 * (TRIPATHI_FRAME_SAMPLES - 1))
    parts = wave.reshape(len(wave), _PARTS, -1)
    energies = np.einsum("npl,npl->np", parts, parts)
    total = energies.sum(axis=1)
    rows[:, 1] = total / TRIPATHI_FRAME_SAMPLES
    rows[:, 2] = _entropy(energies, total)


def _describe_shape(magnitude: _Spectra, power: _Spectra, rows: _Rows) -> None:
    moments = magnitude @ _POWERS  # (n, 3): sums of X, f X, f^2 X
    total = moments[:, 0] + _EPS * magnitude.max(axis=1)
    total[total == 0] = 1.0
    centroid = moments[:, 1] / total
    spread = moments[:, 2] - 2 * centroid * moments[:, 1] + centroid**2 * moments[:, 0]
    rows[:, 3] = centroid
    rows[:, 4] = np.sqrt(np.maximum(spread, 0.0) / total)
    energies = power.reshape(len(power), _PARTS, -1).sum(axis=2)
    energy = energies.sum(axis=1)
    rows[:, 5] = _entropy(energies, energy)
    rows[:, 7] = _roll_off(power, energies, _ROLL_OFF * energy)
    energy[energy == 0] = _EPS
    classes = power[:, _CHROMA_BINS] @ _CHROMA
    classes /= energy[:, None]
    rows[:, 21:33] = classes
    classes -= classes.mean(axis=1, keepdims=True)
    rows[:, 33] = np.sqrt(np.einsum("nc,nc->n", classes, classes) / _CLASSES)


def _roll_off(
    power: _Spectra, energies: _Spectra, threshold: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the roll-off, (n,): the share of the bins below which the energy is ``threshold``."""
    numbers = np.arange(len(power))
    until = np.cumsum(energies, axis=1) + _EPS
    part = (until > threshold[:, None]).argmax(axis=1)  # (n,)
    within = np.cumsum(power.reshape(len(power), _PARTS, -1)[numbers, part], axis=1)
    within += (until[numbers, part] - energies[numbers, part])[:, None]
    first = (within > threshold[:, None]).argmax(axis=1)
    share: NDArray[np.float64] = (part * (_BINS // _PARTS) + first) / _BINS
    return share


def _entropy(parts: _Spectra, total: NDArray[np.float64]) -> NDArray[np.float64]:
    share = parts / (total + _EPS)[:, None]
    entropy: NDArray[np.float64] = -np.einsum("np,np->n", share, np.log2(share + _EPS))
    return entropy


def _mel_filters() -> NDArray[np.float64]:
    """Return 40 triangular filters, (bins, 40), over the bins up to the highest one in use."""
    edges_hz = np.empty(_FILTERS_LINEAR + _FILTERS_LOG + 2)
    edges_hz[:_FILTERS_LINEAR] = 133.33 + np.arange(_FILTERS_LINEAR) * 200 / 3
    growth = 1.0711703 ** np.arange(1, _FILTERS_LOG + 3)
    edges_hz[_FILTERS_LINEAR:] = edges_hz[_FILTERS_LINEAR - 1] * growth
    bins_hz = np.arange(_BINS) * SAMPLE_RATE_HZ / _BINS  # doubled, as in the reference
    last = np.floor(edges_hz * _BINS / SAMPLE_RATE_HZ).astype(int)
    filters = np.zeros((_BINS, len(edges_hz) - 2))
    for number in range(filters.shape[1]):
        low, centre, high = edges_hz[number : number + 3]
        height = 2.0 / (high - low)
        up = slice(last[number] + 1, last[number + 1] + 1)
        down = slice(last[number + 1] + 1, last[number + 2] + 1)
        filters[up, number] = height / (centre - low) * (bins_hz[up] - low)
        filters[down, number] = height / (high - centre) * (high - bins_hz[down])
    return filters[: last[-1] + 1]


def _cosines(inputs: int, outputs: int) -> NDArray[np.float64]:
    """Return the first columns of the orthonormal cosine transform (DCT-II), (inputs, outputs)."""
    angle = np.pi * np.outer(np.arange(inputs) + 0.5, np.arange(outputs)) / inputs
    table: NDArray[np.float64] = np.cos(angle) * np.sqrt(2.0 / inputs)
    table[:, 0] /= np.sqrt(2.0)
    return table


def _chroma_map() -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the bins of the power spectrum that count, (k,), and their weights, (k, 12)."""
    frequency_hz = np.arange(1, _BINS + 1) * SAMPLE_RATE_HZ / (2 * _BINS)
    semitone = np.round(12 * np.log2(frequency_hz / 27.5)).astype(int)
    wide = np.array([np.count_nonzero(semitone == each) for each in semitone])
    bin_of = {int(each) % _BINS: number for number, each in enumerate(semitone)}  # the last one
    bins = np.array(list(bin_of.values()), dtype=np.intp)
    weights = np.zeros((len(bins), _CLASSES))
    for row, (place, _) in enumerate(bin_of.items()):
        # The reference divides by the entry whose index is the semitone, not by that of the bin.
        weights[row, place % _CLASSES] = 1.0 / wide[semitone[place]]
    return bins, weights


_MEL = _mel_filters()
_MEL_BINS = len(_MEL)
_COSINES = _cosines(_FILTERS_LINEAR + _FILTERS_LOG, _MFCC)
_CHROMA_BINS, _CHROMA = _chroma_map()
_POWERS = np.vander(np.arange(1, _BINS + 1) / _BINS, 3, increasing=True)
