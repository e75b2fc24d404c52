"""What the tests of the front ends share: sounds, and one way to cut them up."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000


class FrontEnd(Protocol):
    def push(self, samples: NDArray[Any]) -> NDArray[np.float32]: ...

    def finish(self) -> NDArray[np.float32]: ...


def voice(seconds: float = 2.0, f0_hz: float = 140.0, seed: int = 0) -> NDArray[np.float32]:
    """A gliding harmonic tone with pauses, in a little noise."""
    random = np.random.default_rng(seed)
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    glide_hz = f0_hz * (1 + 0.2 * np.sin(2 * np.pi * 0.7 * time_s))
    phase = 2 * np.pi * np.cumsum(glide_hz) / RATE_HZ
    tone = sum(np.sin(k * phase) / k for k in range(1, 13))
    loud = 0.2 * np.clip(np.sin(2 * np.pi * 0.9 * time_s + 0.5), 0, None)
    return (loud * tone + 0.002 * random.normal(size=len(time_s))).astype(np.float32)


def noise(seconds: float = 1.0, seed: int = 1) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    return (0.1 * random.normal(size=round(seconds * RATE_HZ))).astype(np.float32)


def hard_sounds() -> list[tuple[str, NDArray[Any]]]:
    """Return inputs that no front end may choke on, by name."""
    sound = voice(1.5)
    half = sound.copy()
    half[5_000:9_000] = np.nan
    half[9_000:9_010] = np.inf
    spectrum = np.fft.rfft(sound)
    spectrum[len(spectrum) // 2 :] = 0
    return [
        ("silence", np.zeros(24_000, np.int16)),
        ("dc", np.full(24_000, 0.4, np.float32)),
        ("clipping", np.clip(sound * 50, -1, 1).astype(np.float32)),
        ("8 kHz band", np.fft.irfft(spectrum, len(sound))),
        ("nan", half),
        ("all nan", np.full(24_000, np.nan)),
        ("one sample in silence", np.r_[np.zeros(12_000), 1.0, np.zeros(12_000)]),
        ("int16's lowest", np.full(24_000, -32_768, np.int16)),
        ("nothing", np.zeros(0, np.float32)),
        ("too short", np.zeros(100, np.float32)),
    ]


def streamed(
    front_end: FrontEnd, samples: NDArray[Any], cuts: NDArray[np.int64] | list[int]
) -> NDArray[np.float32]:
    """Return all rows of ``samples`` pushed in the pieces between ``cuts``."""
    rows = [front_end.push(piece) for piece in np.split(samples, cuts)]
    return np.concatenate([*rows, front_end.finish()])


def random_cuts(length: int, pieces: int, seed: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(seed).integers(0, length + 1, pieces))
