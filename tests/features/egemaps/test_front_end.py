"""The assembled front end: its laws, and openSMILE on the same samples."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.features.egemaps.front_end import (
    EGEMAPS_COLUMNS,
    EGEMAPS_DESCRIPTORS,
    Egemaps,
    extract_egemaps,
)
from affectstream.features.egemaps.statistics import utterance_statistics
from sounds import hard_sounds, random_cuts, streamed, voice

SOUND = voice(2.3)
ROWS = streamed(Egemaps(), SOUND, [])


def column(rows: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    return rows[:, EGEMAPS_COLUMNS.index(name)]


@pytest.mark.parametrize("seed", range(4))
def test_rows_are_the_same_however_the_sound_was_cut(seed: int) -> None:
    cuts = random_cuts(len(SOUND), 3**seed, seed)
    np.testing.assert_array_equal(streamed(Egemaps(), SOUND, cuts), ROWS)


def test_rows_are_the_same_sample_by_sample() -> None:
    short = SOUND[4_000:12_000]
    whole = streamed(Egemaps(), short, [])
    np.testing.assert_array_equal(streamed(Egemaps(), short, [*range(1, len(short))]), whole)


def test_streaming_equals_batch() -> None:
    whole = extract_egemaps(SOUND)
    assert ROWS.shape == whole.shape == ((len(SOUND) - 960) // 160 + 1, 24)
    np.testing.assert_allclose(ROWS, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("name", "sound"), hard_sounds())
def test_hard_sounds_give_finite_rows(name: str, sound: NDArray[np.float32]) -> None:
    rows = streamed(Egemaps(), sound, [len(sound) // 3])
    assert np.isfinite(rows).all(), name
    assert rows.shape == (max(0, (len(sound) - 960) // 160 + 1), 24)
    np.testing.assert_allclose(rows, extract_egemaps(sound), rtol=1e-5, atol=1e-5)


def test_int16_and_float_are_one() -> None:
    samples = (SOUND * 20_000).astype(np.int16)
    as_float = samples.astype(np.float32) / 32_768
    np.testing.assert_array_equal(extract_egemaps(samples), extract_egemaps(as_float))


def test_state_is_bounded() -> None:
    front_end = Egemaps()
    front_end.push(SOUND)
    sizes = [len(front_end._waiting)]
    for _ in range(5):
        front_end.push(SOUND)
        sizes.append(len(front_end._waiting))
    assert max(sizes) < 120


def test_level_is_that_of_the_samples_around() -> None:
    tone = 0.5 * np.sin(np.arange(16_000) * 2 * np.pi * 0.0625).astype(np.float32)
    level = column(extract_egemaps(tone), "rms")
    np.testing.assert_allclose(level[10:], 0.5 / np.sqrt(2), rtol=1e-3)
    np.testing.assert_allclose(level[0], 0.5 / 2, rtol=1e-2)  # half of the window lies before
    np.testing.assert_allclose(column(extract_egemaps(tone * 0), "rms")[10:], 1e-4, rtol=1e-5)


def test_a_known_pitch_is_found() -> None:
    time_s = np.arange(16_000) / 16_000
    buzz = sum(np.sin(2 * np.pi * 220 * k * time_s) / k for k in range(1, 20)) * 0.2
    semitones = column(extract_egemaps(buzz.astype(np.float32)), "F0semitoneFrom27.5Hz")[10:-10]
    np.testing.assert_allclose(semitones, 36, atol=0.3)


def test_rows_are_opensmiles(data_folder: Path) -> None:
    opensmile = pytest.importorskip("opensmile")
    soundfile = pytest.importorskip("soundfile")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        smile = opensmile.Smile(
            opensmile.FeatureSet.eGeMAPSv01b, opensmile.FeatureLevel.LowLevelDescriptors
        )
    path = sorted((data_folder / "ravdess16k").rglob("*.flac"))[100]
    samples = soundfile.read(path, dtype="int16")[0]
    ours = extract_egemaps(samples)
    theirs = smile.process_signal(samples / np.float32(32_768), 16_000).to_numpy()
    ours, theirs = ours[:-3, :23], theirs[: len(ours) - 3]  # its end is written in two goes
    scale = np.maximum(np.abs(theirs), np.abs(theirs).mean(axis=0))
    error = dict(zip(EGEMAPS_DESCRIPTORS, (np.abs(ours - theirs) / scale).T, strict=True))
    for name in EGEMAPS_DESCRIPTORS[:10]:
        assert error[name].max() < 1e-3, name
    for name in ("F1frequency", "F1bandwidth", "F2frequency", "F3frequency"):
        assert np.quantile(error[name], 0.9) < 0.01, name
    statistics = utterance_statistics(extract_egemaps(samples))
    assert statistics[10] == pytest.approx(theirs[:, 10].mean(), rel=0.05)
