"""`affectstream analyze` as a user meets it, with the shipped model."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from affectstream.data import demo_folder, tiny_vosk_model
from command_lines import DEADLINE_S, PYTHON, no_traceback, run

pytest.importorskip("webrtcvad")
pytest.importorskip("torch")
DEMO = str(demo_folder() / "dialogue.wav")
SPEAKERS = ("--speaker", "anna", "--speaker", "ben")


def test_a_recording_is_analysed_with_its_words_and_drawn(tmp_path: Path) -> None:
    pytest.importorskip("vosk")
    pytest.importorskip("matplotlib")
    plot, model = tmp_path / "plot.png", str(tiny_vosk_model())
    done = run("analyze", DEMO, *SPEAKERS, "--json", "--plot", str(plot), "--vosk-model", model)
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(records) == 12
    assert records[0]["text"] == "good morning how are you today"
    assert all({"acoustic", "text"} <= set(record["modalities"]) for record in records)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "AI Act" in done.stderr


def test_without_a_vosk_model_the_words_are_left_out_and_it_is_said() -> None:
    done = run("analyze", DEMO)
    assert done.returncode == 0, done.stderr
    assert "no Vosk model was named" in done.stderr
    assert done.stdout.count("speaker") == 6


def test_the_exit_status_says_that_one_of_a_folder_was_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(Path(DEMO).read_bytes())
    (tmp_path / "b.m4a").write_text("no sound")
    done = run("analyze", str(tmp_path), "--json")
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 6
    assert "1 of 2 recordings were not read: b.m4a" in done.stderr
    no_traceback(done.stderr)


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    script = f"{' '.join(PYTHON)} -m affectstream analyze {DEMO} --json | head -c 10"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    no_traceback(done.stderr)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nowhere.wav",), "nowhere.wav does not exist"),
        ((DEMO, "--channel", "2"), "no channel 2"),
        ((DEMO, "--csv", "--json"), "choose one"),
        ((DEMO, "--vad", "ear"), "'ear' is no voice detector"),
        ((DEMO, "--look-ahead", "some"), "no look-ahead"),
    ],
)
def test_what_cannot_be_analysed_is_one_sentence(words: tuple[str, ...], said: str) -> None:
    done = run("analyze", *words)
    assert done.returncode == 1
    assert said in done.stderr
    no_traceback(done.stderr)
