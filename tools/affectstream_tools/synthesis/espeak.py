"""Speech from espeak-ng, with the time of every phone and word.

The library is bound directly because its events carry sample positions, which the command line
program does not print. It has one global state: a process has one ``Espeak``, however often it asks
for one, and two threads must not use it at once.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SYNCHRONOUS = 2
_PHONEME_EVENTS = 0x0001
_EVENT_END, _EVENT_WORD, _EVENT_PHONEME = 0, 1, 7
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_UTF8 = 1


class SynthesisError(Exception):
    """Speech cannot be made; the message is one sentence with a remedy."""


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """How to speak.

    Attributes:
        name: language and variant, such as ``en-us+f2``.
        rate_wpm: words per minute, 80..450.
        pitch, pitch_range: 0..100.
        volume: 0..200, 100 is the library's normal one.
    """

    name: str = "en-us"
    rate_wpm: int = 165
    pitch: int = 50
    pitch_range: int = 50
    volume: int = 100


@dataclass(frozen=True, slots=True)
class PhoneEvent:
    """A phone begins; ``name`` is espeak-ng's mnemonic."""

    sample: int
    name: str


@dataclass(frozen=True, slots=True)
class WordEvent:
    """A word begins; ``offset`` is its first character in the text."""

    sample: int
    offset: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """Samples, int16 mono, and the events in them, in order of time."""

    samples: NDArray[np.int16]
    sample_rate_hz: int
    events: tuple[PhoneEvent | WordEvent, ...]


class _Id(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Espeak:
    """The synthesiser; every ``Espeak()`` is the same one.

    It keeps a state from one sentence to the next, so the same sentences give the same samples
    only in the same order from the start of a process.

    Raises:
        SynthesisError: the library is not installed or does not start.
    """

    _only: Espeak | None = None

    def __new__(cls) -> Espeak:
        """Return the process's synthesiser, started if need be."""
        if cls._only is None:
            made = super().__new__(cls)
            made._start()
            cls._only = made  # kept for ever: the library calls back into it
        return cls._only

    def _start(self) -> None:
        try:
            self._library: Any = ctypes.CDLL("libespeak-ng.so.1")
        except OSError as error:
            raise SynthesisError(
                f"libespeak-ng cannot be loaded ({error}); install the package libespeak-ng1"
            ) from error
        # Synchronous mode hands the samples to the callback and is some six times faster than
        # retrieval mode.
        self.sample_rate_hz = int(
            self._library.espeak_Initialize(_SYNCHRONOUS, 500, None, _PHONEME_EVENTS)
        )
        if self.sample_rate_hz <= 0:
            raise SynthesisError("espeak-ng does not start; install the package espeak-ng-data")
        self._pcm: list[bytes] = []
        self._events: list[PhoneEvent | WordEvent] = []
        self._callback = _Callback(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)
        self._variants = self._variant_folder()

    def say(self, text: str, voice: EspeakVoice) -> Spoken:
        """Return ``text`` spoken by ``voice``.

        Raises:
            SynthesisError: there is no such voice.
        """
        self._set_voice(voice)
        self._pcm, self._events = [], []
        encoded = text.encode()
        self._library.espeak_Synth(encoded, len(encoded) + 1, 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        samples = np.frombuffer(b"".join(self._pcm), dtype=np.int16)
        return Spoken(samples, self.sample_rate_hz, tuple(self._events))

    def _set_voice(self, voice: EspeakVoice) -> None:
        variant = voice.name.partition("+")[2]
        # The library ignores an unknown variant and speaks with the plain voice.
        if variant and not (self._variants / variant).is_file():
            raise SynthesisError(
                f"espeak-ng has no variant {variant!r}; see the names in {self._variants}"
            )
        if self._library.espeak_SetVoiceByName(voice.name.encode()) != 0:
            raise SynthesisError(f"espeak-ng has no voice {voice.name!r}; see espeak-ng --voices")
        for parameter, value in (
            (_RATE, voice.rate_wpm),
            (_VOLUME, voice.volume),
            (_PITCH, voice.pitch),
            (_RANGE, voice.pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, int(value), 0)

    def _variant_folder(self) -> Path:
        self._library.espeak_Info.restype = ctypes.c_char_p
        folder = ctypes.c_char_p()
        self._library.espeak_Info(ctypes.byref(folder))
        return Path((folder.value or b"").decode()) / "voices" / "!v"

    def _collect(self, wav: Any, count: int, events: Any) -> int:
        if count > 0:
            self._pcm.append(ctypes.string_at(wav, 2 * count))
        index = 0
        while events[index].type != _EVENT_END:
            event = events[index]
            if event.type == _EVENT_PHONEME:
                self._events.append(PhoneEvent(event.sample, bytes(event.id.string).decode()))
            elif event.type == _EVENT_WORD and event.text_position > 0:  # 0: the text's end
                self._events.append(WordEvent(event.sample, event.text_position - 1))
            index += 1
        return 0
