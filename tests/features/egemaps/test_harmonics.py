"""Harmonics in a spectrum, against sounds whose harmonics are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.features.egemaps.harmonics import describe_harmonics, nearest_peaks

HNR, H1_H2, H1_A3, F1_LEVEL, F3_LEVEL = 0, 1, 2, 3, 5


def spectrum(hz: float, levels_db: list[float], noise: float = 0.0) -> NDArray[np.float32]:
    time = np.arange(960) / 16_000
    signal = sum(
        10 ** (db / 20) * np.cos(2 * np.pi * hz * k * time) for k, db in enumerate(levels_db, 1)
    )
    signal = signal + noise * np.random.default_rng(0).normal(size=960)
    window = np.exp(-0.5 * ((np.arange(960) - 479.5) / (0.4 * 479.5)) ** 2)
    return np.abs(np.fft.rfft(signal * window, 1024))[None].astype(np.float32)


def one(
    spectra: NDArray[np.float32], hz: float, formants_hz: tuple[float, float, float]
) -> NDArray[np.float32]:
    return describe_harmonics(
        spectra, np.array([hz], dtype=np.float32), np.array([formants_hz], dtype=np.float32)
    )[0]


def test_the_nearest_maximum_is_found_on_either_side() -> None:
    curve = np.array([[0, 1, 0, 0, 0, 2, 0, 0, 0]], dtype=np.float32)
    places = np.array([[0, 2, 3, 4, 8]])
    assert nearest_peaks(curve, places, prefer_left=True).tolist() == [[1, 1, 1, 5, 5]]
    assert nearest_peaks(curve, places, prefer_left=False).tolist() == [[1, 1, 5, 5, 5]]


def test_a_curve_without_maximum_has_a_place_all_the_same() -> None:
    places = nearest_peaks(np.zeros((1, 9), dtype=np.float32), np.array([[0, 8]]), prefer_left=True)
    assert ((places > 0) & (places < 8)).all()


def test_levels_are_those_of_the_harmonics() -> None:
    levels = [0.0, -4.0, -10.0, -12.0, -14.0, -30.0, -20.0, -40.0, -42.0, -44.0]
    hz = 200.0
    row = one(spectrum(hz, levels), hz, (600.0, 1400.0, 2050.0))
    assert row[H1_H2] == pytest.approx(6, abs=0.3)  # the second less the third
    assert row[F1_LEVEL] == pytest.approx(-10, abs=0.3)
    assert row[4] == pytest.approx(-20, abs=0.3)
    assert row[F3_LEVEL] == pytest.approx(-42, abs=1)  # the strongest within a fifth
    assert row[H1_A3] == pytest.approx(38, abs=1)


def test_a_formant_without_a_harmonic_has_the_level_of_the_fundamental() -> None:
    row = one(spectrum(300.0, [0.0, -6.0, -9.0]), 300.0, (150.0, 600.0, 900.0))
    assert row[F1_LEVEL] == 0


def test_noise_lowers_the_ratio() -> None:
    levels = [0.0, -6.0, -9.0, -12.0]
    ratios = [
        one(spectrum(150.0, levels, noise), 150.0, (500.0, 1500.0, 2500.0))[HNR]
        for noise in (0.0, 0.3, 1.0)
    ]
    assert ratios[0] > ratios[1] > ratios[2]


def test_no_frames_have_no_rows() -> None:
    empty = np.empty((0, 513), dtype=np.float32)
    assert describe_harmonics(
        empty, np.empty(0, np.float32), np.empty((0, 3), np.float32)
    ).shape == (0, 6)
