"""The demo dialogue: what is bundled, and that it can be built again."""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affectstream.core.capture.audio import CapturedAudio
from affectstream.core.speech.segmenter import UtteranceSegmenter
from affectstream.core.speech.voice_activity import VoiceActivity
from affectstream.data import demo_folder, tiny_vosk_model
from affectstream.messages import UtteranceEnded
from affectstream.sources.mocap.frames import MocapFrame, MocapLoss, MocapRecording
from affectstream_tools.build.demo_dialogue.face import FRAME_RATE_HZ
from affectstream_tools.synthesis.espeak import Espeak, EspeakVoice, SynthesisError, WordEvent
from conftest import lacks

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((demo_folder() / "dialogue.json").read_text())
    return loaded


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    with wave.open(str(demo_folder() / "dialogue.wav")) as wav:
        assert (wav.getframerate(), wav.getnchannels(), wav.getsampwidth()) == (RATE_HZ, 2, 2)
        return np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)


@pytest.fixture(scope="module")
def synthesiser() -> Espeak:
    try:
        return Espeak()
    except SynthesisError as error:
        lacks(str(error))
        raise


def channel_of(description: dict[str, Any], samples: np.ndarray, speaker: str) -> np.ndarray:
    channels = {entry["name"]: entry["channel"] for entry in description["speakers"]}
    return np.ascontiguousarray(samples[:, channels[speaker]])


def test_the_dialogue_says_that_it_is_synthetic(description: dict[str, Any]) -> None:
    assert description["synthetic"] is True
    assert "synthetic" in (demo_folder() / "README.md").read_text()


def test_the_dialogue_is_small_and_about_half_a_minute(description: dict[str, Any]) -> None:
    sizes = {path.name: path.stat().st_size for path in demo_folder().iterdir()}

    assert sizes["dialogue.wav"] < 2_500_000
    assert sizes["anna.csv"] + sizes["ben.csv"] < 1_000_000
    assert 30 <= description["duration_s"] <= 35


def test_turns_alternate_with_pauses_between_and_go_through_the_feelings(
    description: dict[str, Any],
) -> None:
    turns = description["utterances"]

    assert len(turns) == 12
    for first, second in pairwise(turns):
        assert first["speaker"] != second["speaker"]
        assert 0.59 <= second["start_s"] - first["end_s"] <= 1.01
    feelings = list(dict.fromkeys(turn["intended_emotion"] for turn in turns))
    assert feelings == ["neutral", "sadness", "anger", "happiness"]


def test_words_lie_in_order_within_their_turn(description: dict[str, Any]) -> None:
    for turn in description["utterances"]:
        words = turn["words"]
        assert [word["text"] for word in words] == turn["text"].split()
        edges = [edge for word in words for edge in (word["start_s"], word["end_s"])]
        assert edges == sorted(edges)
        assert edges[0] == pytest.approx(turn["start_s"], abs=0.06)
        assert edges[-1] <= turn["end_s"] + 0.001
        assert all(word["end_s"] - word["start_s"] > 0.04 for word in words)


def test_each_speaker_is_on_one_channel_and_no_channel_is_silent(
    description: dict[str, Any], samples: np.ndarray
) -> None:
    speaking = {"anna": np.zeros(len(samples), bool), "ben": np.zeros(len(samples), bool)}
    for turn in description["utterances"]:
        start, end = (round(turn[edge] * RATE_HZ) for edge in ("start_s", "end_s"))
        speaking[turn["speaker"]][start:end] = True

    for speaker, at in speaking.items():
        channel = channel_of(description, samples, speaker).astype(float)
        assert 5 < channel[~at].std() < 30, "low noise, not digital silence"
        assert channel[at].std() > 400
        assert np.abs(channel).max() < 32_000, "nothing clips"


@pytest.mark.parametrize("speaker", ["anna", "ben"])
def test_the_utterances_separate_at_the_turns(
    description: dict[str, Any], samples: np.ndarray, speaker: str
) -> None:
    pytest.importorskip("webrtcvad")
    from affectstream.sources.webrtc import WebRtcDetector

    segmenter = UtteranceSegmenter(
        VoiceActivity(WebRtcDetector()).classify,
        session="s",
        source=f"mic.{speaker}",
        speaker=speaker,
        start_ns=0,
    )
    channel = channel_of(description, samples, speaker)
    out = []
    for start in range(0, len(channel), 320):
        out += segmenter.receive(CapturedAudio(start, channel[start : start + 320]), 0)
    out += segmenter.close(0)

    found = [message for message in out if isinstance(message, UtteranceEnded)]
    said = [turn for turn in description["utterances"] if turn["speaker"] == speaker]
    assert [message.utterance for message in found] == [turn["id"] for turn in said]
    for message, turn in zip(found, said, strict=True):
        assert message.start_ns / 1e9 == pytest.approx(turn["start_s"], abs=0.15)
        assert message.end_ns / 1e9 == pytest.approx(turn["end_s"], abs=0.15)


def test_the_tiny_model_hears_every_word(description: dict[str, Any], samples: np.ndarray) -> None:
    pytest.importorskip("vosk")
    from affectstream_tools.build.vosk_tiny.evaluation import load_model, recognise

    model = load_model(tiny_vosk_model())
    for turn in description["utterances"]:
        first, last = turn["start_s"] - 0.2, turn["end_s"] + 0.4
        channel = channel_of(description, samples, turn["speaker"])
        heard = recognise(model, channel[round(first * RATE_HZ) : round(last * RATE_HZ)])
        assert " ".join(word["word"] for word in heard) == turn["text"]
        for word, said in zip(heard, turn["words"], strict=True):
            assert word["start"] + first == pytest.approx(said["start_s"], abs=0.08)


def face(speaker: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    recording = MocapRecording([demo_folder() / f"{speaker}.csv"])
    items = list(recording.frames())
    recording.close()
    assert not [item for item in items if isinstance(item, MocapLoss)]
    frames = [item for item in items if isinstance(item, MocapFrame)]
    values = np.stack([frame.values for frame in frames])
    times_s = np.array([frame.time_ns for frame in frames]) / 1e9
    return times_s, dict(zip(recording.layout.channels, values.T, strict=True))


@pytest.mark.parametrize("speaker", ["anna", "ben"])
def test_the_face_follows_the_feelings_and_the_jaw_the_voice(
    description: dict[str, Any], speaker: str
) -> None:
    times_s, units = face(speaker)
    turns = [turn for turn in description["utterances"] if turn["speaker"] == speaker]

    def mean(unit: str, feeling: str) -> float:
        during = np.zeros(len(times_s), bool)
        for turn in turns:
            if turn["intended_emotion"] == feeling:
                during |= (times_s >= turn["start_s"] + 0.4) & (times_s < turn["end_s"])
        return float(units[unit][during].mean())

    assert len(times_s) == pytest.approx(description["duration_s"] * FRAME_RATE_HZ, abs=1)
    assert mean("AU12_r", "happiness") > 2 > 1 > mean("AU12_r", "sadness")
    assert mean("AU15_r", "sadness") > 1 > mean("AU15_r", "happiness")
    assert mean("AU04_r", "anger") > 1.5 > mean("AU04_r", "neutral")
    speaking = np.zeros(len(times_s), bool)
    for turn in turns:
        speaking |= (times_s >= turn["start_s"]) & (times_s < turn["end_s"])
    assert units["AU26_r"][speaking].mean() > 4 * units["AU26_r"][~speaking].mean()
    assert (units["AU45_r"] > 1.5).any(), "it blinks"


def test_building_it_again_gives_the_same_dialogue(
    tmp_path: Path, description: dict[str, Any], synthesiser: Espeak
) -> None:
    pytest.importorskip("soxr")
    # In processes of their own: espeak-ng keeps a state from one sentence to the next.
    for name in ("one", "two"):
        module = "affectstream_tools.build.demo_dialogue.build"
        command = [sys.executable, "-m", module, "--out", str(tmp_path / name)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)

    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    again = json.loads((tmp_path / "one" / "dialogue.json").read_text())
    said = [turn["text"] for turn in again["utterances"]]
    assert said == [turn["text"] for turn in description["utterances"]]


def test_speech_comes_with_its_words(synthesiser: Espeak) -> None:
    spoken = synthesiser.say("hello my friend", EspeakVoice("en-us+f2"))

    words = [event.offset for event in spoken.events if isinstance(event, WordEvent)]
    assert words == [0, 6, 9]
    assert [e.sample for e in spoken.events] == sorted(e.sample for e in spoken.events)
    assert np.abs(spoken.samples).max() > 1000


@pytest.mark.parametrize("name", ["xx-none", "en-us+none"])
def test_a_voice_that_does_not_exist_is_refused(synthesiser: Espeak, name: str) -> None:
    with pytest.raises(SynthesisError, match="espeak-ng has no"):
        synthesiser.say("hello", EspeakVoice(name))
