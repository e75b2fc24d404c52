"""Candidates of pitch, and the path through them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.features.egemaps.pitch_path import (
    DECIDE_FRAMES,
    LAG_FRAMES,
    SubharmonicPitchPath,
)
from affectstream.features.egemaps.subharmonics import (
    BINS,
    SUBHARMONIC_CANDIDATES,
    SubharmonicCandidates,
    peaks_only,
    subharmonic_candidates,
)


def spectrum(hz: float, harmonics: int = 12) -> NDArray[np.float32]:
    time = np.arange(960) / 16_000
    signal = sum(np.cos(2 * np.pi * hz * k * time) / k for k in range(1, harmonics + 1))
    window = np.exp(-0.5 * ((np.arange(960) - 479.5) / (0.4 * 479.5)) ** 2)
    return np.abs(np.fft.rfft(signal * window, 1024))[None].astype(np.float32)


def candidates(rows: list[list[tuple[float, float]]]) -> SubharmonicCandidates:
    hz = np.zeros((len(rows), SUBHARMONIC_CANDIDATES), dtype=np.float32)
    voicing = np.zeros_like(hz)
    for k, row in enumerate(rows):
        for place, (frequency, likeness) in enumerate(row):
            hz[k, place], voicing[k, place] = frequency, likeness
    return SubharmonicCandidates(hz, voicing)


def path_of(found: SubharmonicCandidates, chunk: int = 7) -> NDArray[np.float32]:
    path = SubharmonicPitchPath()
    parts = [
        path.push(SubharmonicCandidates(found.hz[k : k + chunk], found.voicing[k : k + chunk]))
        for k in range(0, len(found.hz), chunk)
    ]
    return np.concatenate((*parts, path.finish()))


@pytest.mark.parametrize("hz", [70, 100, 150, 220, 330, 480])
def test_the_best_candidate_of_a_harmonic_sound_is_its_pitch(hz: float) -> None:
    found = subharmonic_candidates(spectrum(hz))
    assert found.hz[0, 0] == pytest.approx(hz, rel=0.01)
    assert found.voicing[0, 0] > 0.7
    filled = found.hz[0] > 0
    assert (np.diff(found.voicing[0][filled]) <= 0).all()
    assert ((found.hz[0][filled] >= 55) & (found.hz[0][filled] <= 1000)).all()


def test_a_missing_fundamental_is_heard() -> None:
    time = np.arange(960) / 16_000
    signal = sum(np.cos(2 * np.pi * 150 * k * time) for k in (2, 3, 4, 5, 6))
    magnitude = np.abs(np.fft.rfft(signal * np.hanning(960), 1024))[None].astype(np.float32)
    assert subharmonic_candidates(magnitude).hz[0, 0] == pytest.approx(150, rel=0.02)


def test_silence_has_no_candidate() -> None:
    found = subharmonic_candidates(np.zeros((3, BINS), dtype=np.float32))
    assert not found.hz.any()
    assert not found.voicing.any()


def test_only_the_surroundings_of_peaks_are_kept() -> None:
    spectra = np.full((1, BINS), 0.1, dtype=np.float32)
    spectra[0, 100], spectra[0, 200] = 1.0, 1.0
    kept = np.flatnonzero(peaks_only(spectra)[0])
    assert kept.tolist() == [*range(103), *range(198, BINS)]


def test_a_single_octave_jump_is_bridged() -> None:
    good = [(120.0, 0.85), (240.0, 0.80)]
    rows = [good] * 30 + [[(240.0, 0.86), (120.0, 0.84)]] + [good] * 30
    assert np.allclose(path_of(candidates(rows)), 120)


def test_weak_candidates_are_unvoiced_and_strong_ones_voiced() -> None:
    rows = [[(150.0, 0.4)]] * 30 + [[(150.0, 0.9)]] * 30 + [[(150.0, 0.4)]] * 30
    path = path_of(candidates(rows))
    assert (path > 0).tolist() == [False] * 30 + [True] * 30 + [False] * 30


def test_frames_without_candidates_are_unvoiced() -> None:
    assert not path_of(candidates([[]] * 25)).any()


def test_decisions_come_in_time_and_do_not_depend_on_chunks() -> None:
    rng = np.random.default_rng(0)
    rows = [
        [(float(rng.uniform(60, 600)), float(v)) for v in np.sort(rng.uniform(0.4, 0.9, 6))[::-1]]
        for _ in range(237)
    ]
    found = candidates(rows)
    expected = path_of(found, 237)
    for chunk in (1, 3, 10, 64):
        assert np.array_equal(path_of(found, chunk), expected)
    path = SubharmonicPitchPath()
    decided = 0
    for k in range(237):
        decided += len(
            path.push(SubharmonicCandidates(found.hz[k : k + 1], found.voicing[k : k + 1]))
        )
        assert k + 1 - decided < LAG_FRAMES + DECIDE_FRAMES
