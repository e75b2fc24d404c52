"""The demo dialogue's sound: every turn spoken by espeak-ng, one channel for each speaker."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from affectstream_tools.build.demo_dialogue.script import CLOSING_PAUSE_S, SPEAKERS, ScriptTurn
from affectstream_tools.synthesis.espeak import Espeak, EspeakVoice, PhoneEvent, Spoken, WordEvent

SPOKEN_RATE_HZ = 16_000
_NOISE_RMS = 12.0  # about -69 dBFS: a quiet room, not digital silence
_LEVEL = 0.16  # times espeak-ng's: as loud as people in conversation are on average
_QUIET = 16  # of 32,768: what counts as silence at a turn's ends


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word; times in seconds from the dialogue's start."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """A turn and where it lies, in seconds from the dialogue's start."""

    turn: ScriptTurn
    start_s: float
    end_s: float
    words: tuple[SpokenWord, ...]


@dataclass(frozen=True, slots=True)
class DialogueAudio:
    """Samples, int16, shape (n, speakers), and the turns in them."""

    samples: NDArray[np.int16]
    turns: tuple[SpokenTurn, ...]


def speak_dialogue(turns: Sequence[ScriptTurn], seed: int) -> DialogueAudio:
    """Speak ``turns`` one after the other, with low noise on every channel.

    Raises:
        SynthesisError: espeak-ng is missing, or lacks a voice.
    """
    espeak, generator = Espeak(), np.random.default_rng(seed)
    placed: list[tuple[int, int, NDArray[np.float64]]] = []
    spoken_turns: list[SpokenTurn] = []
    position = 0
    for turn in turns:
        position += round(turn.pause_s * SPOKEN_RATE_HZ)
        spoken = espeak.say(turn.text, _voice(turn))
        samples, cut = _trimmed(_resampled(spoken))
        start_s = position / SPOKEN_RATE_HZ
        end_s = start_s + len(samples) / SPOKEN_RATE_HZ
        words = _words(turn.text, spoken, start_s - cut / SPOKEN_RATE_HZ, end_s)
        spoken_turns.append(SpokenTurn(turn, start_s, end_s, words))
        placed.append((position, list(SPEAKERS).index(turn.speaker), samples))
        position += len(samples)
    total = position + round(CLOSING_PAUSE_S * SPOKEN_RATE_HZ)
    mix = generator.standard_normal((total, len(SPEAKERS))) * _NOISE_RMS
    for start, channel, samples in placed:
        mix[start : start + len(samples), channel] += samples
    return DialogueAudio(np.clip(np.round(mix), -32768, 32767).astype("<i2"), tuple(spoken_turns))


def _voice(turn: ScriptTurn) -> EspeakVoice:
    name = SPEAKERS[turn.speaker]
    return EspeakVoice(name, turn.rate_wpm, turn.pitch, turn.pitch_range, turn.volume)


def _resampled(spoken: Spoken) -> NDArray[np.float64]:
    samples: NDArray[np.float64] = soxr.resample(
        spoken.samples.astype(np.float64), spoken.sample_rate_hz, SPOKEN_RATE_HZ
    )
    return samples * _LEVEL


def _trimmed(samples: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """Return the samples without the silence at both ends, and how many were cut in front."""
    loud = np.flatnonzero(np.abs(samples) > _QUIET)
    return samples[loud[0] : loud[-1] + 1], int(loud[0])


def _words(text: str, spoken: Spoken, offset_s: float, end_s: float) -> tuple[SpokenWord, ...]:
    """Return the words; those that espeak-ng runs together share their time evenly."""
    words = text.split()
    starts = [m.start() for m in _word_matches(text)]
    events = [event for event in spoken.events if isinstance(event, WordEvent)]
    times: dict[int, float] = {}
    for event in events:
        if event.offset in starts:
            time_s = offset_s + event.sample / spoken.sample_rate_hz
            times.setdefault(starts.index(event.offset), time_s)
    known = sorted(times)
    edges: list[float] = []
    for first, after in itertools.pairwise([*known, len(words)]):
        until_s = times.get(after, end_s)
        share = np.linspace(times[first], until_s, after - first + 1)[:-1]
        edges += [float(edge) for edge in share]
    pauses = [
        offset_s + event.sample / spoken.sample_rate_hz
        for event in spoken.events
        if isinstance(event, PhoneEvent) and event.name.startswith("_")
    ]
    ends = [*edges[1:], end_s]
    return tuple(
        SpokenWord(word, round(start, 3), round(_word_end(start, end, pauses), 3))
        for word, start, end in zip(words, edges, ends, strict=True)
    )


def _word_end(start_s: float, end_s: float, pauses: list[float]) -> float:
    return min([end_s, *(pause for pause in pauses if start_s + 0.03 < pause < end_s)])


def _word_matches(text: str) -> list[re.Match[str]]:
    return list(re.finditer(r"\S+", text))
