"""The 34 short-term descriptors: the reference's numbers, whole or streamed."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.features.tripathi34 import (
    TRIPATHI_HOP_SAMPLES,
    Tripathi34,
    extract_tripathi34,
    reference,
    rescaled,
    utterance_matrix,
)
from sounds import hard_sounds, noise, random_cuts, streamed, voice


def pyaudioanalysis(samples: NDArray[np.int16]) -> tuple[NDArray[np.float64], list[str]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports a scipy module that moves
        module = pytest.importorskip("pyAudioAnalysis.ShortTermFeatures")
    rows, names = module.feature_extraction(samples, 16_000, 3_200, 1_600, deltas=False)
    return rows.T, names


def int16(signal: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.clip(np.round(signal * 32_768), -32_768, 32_767).astype(np.int16)


def worst(mine: NDArray[Any], theirs: NDArray[Any]) -> float:
    return float((np.abs(mine - theirs) / np.maximum(np.abs(theirs), 1e-6)).max())


@pytest.mark.parametrize("offset", [0.0, 0.1])
@pytest.mark.parametrize("make", [voice, noise])
def test_a_recording_gives_the_numbers_of_pyaudioanalysis(make: Any, offset: float) -> None:
    samples = int16(make(1.35) + np.float32(offset))
    theirs, names = pyaudioanalysis(samples)
    mine = extract_tripathi34(samples, *reference(samples))
    assert Tripathi34.names == tuple(names)
    assert mine.shape == theirs.shape == (12, 34)
    assert worst(mine, theirs) < 1e-4


def test_real_speech_gives_the_numbers_of_pyaudioanalysis(data_folder: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    for path in sorted((data_folder / "ravdess16k").rglob("*.flac"))[:3]:
        samples, _ = soundfile.read(path, dtype="int16")
        assert (
            worst(extract_tripathi34(samples, *reference(samples)), pyaudioanalysis(samples)[0])
            < 1e-3
        )


def test_silence_gives_the_numbers_of_pyaudioanalysis() -> None:
    samples = np.zeros(8_000, np.int16)
    assert (
        worst(extract_tripathi34(samples, *reference(samples)), pyaudioanalysis(samples)[0]) < 1e-6
    )


def test_a_stream_at_the_recordings_level_is_the_recording() -> None:
    samples = int16(voice(2.0) + np.float32(0.03))
    level = reference(samples)
    rows = streamed(Tripathi34(*level), samples, [7_000])
    np.testing.assert_allclose(rows, extract_tripathi34(samples, *level), rtol=1e-5, atol=1e-7)


def test_rows_of_an_unknown_level_are_brought_to_it_afterwards() -> None:
    samples = int16(voice(2.0))
    offset, peak = reference(samples)
    rows = streamed(Tripathi34(offset), samples, [])
    np.testing.assert_allclose(
        rescaled(rows, peak), extract_tripathi34(samples, offset, peak), rtol=1e-4, atol=1e-6
    )


def test_rows_do_not_depend_on_how_the_stream_was_cut() -> None:
    samples = int16(voice(1.1))
    whole = streamed(Tripathi34(), samples, [])
    np.testing.assert_array_equal(
        streamed(Tripathi34(), samples, np.arange(1, len(samples))), whole
    )
    for seed in range(5):
        cuts = random_cuts(len(samples), 12, seed)
        np.testing.assert_array_equal(streamed(Tripathi34(), samples, cuts), whole)
    np.testing.assert_allclose(whole, extract_tripathi34(samples), rtol=1e-5, atol=1e-7)


def test_a_row_describes_the_frame_that_starts_at_its_hop() -> None:
    samples = np.zeros(16_000, np.float32)
    samples[TRIPATHI_HOP_SAMPLES * 4 + 10] = 0.5
    energy = extract_tripathi34(samples)[:, 1]
    assert np.flatnonzero(energy).tolist() == [3, 4]


@pytest.mark.parametrize(("name", "samples"), hard_sounds())
def test_hard_input_is_finite(name: str, samples: NDArray[Any]) -> None:
    for rows in (streamed(Tripathi34(), samples, [len(samples) // 3]), extract_tripathi34(samples)):
        assert rows.dtype == np.float32
        assert rows.shape[1] == 34
        assert np.isfinite(rows).all()


def test_nan_counts_as_silence() -> None:
    sound = voice(1.0)
    gap = sound.copy()
    gap[3_000:6_000] = 0
    sound[3_000:6_000] = np.nan
    np.testing.assert_array_equal(extract_tripathi34(sound), extract_tripathi34(gap))


def test_an_utterance_is_a_hundred_rows() -> None:
    rows = np.ones((130, 34), np.float32)
    assert utterance_matrix(rows).shape == (100, 34)
    assert utterance_matrix(rows).all()
    short = utterance_matrix(rows[:7])
    assert short[:7].all()
    assert not short[7:].any()
    assert not utterance_matrix(rows[:0]).any()
