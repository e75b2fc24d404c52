"""The path through candidates: cheap to follow, decided after a fixed number of frames."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.features.praat_pitch import (
    LAGS,
    PATH_DELAY_FRAMES,
    PraatPitchPath,
    autocorrelation_candidates,
    may_be_voiced,
    unvoiced_strength,
)

Floats = NDArray[np.float64]


def frames(*candidates: list[tuple[float, float]]) -> tuple[Floats, Floats]:
    pairs = np.array([[(0.0, 0.45), *each] for each in candidates])
    return pairs[..., 0], pairs[..., 1]


def path(pitch_hz: Floats, strength: Floats, pieces: int = 1) -> list[float]:
    found = PraatPitchPath(0.01)
    settled: list[float] = []
    for hz, strong in zip(
        np.array_split(pitch_hz, pieces), np.array_split(strength, pieces), strict=True
    ):
        settled += found.push((hz, strong))
    return settled + found.finish()


def best_of_all(pitch_hz: Floats, strength: Floats) -> float:
    """The highest score of any path, by trying all."""
    costs = PraatPitchPath(0.01)._costs(pitch_hz)
    assert not costs[0].any()
    scores = [(strength[0][k], k) for k in range(pitch_hz.shape[1])]
    paths = [(score, [k]) for score, k in scores]
    for step in range(1, len(pitch_hz)):
        paths = [
            (score - costs[step][to, taken[-1]] + strength[step][to], [*taken, to])
            for score, taken in paths
            for to in range(pitch_hz.shape[1])
        ]
    return max(score for score, _ in paths)


def test_an_octave_that_is_a_little_stronger_for_a_moment_is_not_followed() -> None:
    steady = [(200.0, 0.80), (100.0, 0.75)]
    moment = [(200.0, 0.80), (100.0, 0.85)]
    assert path(*frames(*[steady] * 5, moment, *[steady] * 5)) == [200.0] * 11


def test_a_moment_without_a_strong_voice_stays_voiced() -> None:
    voice, weak = [(150.0, 0.9)], [(152.0, 0.4)]
    assert path(*frames(voice, voice, weak, voice, voice)) == [150.0, 150.0, 152.0, 150.0, 150.0]


def test_the_path_is_the_best_of_all() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        pitch_hz = np.concatenate((np.zeros((6, 1)), random.uniform(60, 600, (6, 3))), axis=1)
        strength = random.uniform(0.2, 1.0, (6, 4))
        taken = [
            int(np.argmin(abs(row - hz)))
            for row, hz in zip(pitch_hz, path(pitch_hz, strength), strict=True)
        ]
        costs = PraatPitchPath(0.01)._costs(pitch_hz)
        score = sum(strength[i][k] for i, k in enumerate(taken))
        score -= sum(costs[i][taken[i], taken[i - 1]] for i in range(1, 6))
        assert score == pytest.approx(best_of_all(pitch_hz, strength))


def test_what_is_decided_does_not_depend_on_how_many_frames_came_at_once() -> None:
    random = np.random.default_rng(1)
    pitch_hz = np.concatenate((np.zeros((90, 1)), random.uniform(60, 600, (90, 4))), axis=1)
    strength = random.uniform(0.2, 1.0, (90, 5))
    whole = path(pitch_hz, strength)
    assert len(whole) == 90
    assert path(pitch_hz, strength, 90) == whole
    assert path(pitch_hz, strength, 7) == whole


def test_a_frame_is_decided_when_its_delay_has_passed() -> None:
    found = PraatPitchPath(0.01)
    one = frames([(100.0, 0.9)])
    assert [len(found.push(one)) for _ in range(PATH_DELAY_FRAMES + 3)] == [
        0
    ] * PATH_DELAY_FRAMES + [1] * 3


def test_state_stays_small() -> None:
    found = PraatPitchPath(0.01)
    for _ in range(300):
        found.push(frames(*[[(100.0, 0.9), (200.0, 0.8)]] * 10))
    assert len(found._history) == PATH_DELAY_FRAMES
    assert abs(found._score).max() < 1e3


def test_a_quiet_frame_cannot_be_voiced_and_is_not_looked_at() -> None:
    unvoiced = unvoiced_strength(np.array([0.001, 0.5]), np.array([1.0, 1.0]))
    assert may_be_voiced(unvoiced, 0.025).tolist() == [False, True]
    lags = np.cos(2 * np.pi * np.arange(LAGS) / 100)[None]  # 160 Hz
    pitch_hz, strength = autocorrelation_candidates(lags, np.array([1]), unvoiced)
    assert not pitch_hz[0].any()
    np.testing.assert_allclose(pitch_hz[1, 1:3], [160, 80], rtol=1e-3)
    assert strength[1, 1] > strength[1, 2] > 0.9
