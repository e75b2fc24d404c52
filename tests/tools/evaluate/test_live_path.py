"""Clips through the live path: who answers for a clip, how it is scored, what is left out."""

from __future__ import annotations

import json
import random
import wave
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from affectstream.fusion.pretrained import PretrainedModel
from affectstream_tools.commands.app import lab
from affectstream_tools.corpora.labelled_clips import LabelledClip, find_clips
from affectstream_tools.evaluate.live_path import LiveAnswer, answer_speaker, read_whole_clip
from affectstream_tools.evaluate.live_scores import choose, summarise

RATE_HZ = 16_000


def write_clip(path: Path, pitch_hz: float, seconds: float = 1.2, rate_hz: int = RATE_HZ) -> None:
    """A vowel in silence; without a pitch, silence alone."""
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    vowel = 3000 * sum(np.sin(2 * np.pi * pitch_hz * k * times) / k for k in range(1, 12))
    room = np.random.default_rng(1).normal(0, 10, rate_hz // 2)
    samples = np.concatenate([room, vowel * (pitch_hz > 0), room])
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(rate_hz)
        wav.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    for actor, pitch_hz in ((1, 110), (2, 210)):
        for emotion in ("01", "03", "04", "05", "06"):
            name = f"03-01-{emotion}-01-01-01-{actor:02d}.wav"
            write_clip(root / f"Actor_{actor:02d}" / name, pitch_hz * (1 + int(emotion) / 20))
    write_clip(root / "Actor_02" / "03-01-04-02-01-01-02.wav", 0)  # nobody speaks in it
    write_clip(root / "notes.wav", 100)
    return root


@pytest.fixture(scope="module")
def model() -> PretrainedModel:
    return PretrainedModel()


def test_every_clip_gets_the_estimate_of_its_own_utterance(
    model: PretrainedModel, folder: Path
) -> None:
    clips = [c for c in find_clips(folder)[0] if c.speaker == "ravdess/02"]
    answers = answer_speaker(model, clips, random.Random(1))
    assert {a.clip for a in answers} == set(clips)
    assert [a.clip for a in answers] != clips  # in another order
    assert [a.clip.path.name for a in answers if a.first is None] == ["03-01-04-02-01-01-02.wav"]
    heard = [a for a in answers if a.first is not None]
    for answer in heard:
        assert answer.final is not None
        assert answer.first.sum() == pytest.approx(1, abs=1e-4)
    assert len({tuple(a.first) for a in heard}) == len(heard)
    again = answer_speaker(model, clips, random.Random(1))
    for one, other in zip(answers, again, strict=True):
        np.testing.assert_array_equal(one.first, other.first)
        np.testing.assert_array_equal(one.offline, other.offline)


def test_the_live_estimate_is_near_the_offline_one_of_the_same_clip(
    model: PretrainedModel, folder: Path
) -> None:
    """The first clip has no context in either; only its silence is another."""
    clips = [c for c in find_clips(folder)[0] if c.speaker == "ravdess/01"]
    first = answer_speaker(model, clips[:1], random.Random(0))[0]
    assert first.first is not None
    assert np.abs(first.first - first.offline).max() < 0.35


def test_a_clip_at_another_rate_is_read_at_ours(tmp_path: Path) -> None:
    pytest.importorskip("soxr")
    write_clip(tmp_path / "a.wav", 200, rate_hz=44_100)
    assert len(read_whole_clip(tmp_path / "a.wav")) == pytest.approx(2.2 * RATE_HZ, abs=2)


def answer(label: str, said: list[float] | None, number: int = 0) -> LiveAnswer:
    found = None if said is None else np.array(said, np.float32)
    offline = np.array([0.7, 0.1, 0.1, 0.1], np.float32)
    return LiveAnswer(
        LabelledClip(Path(f"{number}.wav"), label, "ravdess/01"), found, found, offline
    )


def test_what_was_not_heard_counts_as_wrong() -> None:
    sure, unsure = [0.9, 0.1, 0.0, 0.0], [0.1, 0.2, 0.6, 0.1]
    answers = [answer("anger", sure), answer("anger", None, 7), answer("neutral", unsure)]
    choice = choose([a.clip for a in answers], 3, ())
    found = summarise([answers], choice)
    assert found["live"]["uar"] == 0.75
    assert found["live"]["recall"] == {"anger": 0.5, "neutral": 1.0}
    assert found["live"]["ece"] == pytest.approx((0.1 + 0.4) / 2, abs=1e-4)
    assert found["offline"]["uar"] == 0.5
    assert found["chance"] == 0.5
    assert found["unheard"] == ["7.wav"]
    assert (found["n"], found["speakers"], found["runs"]) == (3, 1, 1)


def test_speakers_that_the_model_knows_are_left_out_and_named() -> None:
    clips = [
        LabelledClip(Path("a"), "anger", "ravdess/01"),
        LabelledClip(Path("b"), "sadness", "ravdess/02"),
        LabelledClip(Path("c"), "other", "ravdess/02"),
    ]
    choice = choose(clips, 0, ("ravdess/01", "ravdess/09", "iemocap/Ses01F"))
    assert list(choice.by_speaker) == ["ravdess/02"]
    assert (choice.trained, choice.other) == (("ravdess/01",), 1)
    assert list(choose(clips, 0, ("ravdess/01",), everybody=True).by_speaker) == [
        "ravdess/01",
        "ravdess/02",
    ]
    with pytest.raises(ValueError, match="--everybody"):
        choose(clips[:1], 0, ("ravdess/01",))


def test_the_command_prints_both_scores_and_what_they_are_of(folder: Path) -> None:
    done = CliRunner().invoke(lab, ["live", "--audio", str(folder), "--json", "--everybody"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["live"].keys() >= {"uar", "ece"}
    assert found["offline"].keys() >= {"uar", "ece"}
    assert (found["n"], found["speakers"], found["chance"]) == (9, 2, 0.25)
    assert found["left_out"]["other_emotions"] == 2
    assert found["left_out"]["unlabelled"] == 1
    assert "counts as wrong" in done.stderr
    assert "chance UAR 0.25" in done.stderr


def test_a_folder_without_clips_is_one_sentence(tmp_path: Path) -> None:
    done = CliRunner().invoke(lab, ["live", "--audio", str(tmp_path)])
    assert done.exit_code == 2
    assert "labels.csv" in done.stderr
