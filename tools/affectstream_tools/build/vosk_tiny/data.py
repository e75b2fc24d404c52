"""The training data: spoken sentences as frames, and the phone of each output frame."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from affectstream_tools.build.vosk_tiny.pronunciations import Lexicon, PronunciationCounter
from affectstream_tools.build.vosk_tiny.speech import (
    SILENCE,
    TRAINING_VARIANTS,
    Phone,
    coefficients,
    in_noise,
    non_speech,
    speak_sentence,
)
from affectstream_tools.synthesis.espeak import Espeak, EspeakVoice

SUBSAMPLING = 3  # libvosk takes an output frame to be 30 ms
_OUTPUT_FRAME_S = 0.03
_WINDOW_CENTRE_S = 0.0125
_SEED = 1


@dataclass(frozen=True, slots=True)
class SpokenClip:
    """One training clip: features (frames, 40) and one label per output frame."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a model is built from.

    Attributes:
        phones: silence first; a label is a place in this list.
        vocabulary: every word, sorted.
    """

    clips: list[SpokenClip]
    phones: list[str]
    vocabulary: list[str]
    lexicon: Lexicon
    sentences: list[str]


@dataclass(frozen=True, slots=True)
class Amount:
    """How much speech is made: copies of each sentence, random word salads, non-speech clips."""

    copies: int = 14
    salads: int = 1200
    non_speech: int = 150


def known_sentences(name: str) -> list[str]:
    """Return the bundled sentences ``train``, ``development`` or ``fresh``.

    Raises:
        FileNotFoundError: there is no such list.
    """
    folder = files("affectstream_tools.build.vosk_tiny") / "sentences"
    lines = (folder / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip()]


def make_data(texts: list[str], amount: Amount) -> TrainingData:
    """Speak ``texts`` in many voices and label every frame.

    Raises:
        SynthesisError: espeak-ng is missing, or lacks a voice.
    """
    generator = np.random.default_rng(_SEED)
    espeak = Espeak()
    vocabulary = sorted({word for text in texts for word in text.split()})
    jobs = [text for text in texts for _ in range(amount.copies)]
    jobs += [
        " ".join(generator.choice(vocabulary, size=generator.integers(3, 8)))
        for _ in range(amount.salads)
    ]
    counter = PronunciationCounter()
    spoken: list[tuple[NDArray[np.float32], tuple[Phone, ...], float]] = []
    for text in jobs:
        sentence = speak_sentence(
            espeak, text, _any_voice(generator), warp=generator.uniform(0.92, 1.08)
        )
        lead_s, trail_s = generator.uniform(0.05, 0.8), generator.uniform(0.05, 0.9)
        features = coefficients(in_noise(generator, sentence.samples, lead_s, trail_s))
        spoken.append((features, sentence.phones, lead_s))
        counter.add(text, sentence)
    for _ in range(amount.non_speech):
        signal = in_noise(generator, non_speech(generator), *generator.uniform(0, 0.3, 2))
        spoken.append((coefficients(signal), (), 0.0))
    names = {phone.name for _, phones, _ in spoken for phone in phones} - {SILENCE}
    phones = [SILENCE, *sorted(names)]
    places = {name: index for index, name in enumerate(phones)}
    clips = [
        SpokenClip(features, _labels(heard, lead_s, math.ceil(len(features) / SUBSAMPLING), places))
        for features, heard, lead_s in spoken
    ]
    return TrainingData(clips, phones, vocabulary, counter.lexicon(), texts)


def _any_voice(generator: np.random.Generator) -> EspeakVoice:
    language = "en-us" if generator.random() < 0.75 else "en"
    return EspeakVoice(
        name=language + str(generator.choice(TRAINING_VARIANTS)),
        rate_wpm=int(generator.integers(115, 215)),
        pitch=int(generator.integers(15, 85)),
        pitch_range=int(generator.integers(20, 80)),
    )


def _labels(
    phones: tuple[Phone, ...], lead_s: float, count: int, places: dict[str, int]
) -> NDArray[np.int64]:
    """Return one label per output frame; every phone gets at least one where there is room."""
    sequence = [(SILENCE, 0.0)]
    for phone in phones:
        if phone.name != SILENCE or sequence[-1][0] != SILENCE:
            sequence.append((phone.name, phone.start_s + lead_s))
    if sequence[-1][0] != SILENCE:
        sequence.append((SILENCE, math.inf))
    starts = [0]
    for _, start_s in sequence[1:]:
        frame = (start_s - _WINDOW_CENTRE_S) / _OUTPUT_FRAME_S
        nearest = min(count, max(0, math.ceil(frame))) if math.isfinite(frame) else count
        starts.append(max(nearest, starts[-1] + 1))
    starts.append(count)
    for index in range(len(starts) - 2, 0, -1):
        starts[index] = min(starts[index], starts[index + 1] - 1)
    labels = np.zeros(count, np.int64)
    for (name, _), (start, end) in zip(sequence, itertools.pairwise(starts), strict=True):
        labels[max(0, start) : max(0, end)] = places[name]
    return labels
