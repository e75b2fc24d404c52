"""The voice's nine descriptors: the laws of streams, and voices whose measures are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.features.egemaps.jitter_shimmer import VOICED_HOP_SAMPLES
from affectstream.features.egemaps.voiced import (
    PITCH_FRAME_SAMPLES,
    VOICED_DELAY_FRAMES,
    VOICED_DESCRIPTORS,
    VoicedDescriptors,
)

RATE_HZ = 16_000
F0, JITTER, SHIMMER, HNR = 0, 1, 2, 3
FORMANTS_HZ = (500.0, 1500.0, 2500.0)


def frames_of(signal: NDArray[np.floating]) -> NDArray[np.float32]:
    windows = np.lib.stride_tricks.sliding_window_view(
        signal.astype(np.float32), PITCH_FRAME_SAMPLES
    )
    return windows[::VOICED_HOP_SAMPLES]


def describe(signal: NDArray[np.floating], block: int = 10) -> NDArray[np.float32]:
    frames = frames_of(signal)
    formants = np.tile(np.array(FORMANTS_HZ, dtype=np.float32), (len(frames), 1))
    voice = VoicedDescriptors()
    rows = [
        voice.push(frames[k : k + block], formants[k : k + block])
        for k in range(0, len(frames), block)
    ]
    return np.concatenate((*rows, voice.finish()))


def vowel(
    periods: NDArray[np.floating], amplitudes: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Pulses, ``periods`` samples apart, through three resonances."""
    pulses = np.cumsum(periods)
    amplitudes = np.ones(len(pulses)) if amplitudes is None else amplitudes
    signal = np.zeros(int(pulses[-1]) + 600)
    for pulse, amplitude in zip(pulses, amplitudes, strict=True):
        begin = int(np.ceil(pulse))
        time = np.arange(begin, begin + 500) - pulse
        for k, hz in enumerate(FORMANTS_HZ):
            ring = np.exp(-time * 0.03) * np.sin(2 * np.pi * hz / RATE_HZ * time)
            signal[begin : begin + 500] += amplitude * ring / (k + 1)
    return 0.3 * signal / np.abs(signal).max()


def steady_vowel(hz: float, seconds: float = 1.2) -> NDArray[np.float64]:
    return vowel(np.full(int(seconds * hz), RATE_HZ / hz))


def middle(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return rows[10:-20]


def test_the_deepest_voice_may_be_missed_but_not_heard_an_octave_off() -> None:
    semitones = middle(describe(steady_vowel(60)))[:, F0]
    voiced = semitones[semitones > 0]
    assert (np.abs(voiced - 12 * np.log2(60 / 27.5)) < 0.25).all()


@pytest.mark.parametrize("hz", [75, 95, 120, 160, 200, 240, 300, 380, 440, 500])
def test_a_vowel_has_its_pitch_and_no_octave_error(hz: int) -> None:
    semitones = middle(describe(steady_vowel(hz)))[:, F0]
    assert np.abs(semitones - 12 * np.log2(hz / 27.5)).max() < 0.25


def test_a_gliding_pitch_is_followed() -> None:
    hz = np.exp(np.linspace(np.log(110), np.log(220), 240))
    rows = middle(describe(vowel(RATE_HZ / hz)))[:, F0]
    assert (rows > 0).all()
    assert np.abs(np.diff(rows)).max() < 1
    assert rows[-1] - rows[0] > 8


def test_jitter_grows_with_the_differences_between_periods() -> None:
    noise = np.random.default_rng(1).normal(size=160)
    means = []
    for percent in (0.0, 0.5, 1.0, 2.0):
        rows = middle(describe(vowel(120 * (1 + percent / 100 * noise))))
        means.append(rows[rows[:, F0] > 0, JITTER].mean())
    assert means[0] < 1e-3
    assert all(np.diff(means) > 0)
    # two independent deviations of 2 % differ by 2.26 % on average
    assert means[3] == pytest.approx(np.abs(np.diff(0.02 * noise)).mean(), rel=0.25)


def test_shimmer_grows_with_the_differences_between_amplitudes() -> None:
    noise = np.random.default_rng(2).normal(size=160)
    means = []
    for spread in (0.0, 0.03, 0.06, 0.12):
        rows = middle(describe(vowel(np.full(160, 120.0), np.exp(spread * noise))))
        means.append(rows[rows[:, F0] > 0, SHIMMER].mean())
    assert means[0] < 0.05
    assert all(np.diff(means) > 0)


def test_noise_lowers_the_harmonics_to_noise_ratio() -> None:
    voice = steady_vowel(130)
    noise = np.random.default_rng(3).normal(size=len(voice))
    means = []
    for level in (0.0, 0.01, 0.02, 0.04):
        rows = middle(describe(voice + level * noise))
        means.append(rows[rows[:, F0] > 0, HNR].mean())
    assert all(np.diff(means) < 0)
    assert means[0] - means[3] > 2


def test_a_frame_without_voice_has_no_measures() -> None:
    rows = describe(np.zeros(8000))
    assert len(rows) == len(frames_of(np.zeros(8000)))
    assert (rows[:, :6] == 0).all()
    assert (rows[:, 6:] == -201).all()


@pytest.mark.parametrize(
    "signal",
    [
        np.zeros(8000),
        np.full(8000, 0.5),
        np.sign(np.sin(np.arange(8000) * 0.05)),
        np.random.default_rng(4).normal(size=8000),
        np.where(np.arange(8000) % 133 == 0, 1.0, 0.0),
        np.full(8000, 1e-30),
        np.sin(np.arange(8000) * np.pi / 2),
        np.eye(1, 8000, 4000)[0],
    ],
    ids=["silence", "dc", "square", "noise", "clicks", "denormal", "4 kHz", "one click"],
)
def test_every_row_is_finite(signal: NDArray[np.float64]) -> None:
    rows = describe(np.clip(signal, -1, 1))
    assert rows.shape == ((8000 - 960) // 160 + 1, len(VOICED_DESCRIPTORS))
    assert np.isfinite(rows).all()


@pytest.mark.parametrize("seed", range(5))
def test_rows_do_not_depend_on_how_frames_arrive(seed: int) -> None:
    rng = np.random.default_rng(seed)
    hz = 150 * np.exp(0.3 * np.sin(np.arange(260) / 20))
    signal = vowel(RATE_HZ / hz) + 0.003 * rng.normal(size=len(vowel(RATE_HZ / hz)))
    signal[9000:13000] *= 0.001
    frames = frames_of(signal)
    formants = rng.uniform(300, 3000, (len(frames), 3)).astype(np.float32)
    voice = VoicedDescriptors()
    rows = []
    cuts = np.sort(rng.integers(0, len(frames) + 1, 12))
    for begin, end in zip([0, *cuts], [*cuts, len(frames)], strict=True):
        rows.append(voice.push(frames[begin:end], formants[begin:end]))
    rows.append(voice.finish())
    whole = VoicedDescriptors()
    expected = np.concatenate((whole.push(frames, formants), whole.finish()))
    np.testing.assert_allclose(np.concatenate(rows), expected, rtol=1e-5, atol=1e-4)


def test_a_row_waits_no_longer_than_is_said() -> None:
    frames = frames_of(steady_vowel(140, 2.0))
    formants = np.tile(np.array(FORMANTS_HZ, dtype=np.float32), (len(frames), 1))
    voice = VoicedDescriptors()
    finished = 0
    for k in range(len(frames)):
        finished += len(voice.push(frames[k : k + 1], formants[k : k + 1]))
        assert k - finished < VOICED_DELAY_FRAMES
    assert finished + len(voice.finish()) == len(frames)


def test_rows_do_not_depend_on_how_many_voices_are_followed_side_by_side() -> None:
    pause = np.zeros(4 * VOICED_DELAY_FRAMES * VOICED_HOP_SAMPLES // 5)
    rng = np.random.default_rng(2)
    voices = [vowel(16_000 / hz * rng.uniform(0.98, 1.02, 60)) for hz in (110, 150, 190, 230, 310)]
    signal = np.concatenate([part for voice in voices for part in (voice, pause)])
    frames = frames_of(signal)
    formants = np.tile(np.array(FORMANTS_HZ, dtype=np.float32), (len(frames), 1))
    at_once = VoicedDescriptors(follow_frames=len(frames))
    assert not len(at_once.push(frames, formants))
    rows = at_once.finish()
    expected = describe(signal)
    assert (rows[:, JITTER] > 0).sum() > 100
    np.testing.assert_allclose(rows, expected, rtol=1e-5, atol=1e-5)
