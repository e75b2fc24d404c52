"""The synthetic corpus reads like a raw copy, and its cues can be told by the real front ends."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from typer.testing import CliRunner

from affectstream.core.dialogue.model import CLASSES
from affectstream.corpus.dialogues import Corpus, CorpusDialogue
from affectstream.corpus.raw import read_raw
from affectstream.corpus.raw_media import (
    MocapBlock,
    audio_blocks,
    find_channels,
    mocap_blocks,
)
from affectstream.errors import AffectstreamError
from affectstream.features import tripathi34, woellmer
from affectstream.features.egemaps import front_end as egemaps
from affectstream.features.egemaps.statistics import utterance_statistics
from affectstream.features.face_markers import FaceMarkers
from affectstream.features.functionals import functionals
from affectstream.features.mocap import chronological_means
from affectstream_tools.commands.app import lab
from affectstream_tools.synthesis.ceilings import ceilings
from affectstream_tools.synthesis.corpus_writer import write_corpus
from affectstream_tools.synthesis.dialogue_model import MISSING, CueChannel, DialogueModel
from affectstream_tools.synthesis.rendered_words import CUE_WORDS, FILLERS, render_words
from affectstream_tools.synthesis.truth import Truth, is_synthetic, read_truth

SIZE = {"sessions": 2, "dialogues_per_session": 4, "utterances": 10}


def evenly() -> DialogueModel:
    """All emotions and cues are about as frequent, so that a small corpus has enough of each."""
    return DialogueModel(
        CueChannel(0.1), CueChannel(0.1), CueChannel(0.1), inertia=0.0, reaction=0.0
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Truth]:
    folder = tmp_path_factory.mktemp("synthetic") / "corpus"
    return folder, write_corpus(folder, evenly(), 5, workers=1, **SIZE)


@pytest.fixture(scope="module")
def corpus(written: tuple[Path, Truth]) -> Corpus:
    return read_raw(written[0], alignment=True)


def test_it_reads_like_a_raw_copy(corpus: Corpus, written: tuple[Path, Truth]) -> None:
    assert [w for w in corpus.warnings if "Session" not in w] == []
    assert len(corpus.warnings) == 3  # sessions 3 to 5, which were not asked for
    assert [d.id for d in corpus.dialogues] == list(written[1].utterances)
    assert {d.session for d in corpus.dialogues} == {1, 2}
    assert {d.improvised for d in corpus.dialogues} == {True, False}
    assert {d.scenario for d in corpus.dialogues} == {"impro01", "script01"}
    assert {d.recording.mocap_speaker[-1] for d in corpus.dialogues if d.recording} == {"F", "M"}


def test_labels_words_and_votes_are_those_that_were_drawn(
    corpus: Corpus, written: tuple[Path, Truth]
) -> None:
    truth = written[1]
    for dialogue in corpus.dialogues:
        emotions, cues = truth.of([dialogue.id])
        assert [u.id for u in dialogue.utterances] == list(truth.utterances[dialogue.id])
        assert [u.label for u in dialogue.utterances] == [CLASSES[e] for e in emotions[0]]
        speakers = [u.speaker for u in dialogue.utterances]
        assert all(one != other for one, other in pairwise(speakers))
        for utterance, (_, words, _) in zip(dialogue.utterances, cues[0], strict=True):
            assert utterance.text is not None
            said = utterance.text.lower().strip(".").split()
            assert sum(word in CUE_WORDS[words] for word in said) == 3
            assert all(word in (*CUE_WORDS[words], *FILLERS) for word in said)
            assert [word.text.lower() for word in utterance.words] == said
            assert sum(vote.emotion == utterance.emotion for vote in utterance.votes) >= 2
            assert 1 <= utterance.valence <= 5
            assert 1.5 <= (utterance.end_ns - utterance.start_ns) / 1e9 <= 2.5
        assert all(b.start_ns > a.end_ns for a, b in pairwise(dialogue.utterances))


def test_no_word_belongs_to_two_cues() -> None:
    every = [word for words in (*CUE_WORDS, FILLERS) for word in words]
    assert len(every) == len(set(every))


def test_scales_go_with_emotions(corpus: Corpus) -> None:
    means = {
        label: np.mean(
            [
                (u.valence, u.activation)
                for d in corpus.dialogues
                for u in d.utterances
                if u.label == label
            ],
            axis=0,
        )
        for label in CLASSES
    }
    assert means["happiness"][0] > means["neutral"][0] > means["sadness"][0]
    assert means["anger"][1] > means["neutral"][1] > means["sadness"][1]


def test_channels_are_found(corpus: Corpus) -> None:
    found = [find_channels(dialogue) for dialogue in corpus.dialogues]
    assert all(channels.margin_db > 10 for channels in found)
    for dialogue, channels in zip(corpus.dialogues, found, strict=True):
        for utterance in dialogue.utterances:
            own, partner = (
                float(np.std(sound(dialogue, utterance.id, channel)))
                for channel in (
                    channels.of[utterance.speaker],
                    1 - channels.of[utterance.speaker],
                )
            )
            assert own > 4 * partner


def sound(dialogue: CorpusDialogue, name: str, channel: int) -> np.ndarray:
    (utterance,) = (u for u in dialogue.utterances if u.id == name)
    blocks = audio_blocks(dialogue, channel, start_ns=utterance.start_ns, end_ns=utterance.end_ns)
    return np.concatenate([block.samples for block in blocks])


def described_voices(corpus: Corpus, front_end: str) -> np.ndarray:
    rows = []
    slow = front_end == "egemaps47"
    for dialogue in corpus.dialogues[: 5 if slow else None]:
        channels = find_channels(dialogue)
        for utterance in dialogue.utterances:
            samples = sound(dialogue, utterance.id, channels.of[utterance.speaker])
            if front_end == "tripathi34":
                frames = tripathi34.extract_tripathi34(samples, *tripathi34.reference(samples))
                rows.append(frames.mean(axis=0)[:21])  # chroma is the speaker's pitch
            elif front_end == "woellmer":
                rows.append(functionals(woellmer.extract_woellmer(samples)))
            else:
                rows.append(utterance_statistics(egemaps.extract_egemaps(samples)))
    return np.nan_to_num(np.stack(rows))


@pytest.fixture(scope="module")
def motion(corpus: Corpus) -> dict[str, np.ndarray]:
    """Each front end's rows (utterances, numbers)."""
    rows: dict[str, list[np.ndarray]] = {"face": [], "hand": [], "head": [], "markers": []}
    for dialogue in corpus.dialogues:
        blocks = list(mocap_blocks(dialogue))
        assert all(isinstance(block, MocapBlock) for block in blocks)  # and nothing is lost
        times_ns = np.concatenate([np.array(b.times_ns) for b in blocks])  # type: ignore[union-attr]
        values = np.concatenate([b.values for b in blocks])  # type: ignore[union-attr]
        for utterance in dialogue.utterances:
            within = (times_ns >= utterance.start_ns) & (times_ns < utterance.end_ns)
            means = chronological_means(values[within])
            for kind, first, end in (("face", 0, 165), ("hand", 165, 183), ("head", 183, 189)):
                rows[kind].append(means[:, first:end].ravel())
            markers = FaceMarkers(blocks[0].layout.channels)  # type: ignore[union-attr]
            frames = np.concatenate((markers.push(values[within]), markers.finish()))
            rows["markers"].append(functionals(frames))
    return {kind: np.nan_to_num(np.stack(found)) for kind, found in rows.items()}


def by_nearest_centroid(rows: np.ndarray, cues: np.ndarray) -> float:
    """Share of each dialogue's cues that are told by the others' centroids."""
    dialogues = np.arange(len(rows)) // SIZE["utterances"]
    right, cues = 0, cues[: len(rows)]
    for dialogue in np.unique(dialogues):
        known = dialogues != dialogue
        spread = rows[known].std(axis=0)
        scaled = (rows - rows[known].mean(axis=0)) / np.where(spread > 1e-9, spread, 1)
        centroids = np.stack([scaled[known & (cues == cue)].mean(axis=0) for cue in range(4)])
        distances = ((scaled[~known, None] - centroids) ** 2).sum(axis=-1)
        right += (distances.argmin(axis=1) == cues[~known]).sum()
    return float(right / len(rows))


@pytest.mark.parametrize("front_end", ["egemaps47", "tripathi34", "woellmer"])
def test_front_ends_tell_the_voices_cues(
    corpus: Corpus, written: tuple[Path, Truth], front_end: str
) -> None:
    cues = written[1].drawn.cues[..., 0].ravel()
    assert by_nearest_centroid(described_voices(corpus, front_end), cues) > 0.97


@pytest.mark.parametrize("kind", ["face", "hand", "head", "markers"])
def test_front_ends_tell_the_motions_cues(
    motion: dict[str, np.ndarray], written: tuple[Path, Truth], kind: str
) -> None:
    cues = written[1].drawn.cues[..., 2].ravel()
    assert by_nearest_centroid(motion[kind], cues) > 0.97


def test_word_vectors_tell_the_words_cues(data_folder: Path) -> None:
    vectors = json.loads((data_folder / "glove-50d-5k" / "glove-50d-5k.json").read_text())
    assert all(any(word not in vectors for word in words) for words in CUE_WORDS)
    rng = np.random.default_rng(0)
    cues = np.arange(800) % 4
    rows = [
        np.mean(
            [vectors[w] for w in render_words(cue, rng).lower()[:-1].split() if w in vectors],
            axis=0,
        )
        for cue in cues
    ]
    told = LinearDiscriminantAnalysis().fit(rows[:400], cues[:400]).predict(rows[400:])
    assert (told == cues[400:]).mean() > 0.97


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    size = {"sessions": 1, "dialogues_per_session": 2, "utterances": 3}
    digests = []
    for name, seed, workers in (("a", 1, 1), ("b", 1, 2), ("c", 2, 1)):
        write_corpus(tmp_path / name, DialogueModel(), seed, workers=workers, **size)
        digests.append(digests_of(tmp_path / name))
    assert digests[0] == digests[1]
    assert digests[0].keys() == digests[2].keys()
    changed = [path for path in digests[0] if digests[0][path] != digests[2][path]]
    assert len(changed) == len(digests[0]) - 1  # all but the page that says what it is


def digests_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".wdseg"
    }


def test_missing_cues_are_missing_in_the_files(tmp_path: Path) -> None:
    model = DialogueModel(CueChannel(0.5, 1.0), CueChannel(0.5, 1.0), CueChannel(0.5, 1.0))
    truth = write_corpus(
        tmp_path / "none", model, 0, sessions=1, dialogues_per_session=1, utterances=4
    )
    assert (truth.drawn.cues == MISSING).all()
    (dialogue,) = read_raw(tmp_path / "none").dialogues
    assert [u.text for u in dialogue.utterances] == [None] * 4
    for block in mocap_blocks(dialogue):
        assert isinstance(block, MocapBlock)
        inside = [
            any(u.start_ns <= time < u.end_ns for u in dialogue.utterances)
            for time in block.times_ns
        ]
        assert np.isnan(block.values[inside]).all()
        assert np.isfinite(block.values[~np.array(inside)]).all()
    assert all(np.std(sound(dialogue, u.id, 0)) < 10 for u in dialogue.utterances)


def test_the_model_is_kept_beside_the_corpus(written: tuple[Path, Truth]) -> None:
    folder, truth = written
    again = read_truth(folder)
    assert is_synthetic(folder)
    assert again.model == truth.model
    assert again.utterances == truth.utterances
    part = list(truth.utterances)[1:4]
    assert list(ceilings(again.model, again.of(part))) == list(
        ceilings(truth.model, truth.of(part))
    )
    assert "not IEMOCAP" in (folder / "README.md").read_text()


def test_what_cannot_be_written_or_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(AffectstreamError, match="not empty"):
        write_corpus(tmp_path, DialogueModel())
    with pytest.raises(ValueError, match="1 to 5 sessions"):
        write_corpus(tmp_path / "new", DialogueModel(), sessions=6)
    with pytest.raises(ValueError, match="do not fit"):
        write_corpus(tmp_path / "new", DialogueModel(), utterances=0)
    with pytest.raises(ValueError, match="frames a second"):
        write_corpus(tmp_path / "new", DialogueModel(), frame_rate_hz=0)
    assert not is_synthetic(tmp_path)
    with pytest.raises(AffectstreamError, match="does not say"):
        read_truth(tmp_path)
    (tmp_path / "model.json").write_text("{}")
    with pytest.raises(AffectstreamError, match="does not say"):
        read_truth(tmp_path)


def test_the_command_prints_the_ceilings(tmp_path: Path) -> None:
    asked = ["synthesise", str(tmp_path / "corpus"), "--sessions", "1", "--dialogues", "1"]
    asked += ["--utterances", "4", "--informativeness", "voice=1,words=0", "--json"]
    result = CliRunner().invoke(lab, asked)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["synthetic"] is True
    shown = [found["model"][name]["informativeness"] for name in ("voice", "words", "motion")]
    assert shown == [1.0, 0.0, 0.4]
    best = {(tuple(row["modalities"]), row["look_ahead"]): row for row in found["ceilings"]}
    assert best[("voice",), "none"]["realised_accuracy"] == 1.0
    assert best[("words",), "none"]["expected_uar"] == 0.25
    motion = [best[("motion",), name]["expected_accuracy"] for name in ("none", "causal", "full")]
    assert motion == sorted(motion)


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--informativeness", "voice=2", "chance within 0..1"),
        ("--informativeness", "voice", "write such as voice=0.5"),
        ("--informativeness", "smell=0.5", "no modality 'smell'"),
        ("--missing", "motion=x", "write such as voice=0.5"),
        ("--sessions", "7", "1 to 5 sessions"),
    ],
)
def test_the_command_refuses_in_one_sentence(
    tmp_path: Path, option: str, value: str, says: str
) -> None:
    result = CliRunner().invoke(lab, ["synthesise", str(tmp_path / "corpus"), option, value])
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "corpus").exists()
