"""Jitter and shimmer of waveforms whose periods are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.features.egemaps.jitter_shimmer import (
    PAST_SAMPLES,
    VOICED_HOP_SAMPLES,
    PeriodFollower,
)

FRAMES = 40


def padded(signal: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.concatenate((np.zeros(PAST_SAMPLES), signal)).astype(np.float32)


def sine(period: float, samples: int = FRAMES * VOICED_HOP_SAMPLES + 960) -> NDArray[np.float64]:
    return 0.5 * np.sin(2 * np.pi * np.arange(samples) / period)


@pytest.mark.parametrize("period", [32.0, 57.3, 100.0, 160.0, 210.5, 285.0])
def test_a_sine_has_neither(period: float) -> None:
    pitch = np.full(FRAMES, 16_000 / period, dtype=np.float32)
    rows = PeriodFollower().measure(padded(sine(period)), pitch)
    assert rows[:, 0].max() < 2e-3
    assert rows[:, 1].max() < 0.05


def test_periods_that_alternate_have_the_jitter_of_their_difference() -> None:
    lengths = np.tile([98, 102], 40)
    ring = np.exp(-np.arange(90) * 0.08) * np.sin(np.arange(90) * 0.4)
    signal = np.zeros(lengths.sum() + 100)
    for begin in np.cumsum(lengths) - 60:
        signal[begin : begin + 90] += ring
    rows = PeriodFollower().measure(padded(signal), np.full(FRAMES, 160.0, dtype=np.float32))
    assert np.median(rows[3:, 0]) == pytest.approx(0.04, rel=0.1)


def test_amplitudes_that_alternate_have_the_shimmer_of_their_ratio() -> None:
    one = np.sin(2 * np.pi * np.arange(100) / 100)
    signal = np.concatenate([one * (1.0 if k % 2 else 0.8) for k in range(80)])
    rows = PeriodFollower().measure(padded(signal), np.full(FRAMES, 160.0, dtype=np.float32))
    assert np.median(rows[3:, 1]) == pytest.approx(20 * np.log10(1 + 0.2 / 0.9), rel=0.1)


def test_unvoiced_frames_have_neither_and_forget_the_voice_before() -> None:
    pitch = np.full(FRAMES, 160.0, dtype=np.float32)
    pitch[10:20] = 0
    signal = sine(100.0)
    rows = PeriodFollower().measure(padded(signal), pitch)
    assert not rows[10:20].any()
    assert rows[20, 0] == 0


def test_frame_by_frame_is_the_same_as_all_at_once() -> None:
    rng = np.random.default_rng(0)
    signal = padded(sine(100.0) + 0.05 * rng.normal(size=FRAMES * VOICED_HOP_SAMPLES + 960))
    pitch = np.where(rng.random(FRAMES) < 0.9, 16_000 / rng.uniform(90, 110, FRAMES), 0)
    pitch = pitch.astype(np.float32)
    expected = PeriodFollower().measure(signal, pitch)
    follower = PeriodFollower()
    rows = [
        follower.measure(signal[k * VOICED_HOP_SAMPLES :], pitch[k : k + 1]) for k in range(FRAMES)
    ]
    assert np.array_equal(np.concatenate(rows), expected)


def test_the_deepest_pitch_stays_within_what_is_remembered() -> None:
    rng = np.random.default_rng(1)
    signal = padded(rng.normal(size=FRAMES * VOICED_HOP_SAMPLES + 960) * 0.1)
    pitch = rng.choice([55.0, 56.0, 400.0, 1000.0], FRAMES).astype(np.float32)
    follower = PeriodFollower()
    for k in range(FRAMES):
        begin = k * VOICED_HOP_SAMPLES
        seen = signal[begin : begin + PAST_SAMPLES + 960]
        assert np.isfinite(follower.measure(seen, pitch[k : k + 1])).all()
        assert follower._voice.begin + VOICED_HOP_SAMPLES > -PAST_SAMPLES


def test_a_pair_of_periods_may_end_after_the_last_one_does() -> None:
    pitch = np.full(3, 16_000 / 280, dtype=np.float32)
    pitch[2] = 400.0
    rows = PeriodFollower().measure(padded(sine(40.0)), pitch)
    assert rows[:, 1].max() < 0.05


def test_pitches_in_any_order_are_the_same_frame_by_frame_and_at_once() -> None:
    signal = padded(sine(40.0))
    pitch = np.random.default_rng(3).choice([0.0, 400.0, 200.0, 80.0, 400 / 7], FRAMES)
    pitch = pitch.astype(np.float32)
    expected = PeriodFollower().measure(signal, pitch)
    follower = PeriodFollower()
    rows = [
        follower.measure(signal[k * VOICED_HOP_SAMPLES :], pitch[k : k + 1]) for k in range(FRAMES)
    ]
    np.testing.assert_allclose(np.concatenate(rows), expected, atol=1e-6)
