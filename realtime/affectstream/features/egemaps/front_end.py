"""The ``egemaps`` front end: 23 descriptors of eGeMAPS v01b and the level, every 10 ms, streaming.

Knows: how the spectral, formant and voiced descriptors of a frame become one row in openSMILE's
order, smoothed over three frames as openSMILE does.
Refuses to know: how a descriptor is computed, and where an utterance begins and ends.

The descriptors are those of Eyben et al. (2016), *The Geneva minimalistic acoustic parameter set*.
Row ``i`` describes the frame that starts at sample ``160 * i``: its first 20 ms for the spectral
descriptors and formants, 60 ms for the voiced ones. A stream of n samples has
``(n - 960) // 160 + 1`` rows; openSMILE writes one more, a copy of its last. While streaming, a row
comes 0.3 to 0.5 s late, when its frame's pitch is decided.

The 24th column, ``rms``, is not of eGeMAPS. It is the level around the frame's start, from which an
utterance's share of silence is computed, as the derived IEMOCAP set defines it: the root mean
square of the signal plus 1e-4, over 2048 samples at 22,050 Hz around the frame's start.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affectstream.features.egemaps import formants, spectral
from affectstream.features.egemaps.jitter_shimmer import VOICED_HOP_SAMPLES
from affectstream.features.egemaps.spectral import SpectralDescriptors, spectra
from affectstream.features.egemaps.voiced import PITCH_FRAME_SAMPLES, VoicedDescriptors
from affectstream.features.framing import BATCH_FRAMES, BLOCK_FRAMES, Framer, Frames, Samples

_Rows = NDArray[np.float32]
_Real = NDArray[np.float64]

FRONT_END = "egemaps"
EGEMAPS_HOP_SAMPLES = VOICED_HOP_SAMPLES
LEVEL_SAMPLES = 1_486  # as long as 2048 samples at 22,050 Hz
LEVEL_OFFSET = 1e-4

EGEMAPS_DESCRIPTORS = (
    *spectral.SPECTRAL_DESCRIPTORS,
    "F0semitoneFrom27.5Hz",
    "jitterLocal",
    "shimmerLocaldB",
    "HNRdBACF",
    "logRelF0-H1-H2",
    "logRelF0-H1-A3",
    "F1frequency",
    "F1bandwidth",
    "F1amplitudeLogRelF0",
    "F2frequency",
    "F2amplitudeLogRelF0",
    "F3frequency",
    "F3amplitudeLogRelF0",
)
EGEMAPS_COLUMNS = (*EGEMAPS_DESCRIPTORS, "rms")

_PLAIN = 10  # the first columns, where 0 is a value; in the later ones it means unvoiced
_VOICED_COLUMNS = [10, 11, 12, 13, 14, 15, 18, 20, 22]  # where VoicedDescriptors' nine go
_FORMANT_COLUMNS = [16, 17, 19, 21]  # F1, its bandwidth, F2, F3
_LEAD = LEVEL_SAMPLES // 2
_BATCH_FOLLOW_FRAMES = 6000  # a minute: enough voiced stretches to follow side by side


class Egemaps:
    """eGeMAPS descriptors of one stream.

    Args:
        block_frames: how many frames are worked on at once; more cost less, but come later.
        follow_frames: as for ``VoicedDescriptors``.
    """

    names = EGEMAPS_COLUMNS
    hop_samples = EGEMAPS_HOP_SAMPLES

    def __init__(self, block_frames: int = BLOCK_FRAMES, follow_frames: int = 1) -> None:
        self._framer = Framer(_LEAD + PITCH_FRAME_SAMPLES, EGEMAPS_HOP_SAMPLES, block_frames, _LEAD)
        self._spectral = SpectralDescriptors()
        self._voice = VoicedDescriptors(follow_frames)
        self._smoother = _Smoother()
        self._waiting = [np.empty((0, len(EGEMAPS_COLUMNS)))]  # rows that lack the voiced ones

    def push(self, samples: Samples) -> _Rows:
        """Return the rows, (n, 24), that ``samples`` complete; n may be 0.

        Args:
            samples: mono, 16 kHz, int16 or -1..1.
        """
        done = [self._smoother.push(self._describe(block)) for block in self._framer.push(samples)]
        return _joined(done)

    def finish(self) -> _Rows:
        """Return the rows that are left. Nothing may be pushed afterwards."""
        rest = self._framer.finish()
        done = [self._smoother.push(self._describe(rest))] if len(rest) else []
        done += [self._smoother.push(self._voiced(self._voice.finish())), self._smoother.finish()]
        return _joined(done)

    def _describe(self, frames: Frames) -> _Real:
        """Return the rows, not smoothed, that frames (n, 1703) complete."""
        rows = np.empty((len(frames), len(EGEMAPS_COLUMNS)))
        spectrum = spectra(frames[:, _LEAD : _LEAD + spectral.SPECTRUM_FRAME_SAMPLES])
        resonances = formants.formants(spectrum)
        rows[:, :_PLAIN] = self._spectral.push(spectrum)
        rows[:, _FORMANT_COLUMNS] = resonances[:, [0, 3, 1, 2]]
        rows[:, -1] = _level(frames[:, :LEVEL_SAMPLES])
        self._waiting.append(rows)
        return self._voiced(self._voice.push(frames[:, _LEAD:], resonances[:, :3]))

    def _voiced(self, voice: NDArray[np.floating]) -> _Real:
        """Return the waiting rows that the voiced descriptors ``voice``, (m, 9), complete."""
        if not len(voice):
            return self._waiting[0][:0]
        waiting = np.concatenate(self._waiting)
        rows, self._waiting = waiting[: len(voice)], [waiting[len(voice) :]]
        rows[:, _VOICED_COLUMNS] = voice
        return rows


def extract_egemaps(samples: Samples) -> _Rows:
    """Return all rows, (n, 24), of a recording; ``samples`` as for ``Egemaps.push``."""
    front_end = Egemaps(BATCH_FRAMES, _BATCH_FOLLOW_FRAMES)
    return np.concatenate((front_end.push(samples), front_end.finish()))


class _Smoother:
    """Averages each row with its two neighbours; the first and the last row count twice.

    From the eleventh column on, 0 is a missing value: it stays 0, and does not enter its
    neighbours' averages.
    """

    def __init__(self) -> None:
        self._held = np.empty((0, len(EGEMAPS_COLUMNS)))  # the last two rows

    def push(self, rows: _Real) -> _Real:
        if not len(rows):
            return rows
        first = self._held if len(self._held) else rows[:1]
        together = np.concatenate((first, rows))
        self._held = together[-2:].copy()
        return self._smooth(together)

    def finish(self) -> _Real:
        last = self._held[-1:]
        return self._smooth(np.concatenate((self._held, last)))

    @staticmethod
    def _smooth(rows: _Real) -> _Real:
        if len(rows) < 3:
            return rows[:0]
        smooth = rows[1:-1].copy()
        plain = rows[:, :_PLAIN]
        smooth[:, :_PLAIN] = (plain[:-2] + plain[1:-1] + plain[2:]) / 3
        gaps = rows[:, _PLAIN:-1]
        known = gaps != 0
        count = known[:-2].astype(np.float64) + known[1:-1] + known[2:]
        total = gaps[:-2] + gaps[1:-1] + gaps[2:]
        mean = total / np.maximum(count, 1)
        smooth[:, _PLAIN:-1] = np.where(known[1:-1], mean, 0.0)
        return smooth


def _level(frames: Frames) -> _Real:
    squares = np.einsum("ij,ij->i", frames, frames, dtype=np.float64)
    sums = frames.sum(axis=1, dtype=np.float64)
    mean = (squares + 2 * LEVEL_OFFSET * sums) / LEVEL_SAMPLES + LEVEL_OFFSET**2
    level: _Real = np.sqrt(np.maximum(mean, 0.0))
    return level


def _joined(parts: list[_Real]) -> _Rows:
    if not parts:
        return np.empty((0, len(EGEMAPS_COLUMNS)), dtype=np.float32)
    return np.concatenate(parts).astype(np.float32)
