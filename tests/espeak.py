"""Speech with known word times, from libespeak-ng.

The library has one global state, so the tests share the project's own binding to it: with two,
each would take the other's samples.
"""

from __future__ import annotations

import ctypes.util
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from affectstream_tools.synthesis.espeak import Espeak as Synthesiser
from affectstream_tools.synthesis.espeak import EspeakVoice, WordEvent


def is_installed() -> bool:
    return ctypes.util.find_library("espeak-ng") is not None


@dataclass(frozen=True)
class Spoken:
    """16 kHz mono samples, and when each word of the text begins, in seconds."""

    text: str
    samples: NDArray[np.int16]
    word_starts_s: list[float | None]  # None where espeak-ng speaks two words as one


class Espeak:
    """The synthesiser."""

    def __init__(self) -> None:
        self._synthesiser = Synthesiser()

    def say(self, text: str, *, voice: str = "en-us+m7", rate: int = 160) -> Spoken:
        import soxr

        spoken = self._synthesiser.say(text, EspeakVoice(voice, rate_wpm=rate))
        samples = soxr.resample(spoken.samples, spoken.sample_rate_hz, 16_000)
        starts: dict[int, int] = {}
        for event in spoken.events:
            if isinstance(event, WordEvent):
                starts.setdefault(event.offset, event.sample)
        words: list[float | None] = []
        offset = 0
        for word in text.split():
            start = starts.get(offset)
            words.append(None if start is None else start / spoken.sample_rate_hz)
            offset += len(word) + 1
        return Spoken(text, samples, words)
