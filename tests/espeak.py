"""Speech with known word times, from libespeak-ng."""

from __future__ import annotations

import ctypes
import ctypes.util
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LIBRARY = ctypes.util.find_library("espeak-ng")
_WORD, _END = 1, 0
_RATE = 1


def is_installed() -> bool:
    return _LIBRARY is not None


@dataclass(frozen=True)
class Spoken:
    """16 kHz mono samples, and when each word of the text begins, in seconds."""

    text: str
    samples: NDArray[np.int16]
    word_starts_s: list[float | None]  # None where espeak-ng speaks two words as one


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_uint64),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Espeak:
    """The synthesiser; one per process."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(_LIBRARY)
        self._rate_hz = self._library.espeak_Initialize(2, 500, None, 0)
        assert self._rate_hz > 0
        self._pcm = bytearray()
        self._words: list[tuple[int, int]] = []  # offset in the text, sample
        self._callback = _Callback(self._take)  # must outlive the library's use of it
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples, count, events) -> int:  # type: ignore[no-untyped-def]
        if count > 0:
            self._pcm += ctypes.string_at(samples, 2 * count)
        at = 0
        while events[at].type != _END:
            if events[at].type == _WORD:
                self._words.append((events[at].text_position - 1, events[at].sample))
            at += 1
        return 0

    def say(self, text: str, *, voice: str = "en-us+m7", rate: int = 160) -> Spoken:
        import soxr

        self._pcm.clear()
        self._words.clear()
        assert self._library.espeak_SetVoiceByName(voice.encode()) == 0
        self._library.espeak_SetParameter(_RATE, rate, 0)
        encoded = text.encode()
        self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, 1, None, None)
        self._library.espeak_Synchronize()
        native = np.frombuffer(bytes(self._pcm), np.int16)
        samples = soxr.resample(native, self._rate_hz, 16_000)
        starts: dict[int, int] = {}
        for offset, sample in self._words:
            starts.setdefault(offset, sample)
        words: list[float | None] = []
        offset = 0
        for word in text.split():
            start = starts.get(offset)
            words.append(None if start is None else start / self._rate_hz)
            offset += len(word) + 1
        return Spoken(text, samples, words)
