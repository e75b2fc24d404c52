"""The soak, small: what is said, how it is held against what was heard, and a few real minutes."""

from __future__ import annotations

import json
import os
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from affectstream.errors import AffectstreamError
from affectstream.messages import (
    Emotion,
    Gap,
    ModelIdentity,
    Progress,
    StreamClosed,
    Transcript,
    UtteranceEnded,
)
from affectstream_tools.bench.footprint import Footprint, footprint
from affectstream_tools.commands.app import lab
from affectstream_tools.trials.soak.day import Day, DayPlan, Look, live_through
from affectstream_tools.trials.soak.measures import fitted_line, soak_report_of
from affectstream_tools.trials.soak.recording import (
    EndlessRecording,
    RecordedTurn,
    recorded_turns,
    spoken_sentences,
)
from affectstream_tools.trials.soak.report import SOAK_REPORT, save_soak_report
from affectstream_tools.trials.soak.scoring import HOUR_NS, SpeechScorer

RATE = 16_000
S = 1_000_000_000
SESSION = {"session": "soak"}


def lengths() -> list[int]:
    return [len(sentence.samples) for sentence in spoken_sentences()]


# What is said


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_somebody_speaks_for_that_share_of_the_time(share: float) -> None:
    said = list(islice(recorded_turns(lengths(), share, seed=0), 2_000))
    spoken = sum(turn.end - turn.start for turn in said) / said[-1].end
    assert abs(spoken - share) < 0.1 * share
    pauses = [b.start - a.end for a, b in pairwise(said)]
    assert min(pauses) >= RATE


def test_a_recording_holds_the_sentences_where_it_says_and_noise_elsewhere() -> None:
    recording = EndlessRecording(100 / 3600, 0.2, seed=3)
    heard = []
    while not recording.exhausted:
        assert recording.next_read_ns() == 0
        (block,) = recording.read(0)
        assert block.first_sample == sum(map(len, heard))
        heard.append(block.samples)
    samples = np.concatenate(heard).astype(float)
    assert len(samples) == 100 * RATE
    known = spoken_sentences()
    silence = np.ones(len(samples), dtype=bool)
    said = [t for t in islice(recorded_turns(lengths(), 0.2, seed=3), 30) if t.end < len(samples)]
    assert len(said) > 5
    for turn in said:
        silence[turn.start : turn.end] = False
        voice = turn.gain * known[turn.sentence].samples
        rest = samples[turn.start : turn.end] - voice
        assert rest.std() < 110
        assert rest.std() < samples[turn.start : turn.end].std()
    assert 60 < samples[silence][: said[-1].end].std() < 1_000
    assert recording.read(0) == []


def test_silence_is_silent() -> None:
    assert list(recorded_turns(lengths(), 0.0, seed=0)) == []
    recording = EndlessRecording(5 / 3600, 0.0, seed=0)
    assert np.abs(recording.read(0)[0].samples).max() < 1_000
    recording.close()
    assert recording.exhausted


# What was heard

TEXTS = ["good morning", "how are you"]
TURNS = [
    RecordedTurn(0, 1 * RATE, 2 * RATE, 1.0),
    RecordedTurn(1, 5 * RATE, 6 * RATE, 1.0),
    RecordedTurn(0, 9 * RATE, 10 * RATE, 1.0),
    RecordedTurn(1, 3601 * RATE, 3602 * RATE, 1.0),
    RecordedTurn(1, 9000 * RATE, 9001 * RATE, 1.0),
]


def transcript(number: int, from_s: float, to_s: float, text: str) -> Transcript:
    return Transcript(
        **SESSION,
        source="asr.mic.you",
        utterance=f"you-{number:04d}",
        speaker="you",
        text=text,
        start_ns=int(from_s * S),
        end_ns=int(to_s * S),
        final=True,
        engine="test",
    )


def estimate(number: int, to_s: float, status: str, sent_ns: int) -> Emotion:
    return Emotion(
        **SESSION,
        source="fusion",
        utterance=f"you-{number:04d}",
        speaker="you",
        start_ns=0,
        end_ns=int(to_s * S),
        revision=0,
        status=status,  # type: ignore[arg-type]
        categorical={"anger": 1.0},
        model=ModelIdentity(id="test", sha256="0" * 64),
        latency_ms={"model": 2.0},
        sent_ns=sent_ns,
    )


def test_what_was_heard_is_held_against_what_was_said_hour_by_hour() -> None:
    scorer = SpeechScorer(iter(TURNS), TEXTS, start_ns=0)
    ended = UtteranceEnded(
        **SESSION,
        source="mic.you",
        utterance="you-0000",
        speaker="you",
        start_ns=S,
        end_ns=2 * S,
        sent_ns=100,
    )
    for message in (
        ended,
        transcript(0, 0.9, 2.1, "good mourning"),
        transcript(1, 4.9, 5.4, "how"),  # cut in two
        transcript(2, 5.5, 6.1, "are you"),
        transcript(3, 7.0, 8.0, "what"),  # nobody said it
        transcript(4, 3601.0, 3602.0, "how are you too"),
        estimate(0, 2, "provisional", 100 + 5_000_000),
        estimate(0, 2, "final", 0),
        Gap(**SESSION, source="x", of="mic.you", lost="audio", count=7, reason="test"),
        Progress(**SESSION, source="mic.you", watermark_ns=9 * HOUR_NS),
        Progress(**SESSION, source="asr.mic.you", watermark_ns=HOUR_NS + 600 * S),
    ):
        scorer.receive(message)
    first, second = scorer.hours()
    assert (first.said, first.found, first.utterances) == (3, 2, 1)
    assert (first.words, first.word_errors) == (7, 1 + 1 + 2)  # misheard, made up, missed
    assert (first.first, first.finals, first.model_ms, first.answer_ms) == (1, 1, 2.0, 5.0)
    assert (second.said, second.found, second.words, second.word_errors) == (1, 1, 3, 1)
    assert scorer.gaps == {"audio of mic.you: test": 7}
    assert not scorer.done
    scorer.receive(StreamClosed(**SESSION, source="fusion", reason="test"))
    assert scorer.done


def test_a_line_and_its_error() -> None:
    x = np.arange(10.0)
    assert fitted_line(x, 3 * x + 1) == pytest.approx((3.0, 0.0), abs=1e-9)
    slope, error = fitted_line(x, 3 * x + np.tile([1.0, -1.0], 5))
    assert abs(slope - 3) < 2 * error
    assert fitted_line(x[:2], x[:2]) == (0.0, 0.0)


def test_a_process_says_what_it_holds() -> None:
    with open("/dev/null") as _:
        mine = footprint(os.getpid())
    assert footprint(os.getpid()).files == mine.files - 1
    assert 10 < mine.pss_mib <= mine.rss_mib + 1
    assert mine.threads >= 1
    with pytest.raises(AffectstreamError, match="cannot be looked at"):
        footprint(2**22 + 1)


# Reports


def day(growth_mib_per_h: float = 0.0) -> Day:
    scorer = SpeechScorer(iter(TURNS), TEXTS, start_ns=0)
    scorer.receive(transcript(0, 0.9, 2.1, "good morning"))
    scorer.receive(Progress(**SESSION, source="asr.mic.you", watermark_ns=3 * HOUR_NS))
    looks = [
        Look(
            i / 4,
            i,
            {
                "fusion": Footprint(300 + growth_mib_per_h * i / 4, 200, 49, 10, i),
                "microphone": Footprint(80, 50, 25, 6, i),
            },
        )
        for i in range(13)
    ]
    return Day(DayPlan(3.0, 0.15), 100.0, looks, scorer.hours(), {}, {"resent": 3})


def test_growth_is_found_and_a_report_is_saved_and_read_again(tmp_path: Path) -> None:
    report = soak_report_of({"speech": day(2.0), "silence": day()}, "affectstream-lab soak")
    assert report.days["speech"].rss_slope_mib_per_h == pytest.approx(2.0)
    assert report.days["silence"].rss_slope_mib_per_h == 0.0
    assert report.days["speech"].processes["microphone"]["files"].per_h == 0.0
    written = save_soak_report(report, tmp_path)
    assert [path.name for path in written] == ["soak.json", "soak.md", "soak.png"]
    assert SOAK_REPORT.load(tmp_path) == report
    assert "+2.000" in (tmp_path / "soak.md").read_text()
    assert (tmp_path / "soak.png").read_bytes().startswith(b"\x89PNG")
    result = CliRunner().invoke(lab, ["soak", "--report", "--out", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["speech"]["rss_slope_mib_per_h"] == pytest.approx(2.0)
    assert "silence" in found
    assert "fusion" in result.stderr


def test_a_report_that_is_not_there_or_not_ours_is_said(tmp_path: Path) -> None:
    result = CliRunner().invoke(lab, ["soak", "--report", "--out", str(tmp_path)])
    assert result.exit_code == 1
    assert "without --report" in result.stderr
    (tmp_path / "soak.json").write_text("[]")
    with pytest.raises(AffectstreamError, match="no report of ours"):
        SOAK_REPORT.load(tmp_path)


# A few minutes of the real thing


def test_real_processes_live_through_a_few_minutes() -> None:
    found = live_through(DayPlan(hours=0.05, share=0.25, every_s=60))
    assert not found.lost
    assert len(found.looks) >= 3
    assert set(found.looks[-1].processes) == {"fusion", "transcribe", "subscribe", "microphone"}
    files = [{n: p.files for n, p in look.processes.items()} for look in found.looks[-2:]]
    assert files[0] == files[-1]
    (hour,) = found.hours
    assert hour.said > 10
    assert hour.found >= 0.8 * hour.said
    assert hour.first == hour.finals == hour.utterances
    assert hour.word_errors < 0.25 * hour.words
