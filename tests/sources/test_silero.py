"""Silero's detector: what it hears, what it needs, and that torch stays out of it."""

from __future__ import annotations

import random
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from affectstream.core.capture.audio import CapturedAudio
from affectstream.core.speech.segmenter import UtteranceSegmenter
from affectstream.core.speech.voice_activity import VoiceActivity
from affectstream.errors import SourceError
from affectstream.messages import Message, UtteranceEnded
from affectstream.sources import silero
from affectstream.sources.silero import SileroDetector


@pytest.fixture
def detector() -> SileroDetector:
    pytest.importorskip("onnxruntime")
    try:
        return SileroDetector()
    except SourceError as error:
        pytest.skip(str(error))


def answers(detector: SileroDetector, samples: NDArray[np.int16]) -> list[bool]:
    frames = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    return [detector.is_speech(frame.tobytes()) for frame in frames]


def clips(data_folder: Path, count: int) -> list[NDArray[np.int16]]:
    soundfile = pytest.importorskip("soundfile")
    paths = sorted((data_folder / "ravdess16k").glob("Actor_*/*.flac"))
    if not paths:
        pytest.skip("needs ravdess16k")
    return [soundfile.read(p, dtype="int16")[0] for p in paths[:: len(paths) // count]][:count]


def test_silence_noise_and_hum_are_no_speech(detector: SileroDetector) -> None:
    noise = np.random.default_rng(1).normal(0, 800, 32_000).astype(np.int16)
    hum = (3000 * np.sin(2 * np.pi * 100 * np.arange(32_000) / 16_000)).astype(np.int16)
    for sound in (np.zeros(32_000, np.int16), noise, hum):
        assert not any(answers(detector, sound))


def test_acted_speech_is_heard(detector: SileroDetector, data_folder: Path) -> None:
    """The clips begin and end in silence of a second or so."""
    for samples in clips(data_folder, 6):
        heard = answers(detector, samples)
        assert 0.2 < np.mean(heard) < 0.8
        assert not any(heard[:10])


def segment(detector: SileroDetector, blocks: list[CapturedAudio]) -> list[Message]:
    machine = UtteranceSegmenter(
        VoiceActivity(detector, trusted=True).classify,
        session="s1",
        source="mic.anna",
        speaker="anna",
        start_ns=0,
    )
    return [m for block in blocks for m in machine.receive(block, 0)] + machine.close(0)


def test_law_chunks_of_any_size_give_the_same_messages(
    detector: SileroDetector, data_folder: Path
) -> None:
    samples = np.concatenate(clips(data_folder, 2))
    whole = segment(detector, [CapturedAudio(0, samples)])
    assert sum(isinstance(m, UtteranceEnded) for m in whole) >= 2
    rng = random.Random(4)
    cuts = sorted({0, len(samples), *(rng.randrange(len(samples)) for _ in range(400))})
    blocks = [CapturedAudio(a, samples[a:b]) for a, b in pairwise(cuts)]
    assert segment(SileroDetector(), blocks) == whole


@pytest.mark.parametrize("missing", ["onnxruntime", "silero-vad"])
def test_what_is_missing_is_named_with_a_remedy(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    if missing == "onnxruntime":
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
    else:
        pytest.importorskip("onnxruntime")
        monkeypatch.setattr(silero, "distribution", absent)
    with pytest.raises(SourceError, match=rf"{missing}; pip install 'affectstream\[silero\]'"):
        SileroDetector()


def test_torch_is_never_imported(detector: SileroDetector) -> None:
    program = (
        "import sys\n"
        "from affectstream.sources.silero import SileroDetector\n"
        "SileroDetector().is_speech(bytes(640))\n"
        "assert not {'torch', 'silero_vad'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
