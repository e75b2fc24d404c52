"""`affectstream replay` over real processes: scores, live recognition, errors, interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from affectstream.bus import Inlet
from affectstream.commands import replay as replaying
from affectstream.commands.replay import ReplayPlan, play_corpus
from affectstream.data import tiny_vosk_model
from affectstream.messages import Emotion, Message, StreamClosed
from affectstream.run.processes import ProcessError, Processes, free_address
from affectstream.show.replay_score import ScoredListener
from bus_helpers import serve_until
from derived_copy import write_derived
from espeak import Espeak
from iemocap_copy import SpokenLine, WrittenDialogue, write_copy


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "affectstream", "replay", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def summary_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    scores = {"uar", "wa", "weighted_f1"}
    assert summary["provisional"].keys() == summary["final"].keys() == scores
    assert summary["improvised"]["provisional"].keys() == scores
    assert summary["improvised"]["final"].keys() == scores
    return summary


def test_a_derived_set_is_replayed_and_scored(tmp_path: Path) -> None:
    write_derived(tmp_path, utterances=10)
    summary = summary_of(command(str(tmp_path), "--dialogue", "Ses01F_impro01", "--json"))
    assert summary["utterances"] == 10
    assert summary["estimates"]["provisional"] == summary["estimates"]["final"] == 10
    assert "gaps" not in summary["estimates"]


def test_a_raw_copy_is_replayed_and_scored(tmp_path: Path) -> None:
    write_copy(tmp_path)
    summary = summary_of(command(str(tmp_path), "--transcript-delay-ms", "300", "--json"))
    assert summary["utterances"] == 6
    assert summary["estimates"]["final"] == 6


def test_a_raw_copy_is_replayed_with_live_recognition(tmp_path: Path) -> None:
    pytest.importorskip("vosk")
    write_copy(tmp_path)
    model = str(tiny_vosk_model())
    summary = summary_of(command(str(tmp_path), "--live-asr", "--vosk-model", model, "--json"))
    assert summary["utterances"] == 6
    assert summary["estimates"]["final"] == 6
    assert "gaps" not in summary["estimates"]


def _empty(folder: Path) -> list[str]:
    return [str(folder)]


def _no_statistics(folder: Path) -> list[str]:
    (write_derived(folder) / "egemaps47.npy").unlink()
    return [str(folder)]


def _too_few_statistics(folder: Path) -> list[str]:
    np.save(write_derived(folder) / "egemaps47.npy", np.zeros((3, 47), dtype=np.float32))
    return [str(folder)]


def _wrong_session(folder: Path) -> list[str]:
    return [str(write_derived(folder)), "--sessions", "9"]


def _wrong_dialogue(folder: Path) -> list[str]:
    return [str(write_derived(folder)), "--dialogue", "Ses09F_impro01"]


def _live_asr_without_audio(folder: Path) -> list[str]:
    return [str(write_derived(folder)), "--live-asr"]


def _live_asr_without_a_model(folder: Path) -> list[str]:
    return [str(write_copy(folder)), "--live-asr"]


def _not_there(folder: Path) -> list[str]:
    return [str(folder / "nowhere")]


def _bad_speed(folder: Path) -> list[str]:
    return [str(write_derived(folder)), "--speed", "fast"]


@pytest.mark.parametrize(
    "arrange",
    [
        _empty,
        _no_statistics,
        _too_few_statistics,
        _wrong_session,
        _wrong_dialogue,
        _live_asr_without_audio,
        _live_asr_without_a_model,
        _not_there,
        _bad_speed,
    ],
)
def test_what_cannot_be_replayed_is_said_in_one_sentence(
    arrange: Callable[[Path], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AFFECTSTREAM_VOSK_MODEL", raising=False)
    done = command(*arrange(tmp_path), "--json")
    assert done.returncode == 1, done.stdout + done.stderr
    said = done.stderr.strip()
    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if not line.startswith("--")]) == 1, said
    assert done.stdout == ""


def _speak(espeak: Espeak, root: Path, dialogue: WrittenDialogue) -> None:
    """Put speech into the wav of a copy: the woman left, the man right."""
    shape = (round(dialogue.duration_s * 16_000), 2)
    samples = np.random.default_rng(1).normal(0, 20, shape).astype(np.int16)
    for line in dialogue.lines:
        woman = line.name.startswith("F")
        said = espeak.say(line.text).samples
        first = round((line.start_s + 0.3) * 16_000)
        samples[first : first + len(said), 0 if woman else 1] = said
    path = root / f"Session{dialogue.session}" / "dialog" / "wav" / f"{dialogue.name}.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(2)
        wav.setsampwidth(2)
        wav.setframerate(16_000)
        wav.writeframes(samples.tobytes())


def test_what_is_said_in_a_raw_copy_is_recognised(
    tmp_path: Path, espeak: Espeak, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("vosk")
    scales = (3.0, 3.0, 3.0)
    dialogue = WrittenDialogue(
        "Ses01F_impro01",
        (
            SpokenLine("F000", 0.5, 2.5, "neu", scales, "i am so happy today"),
            SpokenLine("M000", 3.0, 5.5, "ang", scales, "thank you my friend"),
            SpokenLine("F001", 6.0, 8.5, "sad", scales, "i am very sad today"),
        ),
    )
    write_copy(tmp_path, [dialogue])
    _speak(espeak, tmp_path, dialogue)
    heard: dict[str, Emotion] = {}

    class Recorder(ScoredListener):
        def __call__(self, message: Message) -> None:
            if isinstance(message, Emotion) and message.status == "final":
                heard[message.utterance] = message
            super().__call__(message)

    monkeypatch.setattr(replaying, "ScoredListener", Recorder)
    plan = ReplayPlan(path=tmp_path, live_asr=True, vosk_model=tiny_vosk_model())
    summary = play_corpus(plan, Console(quiet=True))
    assert summary["utterances"] == 3
    texts = [heard[f"{dialogue.name}_{line.name}"].text for line in dialogue.lines]
    assert texts == [line.text for line in dialogue.lines]
    assert all(e.modalities.keys() == {"acoustic", "text"} for e in heard.values())


def test_a_node_that_runs_already_can_be_used_again_and_again(tmp_path: Path) -> None:
    write_derived(tmp_path, utterances=8)
    with Processes() as processes:
        address = free_address()
        processes.start("fusion", "fusion", "--address", address)
        processes.wait_for_hub(address)
        revised = []
        for delay_ns in (0, 600_000_000, 0):
            plan = ReplayPlan(path=tmp_path, address=address, transcript_delay_ns=delay_ns)
            estimates: Any = play_corpus(plan, Console(quiet=True))["estimates"]
            assert estimates["dialogues"] == 2
            assert estimates["final"] == 16
            assert "out of order" not in estimates
            revised.append(estimates["revised"])
    assert revised[0] == revised[2] < revised[1]


def test_an_address_where_nobody_answers_is_said_in_one_sentence(tmp_path: Path) -> None:
    done = command(str(write_derived(tmp_path)), "--address", free_address())
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "no hub answers" in done.stderr


def test_a_node_that_dies_ends_the_replay_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_derived(tmp_path)
    started: list[int] = []

    class Watched(Processes):
        def start(self, name: str, *arguments: str) -> int:
            started.append(super().start(name, *arguments))
            return started[-1]

    class Killer(ScoredListener):
        def __call__(self, message: Message) -> None:
            super().__call__(message)
            os.kill(started[0], signal.SIGKILL)

    monkeypatch.setattr(replaying, "Processes", Watched)
    monkeypatch.setattr(replaying, "ScoredListener", Killer)
    with pytest.raises(ProcessError, match="fusion"):
        play_corpus(ReplayPlan(path=tmp_path, speed=1.0), Console(quiet=True))


def test_one_process_of_several_can_be_ended() -> None:
    with Processes() as processes:
        one = processes.start("one", "hub", "--address", free_address())
        processes.start("other", "hub", "--address", free_address())
        processes.end(one)
        assert processes.running() == ["other"]
        processes.check()


def test_an_interrupted_command_leaves_no_process_behind(tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil")
    write_derived(tmp_path)
    with Processes() as processes:
        address = free_address()
        processes.start("fusion", "fusion", "--address", address)
        processes.wait_for_hub(address)
        inlet = Inlet(address, ["emotion/", "stream.closed/"], from_start=True)
        command = [sys.executable, "-m", "affectstream", "replay", str(tmp_path), "--json"]
        replayer = subprocess.Popen(
            [*command, "--speed", "2", "--address", address],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        got: list[Message] = []
        serve_until(lambda: any(isinstance(m, Emotion) for m in got), inlets=[(inlet, got)])
        replayer.send_signal(signal.SIGINT)
        replayer.communicate(timeout=20)
        serve_until(  # the interrupted dialogue is closed, and so its estimates are final
            lambda: any(isinstance(m, StreamClosed) and m.source == "fusion" for m in got),
            inlets=[(inlet, got)],
        )
        inlet.close()
        assert not psutil.pid_exists(replayer.pid)
    assert {e.status for e in got if isinstance(e, Emotion)} >= {"provisional", "final"}
