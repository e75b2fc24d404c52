"""The ``egemaps`` front end: 23 descriptors of eGeMAPS v01b and the level, every 10 ms, streaming.

Knows: how spectral, formant and voice descriptors of the same frames become one row in openSMILE's
order, smoothed over three frames as openSMILE smooths them.
Refuses to know: how a descriptor is computed, and where an utterance begins and ends.

Row ``i`` describes the frame that starts at sample ``160 * i``: 20 ms of it for the spectral
descriptors and formants, 60 ms for those of the voice. A stream of n samples has
``(n - 960) // 160 + 1`` rows. (openSMILE writes one more, a repetition of its last.) While
streaming, a row waits for the pitch's path, 0.3 to 0.5 s behind the sound; ``finish`` waits for
nothing.

The 24th column, ``rms``, is no descriptor of eGeMAPS: it is the level around the frame's start, for
an utterance's silence fraction. Its definition is that of the derived IEMOCAP statistics: root mean
square of the signal plus 1e-4, over 2048 samples at 22,050 Hz, centred.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from affectstream.features.egemaps import formants, spectral
from affectstream.features.egemaps.spectral import SpectralDescriptors, spectra
from affectstream.features.egemaps.voiced import VoiceDescriptors
from affectstream.features.framing import BATCH_FRAMES, BLOCK_FRAMES, Framer, Frames, Samples

_Rows = NDArray[np.float32]
_Real = NDArray[np.float64]

FRONT_END = "egemaps"
EGEMAPS_HOP_SAMPLES = 160
VOICE_SAMPLES = 960
LEVEL_SAMPLES = 1_486  # 2048 at 22,050 Hz
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

_PLAIN = 10  # columns whose smoothing takes zeros for values
_VOICE_COLUMNS = [10, 11, 12, 13, 14, 15, 18, 20, 22]  # of the nine voice descriptors
_FORMANT_COLUMNS = [16, 17, 19, 21]  # F1, its bandwidth, F2, F3
_LEAD = LEVEL_SAMPLES // 2
_BATCH_FOLLOW_FRAMES = 6000  # a minute, in which there are voices enough to follow side by side


class Egemaps:
    """eGeMAPS descriptors of one stream.

    Args:
        block_frames: frames worked on at once; more cost less and come later.
        follow_frames: the same, of following the voices' periods.
    """

    names = EGEMAPS_COLUMNS
    hop_samples = EGEMAPS_HOP_SAMPLES

    def __init__(self, block_frames: int = BLOCK_FRAMES, follow_frames: int = 1) -> None:
        self._framer = Framer(_LEAD + VOICE_SAMPLES, EGEMAPS_HOP_SAMPLES, block_frames, _LEAD)
        self._spectral = SpectralDescriptors()
        self._voice = VoiceDescriptors(follow_frames)
        self._smoother = _Smoother()
        self._waiting = [np.empty((0, len(EGEMAPS_COLUMNS)))]  # rows that lack the voice

    def push(self, samples: Samples) -> _Rows:
        """Return the rows, (n, 24), that mono 16 kHz ``samples`` complete; n may be 0."""
        done = [self._smoother.push(self._describe(block)) for block in self._framer.push(samples)]
        return _joined(done)

    def finish(self) -> _Rows:
        """Return the rows that are left; then the front end is spent."""
        rest = self._framer.finish()
        done = [self._smoother.push(self._describe(rest))] if len(rest) else []
        done += [self._smoother.push(self._voiced(self._voice.finish())), self._smoother.finish()]
        return _joined(done)

    def _describe(self, frames: Frames) -> _Real:
        """Return the rows, not smoothed, that ``frames``, (n, 1703), complete."""
        rows = np.empty((len(frames), len(EGEMAPS_COLUMNS)))
        spectrum = spectra(frames[:, _LEAD : _LEAD + spectral.SPECTRUM_FRAME_SAMPLES])
        resonances = formants.formants(spectrum)
        rows[:, :_PLAIN] = self._spectral.push(spectrum)
        rows[:, _FORMANT_COLUMNS] = resonances[:, [0, 3, 1, 2]]
        rows[:, -1] = _level(frames[:, :LEVEL_SAMPLES])
        self._waiting.append(rows)
        return self._voiced(self._voice.push(frames[:, _LEAD:], resonances[:, :3]))

    def _voiced(self, voice: NDArray[np.floating]) -> _Real:
        """Return the waiting rows that ``voice``, (m, 9), completes."""
        if not len(voice):
            return self._waiting[0][:0]
        waiting = np.concatenate(self._waiting)
        rows, self._waiting = waiting[: len(voice)], [waiting[len(voice) :]]
        rows[:, _VOICE_COLUMNS] = voice
        return rows


def extract_egemaps(samples: Samples) -> _Rows:
    """Return all rows, (n, 24), of mono 16 kHz ``samples``."""
    front_end = Egemaps(BATCH_FRAMES, _BATCH_FOLLOW_FRAMES)
    return np.concatenate((front_end.push(samples), front_end.finish()))


class _Smoother:
    """Averages each row with its neighbours; the first and the last count twice.

    From the eleventh column on a zero is a missing value: it stays one, and neighbours that are
    missing do not enter.
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
