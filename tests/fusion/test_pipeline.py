"""A recording in one process gives what the live path gives of it over the bus."""

from __future__ import annotations

import csv
import io
import json
import math
import threading
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from affectstream.bus import Hub
from affectstream.commands import analyze as analyzing
from affectstream.commands.analyze import AnalysisPlan, run_analysis
from affectstream.core.speech.recognition import RecognizedWord
from affectstream.data import demo_folder
from affectstream.errors import SourceError
from affectstream.fusion.node import NODE_PREFIXES, FusionNode
from affectstream.fusion.pipeline import (
    RECORDING_SESSION,
    Analysis,
    Analyst,
    record_of,
    recordings_in,
)
from affectstream.messages import Emotion, StreamClosed
from affectstream.run.loop import run
from affectstream.run.processes import free_address
from affectstream.sources.audio_file import run_audio_file
from affectstream.timebase import NS_PER_S
from affectstream_tools.bench.microphone.virtual import write_samples
from bus_listener import Listener
from fakes import FakeModel, speaker_normaliser
from sounds import voice

DEMO = demo_folder() / "dialogue.wav"
pytest.importorskip("webrtcvad")


class Parrot:
    """A recogniser that hears how long it listened."""

    def __init__(self) -> None:
        self._samples = 0

    def accept(self, pcm: bytes) -> str | None:
        self._samples += len(pcm) // 2
        return None

    def finish(self) -> list[RecognizedWord]:
        return [RecognizedWord(f"{self._samples}", 0.0, self._samples / 16_000)]


@pytest.fixture(scope="module")
def demo() -> Analysis:
    return analyst().analyse(DEMO, [("anna", 0), ("ben", 1)])


def analyst(look_ahead: int | None = 2) -> Analyst:
    model = FakeModel(speaker_normaliser())
    return Analyst(model, recognizer=(Parrot, "parrot"), look_ahead=look_ahead)


def spoken(path: Path, seconds: float = 2.0) -> Path:
    """A file of something voice-like between two pauses."""
    samples = np.pad((voice(seconds, seed=3) * 20_000).astype(np.int16), 12_000)
    return write_samples(path, samples)


def test_every_utterance_of_the_demo_is_final_and_in_order(demo: Analysis) -> None:
    script = json.loads((demo_folder() / "dialogue.json").read_text(encoding="utf-8"))
    assert len(demo.emotions) == len(script["utterances"])
    assert [e.speaker for e in demo.emotions] == ["anna", "ben"] * 6
    starts = [e.start_ns for e in demo.emotions]
    assert starts == sorted(starts)
    assert {e.status for e in demo.emotions} == {"final"}
    assert [e.look_ahead for e in demo.emotions[-3:]] == [2, 1, 0]
    assert all(int(e.text or 0) > 8_000 for e in demo.emotions)
    assert not demo.gaps


def test_the_outline_is_that_of_the_recording(demo: Analysis) -> None:
    assert demo.duration_s == pytest.approx(33.3, abs=0.1)
    for speaker in ("anna", "ben"):
        peaks = demo.envelope[speaker]
        assert len(peaks) == pytest.approx(demo.duration_s / 0.02, abs=2)
        first = next(e for e in demo.emotions if e.speaker == speaker)
        inside = slice(first.start_ns * 50 // NS_PER_S, first.end_ns * 50 // NS_PER_S)
        assert peaks[inside].max() > 10 * peaks[: inside.start - 10].max()


def test_the_same_recording_gives_the_same_estimates(demo: Analysis) -> None:
    again = analyst().analyse(DEMO, [("anna", 0), ("ben", 1)])
    assert [e.categorical for e in again.emotions] == [e.categorical for e in demo.emotions]


def test_finals_are_those_of_the_live_path_over_the_bus() -> None:
    address, model = free_address(), FakeModel(speaker_normaliser())
    here = Analyst(model, look_ahead=2).analyse(DEMO, [("anna", 0)])
    done = threading.Event()
    with Hub(address):
        listener = Listener(address)
        node = threading.Thread(
            target=run,
            args=(FusionNode(model, 2),),
            kwargs={"address": address, "prefixes": NODE_PREFIXES, "stopping": done.is_set},
        )
        node.start()
        try:
            worker = {
                "session": RECORDING_SESSION,
                "speaker": "anna",
                "start_ns": 0,
                "speed": math.inf,
            }
            run_audio_file(DEMO, address=address, **worker)  # type: ignore[arg-type]
            listener.until(lambda: any(m.source == "fusion" for m in listener.of(StreamClosed)))
        finally:
            done.set()
            node.join(timeout=10)
            listener.close()
    finals = [e for e in listener.of(Emotion) if e.status == "final"]
    assert len(finals) == 6
    assert {e.utterance: e.categorical for e in finals} == {
        e.utterance: e.categorical for e in here.emotions
    }


def test_a_stop_leaves_what_was_heard_so_far() -> None:
    heard: list[float] = []
    found = analyst().analyse(
        DEMO,
        [("anna", 0), ("ben", 1)],
        on_progress=lambda heard_s, total_s: heard.append(heard_s / total_s),
        stopping=lambda: bool(heard) and heard[-1] > 0.4,
    )
    assert found.ended_early
    assert found.duration_s < 16
    assert 3 <= len(found.emotions) <= 7
    assert heard == sorted(heard)


def test_a_recording_without_speech_has_no_utterance(tmp_path: Path) -> None:
    path = write_samples(tmp_path / "still.wav", np.zeros(32_000, np.int16))
    found = analyst().analyse(path, [("anna", 0)])
    assert found.emotions == []
    assert found.duration_s == pytest.approx(2.0, abs=0.1)


def test_a_channel_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write_samples(tmp_path / "mono.wav", np.zeros(3_200, np.int16))
    with pytest.raises(SourceError, match="no channel 1"):
        analyst().analyse(path, [("anna", 0), ("ben", 1)])


def test_a_record_has_times_in_seconds_and_every_share(demo: Analysis) -> None:
    record = record_of(demo, demo.emotions[1])
    assert record["file"] == str(DEMO)
    assert record["speaker"] == "ben"
    assert 2.5 < float(str(record["start_s"])) < float(str(record["end_s"])) < 5.0
    shares = [float(str(record[n])) for n in ("anger", "happiness", "neutral", "sadness")]
    assert sum(shares) == pytest.approx(1.0, abs=1e-3)
    assert json.loads(json.dumps(record)) == record


def test_folders_are_searched_and_files_taken_as_they_are(tmp_path: Path) -> None:
    for name in ("b.wav", "a/c.FLAC", "a/notes.txt", "a/._c.FLAC"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = recordings_in(
        [tmp_path, tmp_path / "a" / "notes.txt", tmp_path / "b.wav"], (".wav", ".flac")
    )
    assert [path.name for path in found] == ["c.FLAC", "b.wav", "notes.txt"]


# The command


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command with a model that needs no weights."""
    monkeypatch.setattr(analyzing, "_analyst", lambda plan, console: analyst(plan.look_ahead))


def outcome(plan: AnalysisPlan, capsys: pytest.CaptureFixture[str]) -> tuple[str, str, bool]:
    said = io.StringIO()
    complete = run_analysis(plan, Console(file=said, width=200))
    return capsys.readouterr().out, said.getvalue(), complete


@pytest.mark.usefixtures("quick")
def test_json_lines_and_csv_say_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    plans = (
        AnalysisPlan(paths=(DEMO,), speakers=("anna", "ben"), output=kind)
        for kind in ("json", "csv")
    )
    (lines, said, found), (table, _, _) = (outcome(plan, capsys) for plan in plans)
    records = [json.loads(line) for line in lines.splitlines()]
    rows = list(csv.DictReader(io.StringIO(table)))
    assert found
    assert "AI Act" in said
    assert len(records) == len(rows) == 12
    for record, row in zip(records, rows, strict=True):
        assert record.keys() == row.keys()
        assert float(row["anger"]) == record["anger"]
        assert row["modalities"] == "+".join(record["modalities"])


@pytest.mark.usefixtures("quick")
def test_a_table_shows_each_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_samples(tmp_path / "still[1].wav", np.zeros(16_000, np.int16))
    spoken(tmp_path / "voice.wav")
    table, _, complete = outcome(AnalysisPlan(paths=(tmp_path,), speakers=("carla",)), capsys)
    assert complete
    assert "still[1].wav" in table
    assert "no speech was found" in table
    assert "carla" in table


@pytest.mark.usefixtures("quick")
def test_of_several_recordings_a_bad_one_is_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.wav").write_text("no sound")
    spoken(tmp_path / "b.wav")
    lines, said, complete = outcome(AnalysisPlan(paths=(tmp_path,), output="json"), capsys)
    assert not complete
    assert "1 of 2 recordings were not read: a.wav" in said
    assert {json.loads(line)["file"] for line in lines.splitlines()} == {str(tmp_path / "b.wav")}
    assert "a.wav" in said
    with pytest.raises(SourceError, match=r"a\.wav"):
        outcome(AnalysisPlan(paths=(tmp_path / "a.wav",)), capsys)


@pytest.mark.usefixtures("quick")
def test_a_header_without_samples_among_recordings_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_samples(tmp_path / "a.wav", np.zeros(0, np.int16))
    spoken(tmp_path / "b.wav")
    _, said, complete = outcome(AnalysisPlan(paths=(tmp_path,)), capsys)
    assert not complete
    assert "a.wav holds no audio" in said


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("speakers", "told"),
    [
        (("anna", "ben"), "no speech of ben (channel 1) was found"),
        (("ben",), "no speech of ben (channel 1) was found; channel 0 has speech"),
    ],
)
def test_a_channel_without_speech_is_said_where_another_has_some(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], speakers: tuple[str, ...], told: str
) -> None:
    samples = np.pad((voice(2.0, seed=3) * 20_000).astype(np.int16), 12_000)
    path = write_samples(tmp_path / "a.wav", np.stack([samples, 0 * samples], axis=1))
    plan = AnalysisPlan(paths=(path,), speakers=speakers, channel=2 - len(speakers))
    _, said, complete = outcome(plan, capsys)
    assert not complete
    assert told in said


@pytest.mark.usefixtures("quick")
def test_a_recording_in_which_nobody_speaks_is_said_and_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_samples(tmp_path / "still.wav", np.zeros((16_000, 2), np.int16))
    _, said, complete = outcome(AnalysisPlan(paths=(path,), output="json"), capsys)
    assert complete
    assert "still.wav: no speech was found" in said


@pytest.mark.usefixtures("quick")
def test_pictures_go_where_they_were_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for name in ("a.wav", "b.wav"):
        spoken(sounds / name)
    one, many = tmp_path / "one.png", tmp_path / "many"
    outcome(AnalysisPlan(paths=(sounds / "a.wav",), plot=one), capsys)
    outcome(AnalysisPlan(paths=(sounds,), plot=many), capsys)
    assert one.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in many.iterdir()) == ["a.png", "b.png"]
    with pytest.raises(analyzing.UsageError, match="name a folder"):
        outcome(AnalysisPlan(paths=(sounds,), plot=one), capsys)


def test_a_folder_without_a_recording_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(analyzing.UsageError, match="holds no recording"):
        outcome(AnalysisPlan(paths=(tmp_path,)), capsys)
