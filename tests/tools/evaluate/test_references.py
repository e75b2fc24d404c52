"""The comparison with the reference programs finds agreement where it is, and only there."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.errors import AffectstreamError
from affectstream.features import tripathi34
from affectstream_tools.evaluate import references
from sounds import voice


def clip() -> NDArray[np.int16]:
    return (voice(2.3) * 20_000).astype(np.int16)


def real_clips(data_folder: Path) -> list[NDArray[np.int16]]:
    soundfile = pytest.importorskip("soundfile")
    paths = sorted((data_folder / "ravdess16k").rglob("*.flac"))[::170]
    return [soundfile.read(path, dtype="int16")[0] for path in paths]


def test_tripathi34_agrees_with_pyaudioanalysis(data_folder: Path) -> None:
    pytest.importorskip("pyAudioAnalysis")
    errors = references.tripathi34_errors(real_clips(data_folder))
    assert len(errors) == 34
    assert max(errors.values()) < 1e-3


def test_a_difference_shows_as_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    spoken = clip()
    theirs = tripathi34.extract_tripathi34(spoken, *tripathi34.reference(spoken))
    theirs[:, 3] *= 1.01
    monkeypatch.setattr(references, "pyaudioanalysis_rows", lambda _: theirs)
    errors = references.tripathi34_errors([clip(), np.zeros(10, np.int16)])
    assert errors["spectral_centroid"] == pytest.approx(0.01, rel=0.02)
    assert sum(error > 1e-6 for error in errors.values()) == 1


def test_woellmer_agrees_with_praat(data_folder: Path) -> None:
    pytest.importorskip("parselmouth")
    agreement = references.woellmer_agreement([*real_clips(data_folder), np.zeros(10, np.int16)])
    assert agreement.pitch_r > 0.999
    assert agreement.energy_r > 0.999
    assert agreement.voicing > 0.99
    assert 0.95 < agreement.voicing_streaming <= 1
    assert 0.2 * agreement.frames < agreement.voiced < 0.8 * agreement.frames


def test_another_clip_does_not_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("parselmouth")
    other = references.praat_rows(clip()[::-1])
    monkeypatch.setattr(references, "praat_rows", lambda _: other)
    assert references.woellmer_agreement([clip()]).pitch_r < 0.9


def test_nothing_to_compare_is_said() -> None:
    with pytest.raises(AffectstreamError, match="50 ms"):
        references.woellmer_agreement([np.zeros(10, np.int16)])


def test_a_missing_reference_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    with pytest.raises(AffectstreamError, match="pip install praat-parselmouth"):
        references.woellmer_agreement([clip()])
