"""How far ``egemaps`` agrees with openSMILE, and what that is worth to a classifier.

The same recordings are described by our front end and by the package ``opensmile`` (eGeMAPSv01b).
Compared are the 47 utterance statistics, by their correlation, and one classifier's recall through
each. The 47th statistic, the share of silence, is none of openSMILE's: it is compared with
librosa's definition, written out here. openSMILE's licence is non-commercial; nothing else in the
laboratory needs it. The other front ends' references are in ``references``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from affectstream.errors import AffectstreamError
from affectstream.features.egemaps import front_end as egemaps
from affectstream.features.egemaps.statistics import (
    SILENCE_SHARE,
    UTTERANCE_STATISTICS,
    utterance_statistics,
)
from affectstream.features.framing import as_signal
from affectstream.timebase import SAMPLE_RATE_HZ
from affectstream_tools.corpora.speech_clips import ClipSamples, read_speech_clip, speech_files_in
from affectstream_tools.evaluate.cross_corpus import (
    LabelledStatistics,
    iemocap_statistics,
    ravdess_label,
    transfer_uar,
)
from affectstream_tools.evaluate.references import (
    PraatAgreement,
    installed,
    tripathi34_errors,
    woellmer_agreement,
)
from affectstream_tools.metrics import pearson

_Progress = Callable[[str, int, int], None]
"""Called with what is being compared, how many clips are done, and of how many."""

GROUPS = {
    "spectral": egemaps.EGEMAPS_DESCRIPTORS[:10],
    "f0": egemaps.EGEMAPS_DESCRIPTORS[10:11],
    "voice_quality": egemaps.EGEMAPS_DESCRIPTORS[11:16],  # jitter, shimmer, HNR, H1-H2, H1-A3
    "formants": egemaps.EGEMAPS_DESCRIPTORS[16:],
}
"""All descriptors in groups: ``min_r`` is the least correlation of a group's utterance means."""

_LIBROSA_HZ, _LIBROSA_FRAME, _LIBROSA_HOP = 22_050, 2_048, 512


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was found.

    Attributes:
        r: Pearson's r over the clips, by statistic.
        min_r: the least r of the means of each of ``GROUPS``.
        uar: recall of one classifier on our statistics and on openSMILE's; None without labels.
        woellmer: pitch, voicing and energy beside Praat.
        tripathi34: greatest relative error beside pyAudioAnalysis, by descriptor.
        clips: how many were compared.
    """

    r: dict[str, float]
    min_r: dict[str, float]
    uar: dict[str, float] | None
    woellmer: PraatAgreement
    tripathi34: dict[str, float]
    clips: int

    def to_dict(self) -> dict[str, object]:
        """Return the attributes by name, as plain values."""
        return asdict(self)


class _OpenSmile(Protocol):
    """openSMILE, as far as it is used here."""

    def process_signal(self, signal: NDArray[np.float32], sampling_rate: int) -> object:
        """Return a table of descriptors."""
        ...


def measure_agreement(
    audio: Path, data: Path | None, on_progress: _Progress = lambda what, done, total: None
) -> Agreement:
    """Compare all front ends with their references on the recordings in ``audio``.

    Args:
        audio: folder of wav or flac files at 16 kHz, searched whole.
        data: the derived IEMOCAP set; with it, and with RAVDESS's file names in ``audio``, a
            classifier is learned and scored.
        on_progress: see ``_Progress``.

    Raises:
        AffectstreamError: a reference, the data or the recordings are missing.
    """
    paths = recordings_to_compare(audio)
    train = (
        iemocap_statistics(data) if data else None
    )  # before the long work, for an error to come early
    smile = _opensmile()
    clips: list[ClipSamples] = []
    ours, theirs = np.empty((2, len(paths), len(UTTERANCE_STATISTICS)))
    for done, path in enumerate(paths):
        on_progress("egemaps", done, len(paths))
        clips.append(read_speech_clip(path))
        ours[done] = utterance_statistics(egemaps.extract_egemaps(clips[-1]))
        theirs[done] = _opensmile_statistics(clips[-1], smile)
    r = correlations(ours, theirs)
    return Agreement(
        r=r,
        min_r=least_by_group(r),
        uar=transfer_by_extractor(train, [path.stem for path in paths], ours, theirs)
        if train
        else None,
        woellmer=woellmer_agreement(_counted(clips, "woellmer", on_progress)),
        tripathi34=tripathi34_errors(_counted(clips, "tripathi34", on_progress)),
        clips=len(paths),
    )


def recordings_to_compare(folder: Path) -> list[Path]:
    """Return the recordings in ``folder``; raises ``AffectstreamError`` for fewer than two."""
    paths = speech_files_in(folder)
    if len(paths) < 2:
        raise AffectstreamError(
            f"{folder} holds {len(paths)} wav or flac files; a correlation needs two or more"
        )
    return paths


def _opensmile() -> _OpenSmile:
    """Return openSMILE; raises ``AffectstreamError`` where it is not installed."""
    package = installed("opensmile", "opensmile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would rather have a newer set
        smile: _OpenSmile = package.Smile(
            package.FeatureSet.eGeMAPSv01b, package.FeatureLevel.LowLevelDescriptors
        )
    return smile


def _opensmile_rows(clip: ClipSamples, smile: _OpenSmile) -> NDArray[np.float64]:
    """Return openSMILE's 23 descriptors, (n, 23), every 10 ms."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(smile.process_signal(as_signal(clip), SAMPLE_RATE_HZ), dtype=np.float64)


def _opensmile_statistics(clip: ClipSamples, smile: _OpenSmile) -> NDArray[np.float64]:
    """Return the 47 statistics of openSMILE's descriptors and of librosa's level."""
    rows = _opensmile_rows(clip, smile)
    return np.concatenate(
        (rows.mean(axis=0), rows.std(axis=0, ddof=1), [librosa_silence(as_signal(clip))])
    )


def librosa_silence(signal: NDArray[np.float32]) -> float:
    """Return the share of silence as the derived IEMOCAP set has it.

    The signal is brought to 22,050 Hz, and 1e-4 is added. The level is the root mean square of 2048
    samples every 512, with zeros beyond the ends. Returned is the share of frames whose level is at
    most 0.3 of the mean level.
    """
    wanted = round(len(signal) * _LIBROSA_HZ / SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(signal.astype(np.float64))
    resampled = np.fft.irfft(spectrum, wanted) * wanted / len(signal)  # brings no band but zeros
    padded = np.pad(resampled + 1e-4, _LIBROSA_FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _LIBROSA_FRAME)[::_LIBROSA_HOP]
    level = np.sqrt((frames**2).mean(axis=1))
    return float((level <= SILENCE_SHARE * level.mean()).mean())


def correlations(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> dict[str, float]:
    """Return Pearson's r of each statistic over the clips, (n, 47) each; NaN where one is constant.

    A clip that lacks a statistic does not count for it.
    """
    return {
        name: pearson(one, other)
        for name, one, other in zip(UTTERANCE_STATISTICS, ours.T, theirs.T, strict=True)
    }


def least_by_group(r: Mapping[str, float]) -> dict[str, float]:
    """Return the least r of the means of each of ``GROUPS``."""
    return {group: min(r[f"{name}_mean"] for name in names) for group, names in GROUPS.items()}


def transfer_by_extractor(
    train: LabelledStatistics,
    names: Sequence[str],
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
) -> dict[str, float] | None:
    """Return one classifier's UAR through each extractor; None where files are not RAVDESS's."""
    said = [ravdess_label(name) for name in names]
    named = [place for place, what in enumerate(said) if what]
    if not named:
        return None
    labels = np.array([what[0] for what in said if what])
    speakers = tuple(what[1] for what in said if what)
    tests = [LabelledStatistics(each[named], labels, speakers) for each in (ours, theirs)]
    return dict(zip(("ours", "opensmile"), transfer_uar(train, tests), strict=True))


def _counted(
    clips: Sequence[ClipSamples], what: str, on_progress: _Progress
) -> Iterator[ClipSamples]:
    for done, clip in enumerate(clips):
        on_progress(what, done, len(clips))
        yield clip
