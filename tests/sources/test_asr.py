"""Real Vosk on speech whose word times are known."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from affectstream.core.capture.audio import CapturedAudio
from affectstream.core.speech.segmenter import UtteranceSegmenter
from affectstream.core.speech.transcriber import Transcriber
from affectstream.core.speech.voice_activity import VoiceActivity
from affectstream.errors import SourceError
from affectstream.messages import Message, Transcript
from affectstream.sources.asr import find_model, load_vosk, run_transcriber
from affectstream.sources.webrtc import WebRtcDetector
from espeak import Espeak

MODEL = Path(__file__).parents[2] / "realtime" / "affectstream" / "data" / "vosk-tiny"
START_NS = 1_700_000_000_000_000_000
SENTENCES = (
    "i am so happy today",
    "why are you so sad",
    "i am very angry about this",
    "the children are afraid of the dog",
    "thank you my friend",
)


def transcribe(samples: NDArray[np.int16], make_recognizer) -> list[Transcript]:
    segmenter = UtteranceSegmenter(
        VoiceActivity(WebRtcDetector()).classify,
        session="s1",
        source="mic.anna",
        speaker="anna",
        start_ns=START_NS,
    )
    transcriber = Transcriber(make_recognizer, session="s1", engine="vosk")
    heard: list[Message] = segmenter.wake(0)
    for at in range(0, len(samples), 320):
        heard += segmenter.receive(CapturedAudio(at, samples[at : at + 320]), 0)
    heard += segmenter.close(0)
    out = [answer for message in heard for answer in transcriber.receive(message, 0)]
    return [message for message in out if isinstance(message, Transcript)]


def test_word_times_are_true_within_100_ms(espeak: Espeak) -> None:
    make_recognizer = load_vosk(MODEL)
    errors_ms: list[float] = []
    for number, text in enumerate(SENTENCES):
        spoken = espeak.say(text)
        lead = 16_000 + 1_237 * number
        samples = np.pad(spoken.samples // 2, (lead, 16_000))
        *partials, final = transcribe(samples, make_recognizer)
        assert final.final
        assert final.text == text
        assert partials
        errors_ms += [
            (word.start_ns - START_NS) / 1e6 - 1000 * (lead / 16_000 + start)
            for word, start in zip(final.words, spoken.word_starts_s, strict=True)
            if start is not None
        ]
    assert len(errors_ms) > 20
    assert np.abs(errors_ms).max() < 100


def test_speech_with_a_pause_inside_keeps_its_word_times(espeak: Espeak) -> None:
    """Vosk ends a sentence of its own accord at a pause; an utterance may hold several."""
    first, second = espeak.say("i am so happy today"), espeak.say("thank you my friend")
    recognizer = load_vosk(MODEL)()
    gap = 24_000
    samples = np.concatenate(
        [np.pad(first.samples, (0, gap)), np.pad(second.samples, (0, 16_000))]
    ).astype(np.int16)
    for at in range(0, len(samples), 3_200):
        recognizer.accept(samples[at : at + 3_200].tobytes())
    words = recognizer.finish()
    assert " ".join(word.text for word in words) == f"{first.text} {second.text}"
    offset_s = (len(first.samples) + gap) / 16_000
    truth = [*first.word_starts_s, *(s and s + offset_s for s in second.word_starts_s)]
    errors = [abs(w.start_s - t) for w, t in zip(words, truth, strict=True) if t]
    assert max(errors) < 0.1


def test_many_utterances_do_not_fill_the_memory(espeak: Espeak) -> None:
    make_recognizer = load_vosk(MODEL)
    samples = espeak.say("thank you").samples.tobytes()
    process = psutil.Process()

    def utterances(count: int) -> int:
        for _ in range(count):
            recognizer = make_recognizer()
            recognizer.accept(samples)
            recognizer.finish()
        del recognizer
        gc.collect()
        return process.memory_info().rss

    warm = utterances(50)
    assert utterances(200) - warm < 8e6


def test_silence_has_no_text() -> None:
    assert transcribe(np.zeros(32_000, np.int16), load_vosk(MODEL)) == []


def test_without_a_model_it_fails_and_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AFFECTSTREAM_VOSK_MODEL", raising=False)
    with pytest.raises(SourceError, match=r"https://alphacephei.com/vosk/models.*--vosk-model DIR"):
        run_transcriber(address="tcp://127.0.0.1:1", session="s1")


def test_the_model_is_found_by_argument_then_by_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AFFECTSTREAM_VOSK_MODEL", raising=False)
    assert find_model(None) is None
    monkeypatch.setenv("AFFECTSTREAM_VOSK_MODEL", str(MODEL))
    assert find_model(None) == MODEL
    monkeypatch.setenv("AFFECTSTREAM_VOSK_MODEL", "/elsewhere")
    assert find_model(MODEL) == MODEL


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is no Vosk model"):
        find_model(tmp_path)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broken_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "am").mkdir()
    (tmp_path / "am" / "final.mdl").write_bytes(b"nothing")
    with pytest.raises(SourceError, match="cannot read the model"):
        load_vosk(tmp_path)
