"""The transcript worker: speech recognition by Vosk.

Knows: the package vosk, and where its model may lie.
Refuses to know: utterances and time (``core.speech.transcriber``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from affectstream.bus import Endpoint
from affectstream.core.speech.recognition import RecognizedWord
from affectstream.core.speech.transcriber import Transcriber
from affectstream.errors import SourceError
from affectstream.run.loop import run
from affectstream.timebase import SAMPLE_RATE_HZ

MODEL_VARIABLE = "AFFECTSTREAM_VOSK_MODEL"
HOW_TO_GET_A_MODEL = (
    "no transcripts: no Vosk model was named; get one from https://alphacephei.com/vosk/models "
    "(such as vosk-model-small-en-us-0.15), unzip it and pass --vosk-model DIR"
)


class VoskRecognizer:
    """The recogniser of one utterance.

    Args:
        vosk: the module.
        model: a ``vosk.Model``; all recognisers share it.
    """

    def __init__(self, vosk: Any, model: Any) -> None:
        self._kaldi = vosk.KaldiRecognizer(model, SAMPLE_RATE_HZ)
        self._kaldi.SetWords(True)
        self._done: list[RecognizedWord] = []  # words before pauses that Vosk found itself
        self._last = ""
        self._samples = 0

    def accept(self, pcm: bytes) -> str | None:
        """Take samples (16 kHz s16 mono); return the text so far, or None if it is unchanged."""
        self._samples += len(pcm) // 2
        if self._kaldi.AcceptWaveform(pcm):
            self._take(self._kaldi.Result())
            guess = ""
        else:
            guess = json.loads(self._kaldi.PartialResult())["partial"]
        text = " ".join([*(word.text for word in self._done), *guess.split()])
        if text == self._last:
            return None
        self._last = text
        return text

    def finish(self) -> list[RecognizedWord]:
        """Return all words, with their times in seconds since the utterance began."""
        self._take(self._kaldi.FinalResult())
        return self._done

    def _take(self, answer: str) -> None:
        result = json.loads(answer)
        words = result.get("result")
        if words is None:  # a model without word boundaries gives the text alone
            end_s = self._samples / SAMPLE_RATE_HZ
            start_s = self._done[-1].end_s if self._done else 0.0
            self._done += [RecognizedWord(text, start_s, end_s) for text in result["text"].split()]
            return
        self._done += [RecognizedWord(w["word"], w["start"], w["end"], w["conf"]) for w in words]


def find_model(model: Path | str | None) -> Path | None:
    """Return the model's folder: the argument, else ``$AFFECTSTREAM_VOSK_MODEL``, else None.

    Raises:
        SourceError: the folder that was named is not a Vosk model.
    """
    named = model or os.environ.get(MODEL_VARIABLE)
    if not named:
        return None
    path = Path(named)
    if not (path / "am" / "final.mdl").is_file() and not (path / "final.mdl").is_file():
        raise SourceError(
            f"{path} is no Vosk model (it has no am/final.mdl); unzip one from "
            "https://alphacephei.com/vosk/models and pass --vosk-model DIR"
        )
    return path


def load_vosk(path: Path) -> Callable[[], VoskRecognizer]:
    """Load a model and return the function that makes a recogniser for each utterance.

    Raises:
        SourceError: Vosk is not installed, or cannot read the model.
    """
    try:
        import vosk
    except (ImportError, OSError) as error:
        raise SourceError(
            f"transcripts need the package vosk ({error}); pip install 'affectstream[mic]'"
        ) from error
    vosk.SetLogLevel(-1)
    try:
        model = vosk.Model(str(path))
    except Exception as error:  # Vosk raises nothing more specific
        raise SourceError(
            f"Vosk cannot read the model in {path} ({error}); download it again"
        ) from error
    return lambda: VoskRecognizer(vosk, model)


def run_transcriber(
    *,
    address: str | Endpoint,
    session: str,
    model: Path | str | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> None:
    """Transcribe every microphone of a session until ``stopping()``.

    Args:
        address: the hub's.
        session: the dialogue.
        model: the folder of a Vosk model; None takes ``$AFFECTSTREAM_VOSK_MODEL``.

    Raises:
        SourceError: Vosk is not installed, or no model was named, or it cannot be used.
    """
    path = find_model(model)
    if path is None:
        raise SourceError(HOW_TO_GET_A_MODEL)
    machine = Transcriber(load_vosk(path), session=session, engine=f"vosk {path.resolve().name}")
    kinds = ("audio", "utterance.started", "utterance.ended", "stream.opened", "stream.closed")
    prefixes = [f"{kind}/{session}/" for kind in (*kinds, "progress")]
    run(machine, address=address, prefixes=prefixes, stopping=stopping)
