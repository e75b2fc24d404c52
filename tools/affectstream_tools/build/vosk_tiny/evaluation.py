"""Word error rate of a Vosk model on espeak-ng's speech, fed as a microphone would.

Never import kaldifst or pynini in a process that loads vosk: it hangs or crashes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affectstream_tools.build.vosk_tiny.pronunciations import edit_distance
from affectstream_tools.build.vosk_tiny.speech import ESPEAK_RATE_HZ, speak_sentence
from affectstream_tools.synthesis.espeak import Espeak, EspeakVoice

_LEAD_S, _TRAIL_S = 0.3, 0.9
_BLOCK_SAMPLES = 320
_SEED = 7


@dataclass(slots=True)
class Score:
    """What was measured over some sentences."""

    sentences: int = 0
    words: int = 0
    errors: int = 0
    start_errors_s: list[float] = field(default_factory=list)
    audio_s: float = 0.0
    processing_s: float = 0.0
    wrong: list[tuple[str, str]] = field(default_factory=list)

    def __iadd__(self, other: Score) -> Score:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    @property
    def word_error_rate(self) -> float:
        """Insertions, deletions and substitutions over the words spoken."""
        return self.errors / max(1, self.words)

    @property
    def start_error_ms(self) -> float:
        """Median distance of the start of a word from where it was spoken, in ms."""
        return 1000 * float(np.median(np.abs(self.start_errors_s))) if self.start_errors_s else 0.0


def load_model(folder: Path) -> Any:
    """Load a Vosk model quietly.

    Raises:
        FileNotFoundError: the folder holds none; build one with ``vosk_tiny build``.
    """
    if not (folder / "am" / "final.mdl").is_file():
        raise FileNotFoundError(
            f"{folder} holds no Vosk model; build one with `vosk_tiny build --out {folder}`"
        )
    import vosk

    vosk.SetLogLevel(-1)
    return vosk.Model(str(folder))


def recognise(model: Any, samples: NDArray[np.int16]) -> list[dict[str, Any]]:
    """Return the words (``word``, ``start``, ``end``, ``conf``) heard in 16 kHz ``samples``."""
    import vosk

    recogniser = vosk.KaldiRecognizer(model, ESPEAK_RATE_HZ)
    recogniser.SetWords(True)
    words: list[dict[str, Any]] = []
    for start in range(0, len(samples), _BLOCK_SAMPLES):
        if recogniser.AcceptWaveform(samples[start : start + _BLOCK_SAMPLES].tobytes()):
            words += json.loads(recogniser.Result()).get("result", [])
    words += json.loads(recogniser.FinalResult()).get("result", [])
    return words


def word_error_rate(
    model: Any,
    sentences: Sequence[str],
    voices: Sequence[str],
    ratio_db: float | None = None,
) -> Score:
    """Speak every sentence in every voice, at random rate and pitch, and score what is heard.

    ``ratio_db`` adds white noise at that signal-to-noise ratio.
    """
    espeak, generator, score = Espeak(), np.random.default_rng(_SEED), Score()
    for name in voices:
        for text in sentences:
            voice = EspeakVoice(
                name=name,
                rate_wpm=int(generator.integers(130, 195)),
                pitch=int(generator.integers(25, 75)),
            )
            sentence = speak_sentence(espeak, text, voice)
            samples = _recorded(sentence.samples, generator, ratio_db)
            started = time.process_time()
            heard = recognise(model, samples)
            score.processing_s += time.process_time() - started
            score.audio_s += len(samples) / ESPEAK_RATE_HZ
            _add(score, text, heard, sentence.word_starts)
    return score


def _recorded(
    samples: NDArray[np.float32], generator: np.random.Generator, ratio_db: float | None
) -> NDArray[np.int16]:
    lead = np.zeros(int(_LEAD_S * ESPEAK_RATE_HZ), np.float32)
    trail = np.zeros(int(_TRAIL_S * ESPEAK_RATE_HZ), np.float32)
    padded = np.concatenate([lead, samples, trail]) * 0.5
    if ratio_db is not None:
        level = np.sqrt((padded**2).mean()) * 10 ** (-ratio_db / 20)
        padded = padded + generator.standard_normal(len(padded)) * level
    return np.clip(np.round(padded), -32768, 32767).astype("<i2")


def _add(
    score: Score, text: str, heard: list[dict[str, Any]], word_starts: dict[int, float]
) -> None:
    said, found = text.split(), [str(word["word"]) for word in heard]
    errors = edit_distance(said, found)
    score.sentences += 1
    score.words += len(said)
    score.errors += errors
    if errors:
        score.wrong.append((text, " ".join(found)))
        return
    for place, start_s in word_starts.items():
        score.start_errors_s.append(float(heard[place]["start"]) - start_s - _LEAD_S)
