"""The front ends' benchmark, small: every figure is there; how quick they are is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from affectstream.errors import AffectstreamError
from affectstream_tools.bench import front_end_runs
from affectstream_tools.bench.front_ends import measure_front_ends
from affectstream_tools.commands.app import lab
from affectstream_tools.corpora.speech_clips import read_clips
from sounds import voice


def write(path: Path, seconds: float, rate_hz: int = 16_000, channels: int = 1) -> None:
    samples = (voice(seconds) * 20_000).astype("<i2")
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(channels)
        wav.setsampwidth(2)
        wav.setframerate(rate_hz)
        wav.writeframes(np.repeat(samples, channels).tobytes())


def test_a_command_prints_the_figures_of_each_front_end(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    pytest.importorskip("pyAudioAnalysis")
    write(tmp_path / "a.wav", 1.0)
    words = ["--audio", str(tmp_path), "--repeats", "2", "--no-microphone", "--json"]
    words += ["--only", "tripathi34,woellmer,pyaudioanalysis,praat"]
    program = "from affectstream_tools.commands.app import run_lab; run_lab()"
    done = subprocess.run(
        [sys.executable, "-c", program, "bench", "front-ends", *words],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("measured") == {
        "audio": tmp_path.name,
        "audio_s": 1.0,
        "clips": 1,
        "repeats": 2,
    }
    assert found.keys() == {"tripathi34", "woellmer", "pyaudioanalysis", "praat"}
    for name in ("tripathi34", "woellmer"):
        assert found[name].keys() == {"streaming_rtf", "batch_rtf"}
    for name in ("pyaudioanalysis", "praat"):
        assert found[name].keys() == {"rtf"}
    assert all(0 < value < 10 for values in found.values() for value in values.values())


def test_every_figure_that_is_asked_for_has_its_run() -> None:
    pytest.importorskip("affectstream.features.egemaps.front_end")
    for package in ("opensmile", "parselmouth", "pyAudioAnalysis"):
        pytest.importorskip(package)
    figures = {name: set(make()) for name, make in front_end_runs.SUBJECTS.items()}
    ours, theirs = {"streaming_rtf", "batch_rtf"}, {"rtf"}
    assert figures == {
        **dict.fromkeys(("egemaps", "tripathi34", "woellmer"), ours),
        **dict.fromkeys(("opensmile", "pyaudioanalysis", "praat"), theirs),
    }


def test_runs_are_interleaved_and_the_first_is_not_counted() -> None:
    said: list[str] = []
    chosen = {name: {"rtf": lambda clip, name=name: said.append(name)} for name in ("one", "other")}
    counted = [name for name, _, _ in front_end_runs.timed_runs([np.zeros(1)], 2, chosen)]
    assert said == ["one", "other"] * 3
    assert counted == ["one", "other"] * 2


def test_a_stream_is_fed_20_ms_at_a_time() -> None:
    fed: list[int] = []

    class Fake:
        def push(self, samples: np.ndarray) -> None:
            fed.append(len(samples))

        def finish(self) -> None:
            fed.append(-1)

    front_end_runs._streaming(Fake)(np.zeros(1_000, np.int16))
    assert fed == [320, 320, 320, 40, -1]


def test_clips_are_spread_over_the_folder_until_there_is_enough(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    for number in range(10):
        write(tmp_path / f"{number}.wav", 0.5 + number / 100, channels=2)
    clips = read_clips(str(tmp_path), 1.2)
    assert [clip.ndim for clip in clips] == [1, 1, 1]
    numbers = [round((len(clip) / 16_000 - 0.5) * 100) for clip in clips]
    assert len({number // 4 for number in numbers}) > 1
    assert len(read_clips(str(tmp_path), 1e6)) == 10


def test_a_clip_of_float_samples_is_as_loud_as_it_was_recorded(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.wav", np.full(16_000, 0.25), 16_000, subtype="FLOAT")
    (clip,) = read_clips(str(tmp_path), 0.5)
    assert clip.tolist() == [8_192] * 16_000


def test_without_a_folder_the_demo_speaks() -> None:
    (clip,) = read_clips(None, 70.0)
    assert len(clip) == 70 * 16_000
    assert np.abs(clip).max() > 3_000


def test_audio_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    pytest.importorskip("soundfile")
    with pytest.raises(AffectstreamError, match="holds no wav"):
        read_clips(str(tmp_path), 1)
    write(tmp_path / "fast.wav", 0.1, rate_hz=44_100)
    with pytest.raises(AffectstreamError, match="44100 Hz"):
        measure_front_ends(tmp_path, seconds=1, repeats=1, only=["tripathi34"])
    (tmp_path / "fast.wav").write_bytes(b"no sound")
    with pytest.raises(AffectstreamError, match="cannot be read"):
        read_clips(str(tmp_path), 1)


def test_an_unknown_front_end_is_refused() -> None:
    result = CliRunner().invoke(lab, ["bench", "front-ends", "--only", "egemaps,mfcc"])
    assert result.exit_code == 2
    assert "mfcc: no such front end" in result.stderr
