"""Voices against noise, breath and silence."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.core.speech.voice_activity import VoiceActivity, frame_level_db, periodicity

RATE_HZ = 16_000


class Always:
    """A detector that takes everything for speech, or nothing."""

    def __init__(self, answer: bool = True) -> None:
        self.answer = answer

    def is_speech(self, frame: bytes) -> bool:
        assert len(frame) == 640
        return self.answer


def noise(seconds: float, level: float) -> NDArray[np.float64]:
    return np.random.default_rng(2).normal(0, level, int(seconds * RATE_HZ))


def buzz(seconds: float, level: float, pitch_hz: float = 110.0) -> NDArray[np.float64]:
    """A vowel of sorts: many harmonics of one pitch."""
    times = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return level * sum(np.sin(2 * np.pi * pitch_hz * k * times) / k for k in range(1, 12))


def voiced(samples: NDArray[np.float64], detector: Always | None = None) -> list[bool]:
    activity = VoiceActivity(detector or Always())
    frames = samples.astype("<i2")[: len(samples) // 320 * 320].reshape(-1, 320)
    return [activity.classify(frame.tobytes()).voiced for frame in frames]


def test_a_voice_stands_out_from_the_background() -> None:
    samples = np.concatenate([noise(1, 50), buzz(1, 3000), noise(1, 50)])
    heard = voiced(samples)
    assert not any(heard[:50])
    assert all(heard[51:99])
    assert not any(heard[101:])


def test_steady_noise_is_no_voice_however_loud_and_whatever_the_detector_says() -> None:
    assert not any(voiced(noise(5, 3000)))


def test_a_voice_is_heard_where_the_detector_has_grown_deaf() -> None:
    samples = np.concatenate([noise(1, 50), buzz(1, 3000)])
    assert all(voiced(samples, Always(False))[51:])


def test_a_trusted_detector_decides_alone_but_for_what_is_faint() -> None:
    samples = np.concatenate([buzz(1, 3000), noise(1, 3000), noise(1, 3)]).astype("<i2")
    frames = [frame.tobytes() for frame in samples.reshape(-1, 320)]
    deaf, credulous = (VoiceActivity(Always(answer), trusted=True) for answer in (False, True))
    assert not any(deaf.classify(frame).voiced for frame in frames)
    assert [credulous.classify(frame).voiced for frame in frames] == [True] * 100 + [False] * 50


def test_noise_that_only_the_level_takes_for_a_voice_is_none() -> None:
    samples = np.concatenate([noise(1, 50), noise(1, 3000)])
    assert not any(voiced(samples, Always(False)))


def test_what_is_far_below_the_last_voice_is_no_voice() -> None:
    samples = np.concatenate([noise(1, 3), buzz(1, 8000), noise(0.5, 3), buzz(1, 40)])
    assert not any(voiced(samples)[101:])


def test_a_background_that_gets_louder_is_soon_a_background_again() -> None:
    samples = np.concatenate([noise(2, 10), noise(20, 1000)])
    assert not any(voiced(samples)[-250:])


def test_digital_silence_is_no_voice() -> None:
    assert not any(voiced(np.zeros(RATE_HZ)))


@pytest.mark.parametrize("pitch_hz", [80.0, 110.0, 220.0, 380.0])
def test_voices_are_periodic_and_noise_is_not(pitch_hz: float) -> None:
    assert periodicity(buzz(0.04, 3000, pitch_hz).astype("<i2").tobytes()) > 0.9
    assert periodicity(noise(0.04, 3000).astype("<i2").tobytes()) < 0.5


def test_silence_and_too_little_sound_are_not_periodic() -> None:
    assert periodicity(bytes(1280)) == 0.0
    assert periodicity(bytes(100)) == 0.0


def test_a_level_is_relative_to_full_scale_and_ignores_an_offset() -> None:
    full = (32767 * np.sign(np.sin(np.arange(320)))).astype("<i2")
    assert frame_level_db(full.tobytes()) == pytest.approx(0.0, abs=0.1)
    assert frame_level_db(np.full(320, 8000, "<i2").tobytes()) < -100
