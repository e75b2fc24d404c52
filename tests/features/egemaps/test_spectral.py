"""Spectral descriptors of signals whose descriptors are known."""

from __future__ import annotations

import numpy as np

from affectstream.features.egemaps.spectral import (
    SPECTRAL_DESCRIPTORS,
    SpectralDescriptors,
    spectra,
)


def frames(signal: np.ndarray) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(signal.astype(np.float32), 320)[::160]


def describe(signal: np.ndarray) -> dict[str, np.ndarray]:
    rows = SpectralDescriptors().push(spectra(frames(signal)))
    return dict(zip(SPECTRAL_DESCRIPTORS, rows.T, strict=True))


def tone(hz: float, amplitude: float = 0.5, samples: int = 8_000) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * hz / 16_000 * np.arange(samples))


def test_silence() -> None:
    rows = describe(np.zeros(3_200))
    for name in ("alphaRatio", "hammarbergIndex", "spectralFlux"):
        np.testing.assert_array_equal(rows[name], 0)
    for number in range(1, 5):
        np.testing.assert_allclose(rows[f"mfcc{number}"], 0, atol=1e-9)
    np.testing.assert_allclose(rows["Loudness"], 0.00103, atol=1e-5)


def test_alpha_ratio_and_hammarberg_index_compare_bands() -> None:
    low, high = describe(tone(400)), describe(tone(3000))
    assert (low["alphaRatio"] < -20).all()
    assert (high["alphaRatio"] > 20).all()
    assert (low["hammarbergIndex"] > 20).all()
    assert (high["hammarbergIndex"] < -20).all()
    both = describe(tone(400) + tone(3000))
    np.testing.assert_allclose(both["hammarbergIndex"], 0, atol=0.3)


def test_loudness_grows_as_power_to_the_third() -> None:
    soft, loud = describe(tone(1000, 0.05)), describe(tone(1000, 0.5))
    np.testing.assert_allclose(loud["Loudness"] / soft["Loudness"], 100**0.33, rtol=0.02)


def test_flux_is_nought_where_the_spectrum_stays() -> None:
    steady = describe(tone(500))  # 5 periods to a hop
    np.testing.assert_allclose(steady["spectralFlux"], 0, atol=1e-4)
    step = describe(np.concatenate((np.zeros(4_000), tone(500))))
    assert step["spectralFlux"].max() > 0.1


def test_slopes_follow_the_tilt_of_the_spectrum() -> None:
    impulse = np.zeros(320)
    impulse[100] = 1
    flat = spectra(impulse[np.newaxis].astype(np.float32))
    hz = np.arange(257) * 31.25
    level = float(20 * np.log10(np.abs(flat[0, 0])))
    for slope in (-0.02, 0.01):
        tilted = flat * 10 ** ((slope * hz - level) / 20)  # 0 dB at 0 Hz
        rows = SpectralDescriptors().push(tilted)
        np.testing.assert_allclose(rows[0, 3:5], slope, rtol=1e-6)


def test_slopes_of_silence_are_those_of_the_floor() -> None:
    rows = describe(np.zeros(640))
    np.testing.assert_allclose(rows["slope0-500"], 0.112, rtol=1e-6)
    np.testing.assert_allclose(rows["slope500-1500"], 0.84 / 11, rtol=1e-6)


def test_chunks_do_not_matter() -> None:
    signal = np.random.default_rng(1).normal(0, 0.1, 16_000)
    spectrum = spectra(frames(signal))
    whole = SpectralDescriptors().push(spectrum)
    describer = SpectralDescriptors()
    parts = [describer.push(part) for part in np.array_split(spectrum, 17)]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-10, atol=1e-12)
    assert describer.push(spectrum[:0]).shape == (0, len(SPECTRAL_DESCRIPTORS))
