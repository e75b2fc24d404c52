"""How far the front ends agree with the programs whose descriptors they compute.

Compared are ``tripathi34`` with pyAudioAnalysis and ``woellmer`` with Praat, on the same samples:
mono, int16, 16 kHz. Praat's licence is the GPL; only comparisons need it. The comparison of
eGeMAPS with openSMILE is in ``opensmile_agreement``.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream.errors import AffectstreamError
from affectstream.features import tripathi34, woellmer
from affectstream.features.framing import as_signal
from affectstream.features.praat_pitch import CEILING_HZ, FLOOR_HZ
from affectstream.timebase import SAMPLE_RATE_HZ
from affectstream_tools.metrics import pearson

_Clip = NDArray[np.int16]
_Floats = NDArray[np.float64]

LEAST = 1e-6
"""Relative errors are of the reference, but at least of this.

In frames of one constant value, such as digital silence, the reference's MFCC are rounding errors
of 1e-9 and less; nothing agrees with those.
"""

PITCH = woellmer.Woellmer.names.index("pitch_hz")
ENERGY = woellmer.Woellmer.names.index("energy_db")
INTENSITY_FLOOR_HZ = 128
"""With this, Praat measures intensity over 50 ms, 6.4 periods of it."""


@dataclass(frozen=True, slots=True)
class PraatAgreement:
    """``woellmer`` beside Praat.

    Attributes:
        pitch_r: Pearson's r of the pitch, over the frames that both call voiced.
        energy_r: Pearson's r of the energy, over the frames that Praat puts above 0 dB.
        voicing: share of the frames on whose voicing both agree, where the peak of the recording
            is known, as it is to Praat.
        voicing_streaming: the same where it is not.
        frames, voiced: how many there were, and how many of them Praat calls voiced.
    """

    pitch_r: float
    energy_r: float
    voicing: float
    voicing_streaming: float
    frames: int
    voiced: int


def pyaudioanalysis() -> ModuleType:
    """Return pyAudioAnalysis's module of short-term features.

    Raises:
        AffectstreamError: it is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports what scipy has moved
        return installed("pyAudioAnalysis.ShortTermFeatures", "pyAudioAnalysis")


def parselmouth() -> ModuleType:
    """Return Praat; raises ``AffectstreamError`` where it is not installed."""
    return installed("parselmouth", "praat-parselmouth")


def pyaudioanalysis_rows(clip: _Clip) -> _Floats:
    """Return pyAudioAnalysis's 34 descriptors, (n, 34), of 0.2 s every 0.1 s."""
    rows: _Floats = (
        pyaudioanalysis()
        .feature_extraction(
            clip,
            SAMPLE_RATE_HZ,
            tripathi34.TRIPATHI_FRAME_SAMPLES,
            tripathi34.TRIPATHI_HOP_SAMPLES,
            deltas=False,
        )[0]
        .T
    )
    return rows


def tripathi34_errors(clips: Iterable[_Clip]) -> dict[str, float]:
    """Return the greatest relative error of each of the 34 against pyAudioAnalysis.

    Raises:
        AffectstreamError: it is not installed.
    """
    names = tripathi34.Tripathi34.names
    worst = np.zeros(len(names))
    for clip in clips:
        if len(clip) < tripathi34.TRIPATHI_FRAME_SAMPLES:
            continue
        theirs = pyaudioanalysis_rows(clip)
        ours = tripathi34.extract_tripathi34(clip, *tripathi34.reference(clip))
        errors = np.abs(ours - theirs) / np.maximum(np.abs(theirs), LEAST)
        worst = np.maximum(worst, errors.max(axis=0))
    return dict(zip(names, worst.tolist(), strict=True))


def praat_rows(clip: _Clip) -> tuple[_Floats, _Floats]:
    """Return Praat's pitch in Hz and intensity in dB of the frames that ``woellmer`` describes.

    Praat centres its frames in the recording; ``clip`` is cut so that this is where ours are. A
    sample more on each side keeps the last frame from being lost to rounding.
    """
    step_s = woellmer.WOELLMER_HOP_SAMPLES / SAMPLE_RATE_HZ
    signal = np.pad(as_signal(_fitted(clip)).astype(np.float64), 1, mode="edge")
    sound = parselmouth().Sound(signal, SAMPLE_RATE_HZ)
    pitch: Any = sound.to_pitch_ac(time_step=step_s, pitch_floor=FLOOR_HZ, pitch_ceiling=CEILING_HZ)
    intensity = sound.to_intensity(minimum_pitch=INTENSITY_FLOOR_HZ, time_step=step_s)
    return pitch.selected_array["frequency"], intensity.values[0]


def woellmer_agreement(clips: Iterable[_Clip]) -> PraatAgreement:
    """Return how far pitch, voicing and energy are Praat's.

    Raises:
        AffectstreamError: Praat is not installed, or there is no clip of 50 ms.
    """
    parts = []
    for clip in clips:
        if len(clip) < woellmer.WOELLMER_FRAME_SAMPLES:
            continue
        fitted = _fitted(clip)
        _, peak = tripathi34.reference(fitted)
        ours = woellmer.extract_woellmer(fitted, peak)
        streaming = woellmer.extract_woellmer(fitted)[:, PITCH]
        parts.append(np.stack([*praat_rows(clip), ours[:, PITCH], ours[:, ENERGY], streaming]))
    if not parts:
        raise AffectstreamError("no clip lasts 50 ms; name a folder of speech")
    pitch, intensity, our_pitch, our_energy, streaming = np.concatenate(parts, axis=1)
    both, heard = (pitch > 0) & (our_pitch > 0), intensity > 0
    return PraatAgreement(
        pitch_r=pearson(pitch[both], our_pitch[both]),
        energy_r=pearson(intensity[heard], our_energy[heard]),
        voicing=float(((pitch > 0) == (our_pitch > 0)).mean()),
        voicing_streaming=float(((pitch > 0) == (streaming > 0)).mean()),
        frames=len(pitch),
        voiced=int((pitch > 0).sum()),
    )


def _fitted(clip: _Clip) -> _Clip:
    hops = (len(clip) - woellmer.WOELLMER_FRAME_SAMPLES) // woellmer.WOELLMER_HOP_SAMPLES
    return clip[: woellmer.WOELLMER_FRAME_SAMPLES + hops * woellmer.WOELLMER_HOP_SAMPLES]


def installed(module: str, package: str) -> ModuleType:
    """Return ``module``; raises ``AffectstreamError`` where ``package`` is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise AffectstreamError(
            f"{package} is not installed, and is what is compared with; "
            f"`pip install {package}`, or pip install 'affectstream[dev]'"
        ) from error
