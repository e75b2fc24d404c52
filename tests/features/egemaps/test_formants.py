"""Formants: the predictor against the normal equations, and what bad frames give."""

from __future__ import annotations

import numpy as np
import pytest

from affectstream.features.egemaps.formants import (
    FORMANTS,
    PREDICTOR_ORDER,
    autocorrelation,
    formants,
    linear_prediction,
)
from affectstream.features.egemaps.spectral import spectra


def noise_frames(count: int = 30) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (count, 320)).astype(np.float32)


@pytest.mark.parametrize("count", [30, 100])
def test_prediction_solves_the_normal_equations(count: int) -> None:
    correlation = autocorrelation(spectra(noise_frames(count)))
    predictor = linear_prediction(correlation)
    lag = np.abs(np.subtract.outer(np.arange(PREDICTOR_ORDER), np.arange(PREDICTOR_ORDER)))
    for row, found in zip(correlation, predictor, strict=True):
        np.testing.assert_allclose(row[lag] @ found, row[1:], rtol=1e-6, atol=1e-8 * row[0])


def test_correlation_is_that_of_the_resampled_frame() -> None:
    frame = noise_frames(1)
    padded = np.zeros(512)
    padded[96:416] = frame[0] * np.hamming(320)
    bins = np.fft.rfft(padded)[:110]
    bins[0] *= 2
    signal = np.fft.irfft(bins, 352)[:220]
    want = [signal[: 220 - lag] @ signal[lag:] for lag in range(PREDICTOR_ORDER + 1)]
    got = autocorrelation(spectra(frame))[0]
    np.testing.assert_allclose(got / got[0], np.array(want) / want[0], atol=1e-12)


def test_level_does_not_move_formants() -> None:
    frames = noise_frames()
    loud, soft = formants(spectra(frames)), formants(spectra(frames * np.float32(1 / 1024)))
    np.testing.assert_allclose(soft, loud, rtol=1e-6)


def test_formants_rise_and_lie_in_range() -> None:
    rows = formants(spectra(noise_frames(200)))
    assert rows.shape == (200, 2 * FORMANTS)
    frequency = rows[:, :FORMANTS]
    assert (frequency[:, :3] >= 50).all()
    assert (frequency <= 5450).all()
    assert (np.diff(frequency, axis=1) > 0).all()


@pytest.mark.parametrize("count", [1, 40, 100])
def test_silence_has_no_formants(count: int) -> None:
    np.testing.assert_array_equal(formants(spectra(np.zeros((count, 320), np.float32))), 0)


@pytest.mark.parametrize("times", [1, 20])
def test_constant_and_clipped_frames_are_finite(times: int) -> None:
    wave = np.sin(np.arange(320) * 0.4)
    odd = np.array(
        [np.ones(320), -np.ones(320), np.sign(wave), wave, np.eye(320)[0] * 1e-5] * times
    )
    assert np.isfinite(formants(spectra(odd.astype(np.float32)))).all()


def test_no_frame_is_no_row() -> None:
    assert formants(spectra(np.zeros((0, 320), np.float32))).shape == (0, 2 * FORMANTS)
