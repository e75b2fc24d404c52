"""A device that hands over nothing but zeros."""

from __future__ import annotations

import numpy as np

from affectstream.core.capture.mute import MuteDetector

RATE_HZ = 16_000


def test_a_muted_device_is_noticed_once_and_when_it_is_heard_again() -> None:
    detector = MuteDetector()
    zeros, sound = np.zeros(RATE_HZ, np.int16), np.ones(RATE_HZ, np.int16)
    changed = [detector.observe(zeros, RATE_HZ) for _ in range(12)]
    assert changed == [False] * 9 + [True, False, False]
    assert detector.observe(sound, RATE_HZ)
    assert not detector.muted
    assert not detector.observe(sound, RATE_HZ)
