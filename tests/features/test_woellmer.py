"""MFCC, mel bands, pitch and energy: Praat's numbers, whole or streamed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.features.woellmer import (
    DELAY_ROWS,
    WOELLMER_HOP_SAMPLES,
    Woellmer,
    extract_woellmer,
)
from sounds import RATE_HZ, hard_sounds, noise, random_cuts, streamed, voice

NAMES = Woellmer.names
PITCH, ENERGY = NAMES.index("pitch_hz"), NAMES.index("energy_db")


def praat(samples: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pitch and intensity of the same frames: the samples' length must fit them exactly."""
    sound = pytest.importorskip("parselmouth").Sound(samples.astype(float), RATE_HZ)
    pitch = sound.to_pitch_ac(time_step=0.025, pitch_floor=60, pitch_ceiling=600)
    intensity = sound.to_intensity(minimum_pitch=128, time_step=0.025)
    return pitch.selected_array["frequency"], intensity.values[0]


def fitting(samples: NDArray[Any]) -> NDArray[Any]:
    return samples[: 800 + (len(samples) - 800) // WOELLMER_HOP_SAMPLES * WOELLMER_HOP_SAMPLES]


def peak(samples: NDArray[Any]) -> float:
    return float(np.abs(samples - samples.mean()).max())


def tone(frequency_hz: float, seconds: float = 0.8) -> NDArray[np.float32]:
    phase = 2 * np.pi * frequency_hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return sum(0.1 / k * np.sin(k * phase) for k in range(1, 8)).astype(np.float32)


def test_there_are_82_columns_and_the_second_half_are_slopes() -> None:
    assert len(NAMES) == 82
    assert NAMES[:41] == tuple(name.removeprefix("delta_") for name in NAMES[41:])
    assert sum(name.startswith("mfcc") for name in NAMES) == 12
    assert sum(name.startswith("mel") for name in NAMES) == 27


@pytest.mark.parametrize("frequency_hz", [65, 83, 120, 187, 250, 333, 480, 590])
def test_the_pitch_of_a_tone_is_its_frequency(frequency_hz: float) -> None:
    pitch = extract_woellmer(tone(frequency_hz))[:, PITCH]
    np.testing.assert_allclose(pitch, frequency_hz, rtol=5e-3)


def test_pitch_and_energy_of_a_glide_are_praats() -> None:
    samples = fitting(voice(3.0))
    rows, (pitch, energy) = extract_woellmer(samples, peak(samples)), praat(samples)
    np.testing.assert_array_equal(rows[:, PITCH] > 0, pitch > 0)
    assert 0.3 < (pitch > 0).mean() < 0.9
    np.testing.assert_allclose(rows[:, PITCH], pitch, rtol=5e-3)
    np.testing.assert_allclose(rows[:, ENERGY], energy, atol=0.1)


def test_pitch_and_energy_of_real_speech_are_praats(data_folder: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    for path in sorted((data_folder / "ravdess16k").rglob("*.flac"))[:200:50]:
        samples = fitting(soundfile.read(path)[0])
        rows, (pitch, energy) = extract_woellmer(samples, peak(samples)), praat(samples)
        assert ((rows[:, PITCH] > 0) == (pitch > 0)).mean() > 0.99
        both = (rows[:, PITCH] > 0) & (pitch > 0)
        assert np.corrcoef(rows[both, PITCH], pitch[both])[0, 1] > 0.99
        heard = energy > 0
        assert np.corrcoef(rows[heard, ENERGY], energy[heard])[0, 1] > 0.999


def test_noise_and_silence_have_no_pitch() -> None:
    for samples in (noise(2.0), np.zeros(16_000, np.float32)):
        assert (extract_woellmer(samples)[:, PITCH] > 0).mean() < 0.02


def test_energy_is_the_level_over_20_micropascal() -> None:
    time_s = np.arange(16_000) / RATE_HZ
    energy = extract_woellmer(0.1 * np.sin(2 * np.pi * 1_000 * time_s))[:, ENERGY]
    np.testing.assert_allclose(energy, 10 * np.log10(0.1**2 / 2 / 4e-10), atol=0.05)


def test_a_tone_is_loudest_in_its_band() -> None:
    first = NAMES.index("mel_1")
    edges_hz = 700 * np.expm1(np.linspace(0, np.log1p(8_000 / 700), 29))
    for band in (3, 11, 24):
        time_s = np.arange(8_000) / RATE_HZ
        rows = extract_woellmer(0.1 * np.sin(2 * np.pi * edges_hz[band + 1] * time_s))
        assert set(rows[:, first : first + 27].argmax(axis=1)) == {band}


def test_a_slope_is_half_the_difference_of_its_neighbours() -> None:
    rows = extract_woellmer(voice(1.0))
    padded = np.concatenate((rows[:1], rows, rows[-1:]))[:, :41]
    slopes = (padded[2:] - padded[:-2]) / 2
    voiced = padded[:, PITCH] > 0
    slopes[:, PITCH] *= voiced[2:] & voiced[1:-1] & voiced[:-2]
    np.testing.assert_allclose(rows[:, 41:], slopes, atol=1e-3)
    assert rows[:, 41 + PITCH].any()


def test_rows_do_not_depend_on_how_the_stream_was_cut() -> None:
    samples = (voice(1.7) * 20_000).astype(np.int16)
    whole = streamed(Woellmer(), samples, [])
    one_by_one = streamed(Woellmer(), samples, np.arange(1, len(samples)))
    np.testing.assert_array_equal(one_by_one, whole)
    for seed in range(5):
        cuts = random_cuts(len(samples), 12, seed)
        np.testing.assert_array_equal(streamed(Woellmer(), samples, cuts), whole)
    np.testing.assert_allclose(whole, extract_woellmer(samples), rtol=1e-5, atol=1e-5)


def test_a_row_comes_within_its_delay_and_a_block() -> None:
    front_end = Woellmer()
    samples = voice(4.0)
    count = 0
    for start in range(0, len(samples), 400):
        count += len(front_end.push(samples[start : start + 400]))
        frames = max(0, (start + 400 - 800) // WOELLMER_HOP_SAMPLES + 1)
        assert count >= frames - DELAY_ROWS - 10
    assert count + len(front_end.finish()) == frames


def test_a_stream_learns_what_is_loud_and_forgets_it() -> None:
    click = np.zeros(RATE_HZ, np.float32)
    click[8_000] = 1.0
    quiet = 0.05 * tone(150, 60.0)
    pitch = extract_woellmer(np.concatenate((click, quiet)))[:, PITCH]
    assert not pitch[50:80].any()
    assert (pitch[-100:] > 0).all()


@pytest.mark.parametrize(("name", "samples"), hard_sounds())
def test_hard_input_is_finite(name: str, samples: NDArray[Any]) -> None:
    for rows in (streamed(Woellmer(), samples, [len(samples) // 3]), extract_woellmer(samples)):
        assert rows.dtype == np.float32
        assert rows.shape[1] == 82
        assert np.isfinite(rows).all()
