"""The comparison with openSMILE, small; and that it finds disagreement."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from affectstream.errors import AffectstreamError
from affectstream.features.egemaps.statistics import UTTERANCE_STATISTICS
from affectstream.features.framing import as_signal
from affectstream_tools.commands.app import lab
from affectstream_tools.evaluate.cross_corpus import LabelledStatistics
from affectstream_tools.evaluate.opensmile_agreement import (
    GROUPS,
    correlations,
    least_by_group,
    librosa_silence,
    measure_agreement,
    recordings_to_compare,
    transfer_by_extractor,
)
from sounds import voice


@pytest.fixture
def some_clips(data_folder: Path, tmp_path: Path) -> Path:
    """All clips of a man and a woman, 56: a speaker is standardised over all that is there."""
    for actor in ("Actor_01", "Actor_02"):
        for path in sorted((data_folder / "ravdess16k" / actor).glob("*.flac")):
            shutil.copy(path, tmp_path)
    return tmp_path


def test_the_command_prints_agreement(data_folder: Path, some_clips: Path) -> None:
    for package in ("opensmile", "parselmouth", "pyAudioAnalysis", "soundfile", "sklearn"):
        pytest.importorskip(package)
    derived = str(data_folder / "iemocap-derived")
    command = ["agreement", "--audio", str(some_clips), "--data", derived, "--json"]
    done = CliRunner().invoke(lab, command)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["r"]) == set(UTTERANCE_STATISTICS)
    assert set(found["min_r"]) == set(GROUPS)
    assert found["min_r"]["spectral"] > 0.999
    assert found["min_r"]["f0"] > 0.95
    assert found["min_r"]["formants"] > 0.99
    for name in ("HNRdBACF", "logRelF0-H1-H2", "logRelF0-H1-A3"):
        assert found["r"][f"{name}_mean"] > 0.95, name
    assert found["min_r"]["voice_quality"] == min(
        found["r"][f"{name}_mean"] for name in GROUPS["voice_quality"]
    )
    assert found["r"]["silence"] > 0.9
    assert found["uar"]["ours"] == pytest.approx(found["uar"]["opensmile"], abs=0.06)
    assert found["uar"]["ours"] > 0.3
    assert found["woellmer"]["pitch_r"] > 0.99
    assert max(found["tripathi34"].values()) < 1e-3
    assert "F3frequency" in done.stderr


def test_too_few_recordings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AffectstreamError, match="two or more"):
        recordings_to_compare(tmp_path)
    with pytest.raises(AffectstreamError, match="two or more"):
        measure_agreement(tmp_path, None)
    done = CliRunner().invoke(lab, ["agreement", "--audio", str(tmp_path)])
    assert done.exit_code == 1
    assert "two or more" in done.stderr


def test_correlation_is_pearsons_and_nan_where_there_is_none() -> None:
    random = np.random.default_rng(0)
    ours = random.normal(size=(40, 47))
    theirs = 2 * ours + 1
    theirs[:, 3] = random.normal(size=40)
    theirs[:, 5] = 7
    theirs[0, 7] = np.nan
    r = correlations(ours, theirs)
    assert r[UTTERANCE_STATISTICS[0]] == pytest.approx(1)
    assert r[UTTERANCE_STATISTICS[3]] == pytest.approx(np.corrcoef(ours[:, 3], theirs[:, 3])[0, 1])
    assert np.isnan(r[UTTERANCE_STATISTICS[5]])
    assert r[UTTERANCE_STATISTICS[7]] == pytest.approx(1)
    r[UTTERANCE_STATISTICS[5]] = 1.0
    assert least_by_group(r)["spectral"] == r[UTTERANCE_STATISTICS[3]]
    assert least_by_group(r)["formants"] == pytest.approx(1)


def test_silence_is_the_share_of_quiet_frames() -> None:
    loud = voice(1.0)
    half = np.concatenate((loud, np.zeros_like(loud)))
    assert librosa_silence(half) - librosa_silence(loud) > 0.2
    assert librosa_silence(as_signal(np.zeros(16_000, np.int16))) == pytest.approx(0.05, abs=0.05)


def test_recall_needs_ravdess_names_and_is_the_same_for_the_same_statistics() -> None:
    random = np.random.default_rng(0)
    labels = random.integers(0, 4, 400)
    statistics = random.normal(size=(400, 47))
    statistics[:, 0] += 2 * labels
    statistics[:, 1] += 2 * (labels == 2)
    train = LabelledStatistics(statistics, labels, ("a",) * 200 + ("b",) * 200)
    assert transfer_by_extractor(train, ["x", "y"], statistics[:2], statistics[:2]) is None
    codes = ["05", "03", "01", "04"]  # of the classes, in their order
    names = [f"03-01-{codes[label]}-01-01-01-{1 + n % 2:02}" for n, label in enumerate(labels)]
    found = transfer_by_extractor(train, names, statistics, -statistics)
    assert found is not None
    assert found["ours"] > 0.6
    assert found["opensmile"] < 0.4
