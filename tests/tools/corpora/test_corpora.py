"""Corpora beside IEMOCAP, read whole and refused when broken."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from affectstream.corpus.dialogues import CorpusError
from affectstream_tools.corpora.acted import acted_dialogues, read_acted
from affectstream_tools.corpora.any_corpus import count_modalities, modalities, open_any_corpus
from affectstream_tools.corpora.emobank import read_emobank
from affectstream_tools.corpora.labelled_clips import LabelledClip, find_clips
from affectstream_tools.corpora.meld import read_meld, read_meld_corpus
from derived_copy import write_derived
from iemocap_copy import RATE_HZ, write_copy, write_wav_file

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,a,b\n"
TABLES = ("train_sent_emo.csv", "dev_sent_emo.csv", "test_sent_emo.csv")


def small_meld(folder: Path, row: str = "") -> Path:
    rows = (
        '2,"You\x92re late, Ross!",Monica,anger,negative,0,1,1,1,x,y\n'
        "1,Hi.,Ross,neutral,neutral,0,0,1,1,x,y\n"
    )
    for name in TABLES:
        (folder / name).write_text(HEADER + rows + row, encoding="utf-8")
    return folder


def test_meld_is_dialogues_in_order(tmp_path: Path) -> None:
    dialogues = read_meld(small_meld(tmp_path))
    assert [d.id for d in dialogues] == ["meld/train/0", "meld/dev/0", "meld/test/0"]
    first, second = dialogues[0].utterances
    assert (first.text, first.speaker, first.label) == ("Hi.", "Ross", "neutral")
    assert (second.text, second.label) == ("You're late, Ross!", "anger")
    assert first.end_ns <= second.start_ns
    assert np.isnan(first.valence)


def test_a_broken_table_is_said_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="is missing"):
        read_meld(tmp_path)
    with pytest.raises(CorpusError, match="line 4"):
        read_meld(small_meld(tmp_path, "3,Hm.,Ross,bored,neutral,0,2,1,1,x,y\n"))
    with pytest.raises(CorpusError, match=r"emobank.csv is missing"):
        read_emobank(tmp_path)
    (tmp_path / "emobank.csv").write_text("id,split,V,A,D,text\n1,train,3.0,x,3.2,Well\n")
    with pytest.raises(CorpusError, match="line 2"):
        read_emobank(tmp_path)


def test_the_real_tables_are_read_whole(data_folder: Path) -> None:
    said = [u for d in read_meld(data_folder / "meld-text") for u in d.utterances]
    assert len(said) == 13_708
    assert not [u for u in said if any(ord(c) in (0x85, 0x91, 0x92) for c in u.text or "")]
    sentences = read_emobank(data_folder / "emobank")
    assert len(sentences) == 10_062
    assert sentences[0].scales == (3.0, 3.0, 3.2)


def test_clips_are_heard_as_the_live_path_hears_them(data_folder: Path, tmp_path: Path) -> None:
    clips, _ = find_clips(data_folder / "ravdess16k" / "Actor_03")
    chosen = [clip for clip in clips if clip.path.stem.startswith("03-01-0")][:6]
    first, second = acted_dialogues(chosen, seed=0, copies=2)
    assert first.id == "ravdess/03/0"
    assert sorted(u.id for u in first.utterances) == sorted(c.path.stem for c in chosen)
    assert [u.id for u in first.utterances] != [u.id for u in second.utterances]
    for utterance in first.utterances:
        assert utterance.acoustic is not None
        assert utterance.acoustic.shape == (47,)
        assert np.isfinite(utterance.acoustic).all()
        assert 0.5e9 < utterance.end_ns < 4e9
    other = LabelledClip(Path(shutil.copy(chosen[0].path, tmp_path / "x.flac")), "other", "a/1")
    assert acted_dialogues([other], seed=0) == []


def test_of_a_broken_copy_the_rest_is_read_and_the_loss_is_said(tmp_path: Path) -> None:
    small_meld(tmp_path, "3,Hm.,Ross,bored,neutral,0,2,1,1,x,y\n")
    (tmp_path / "dev_sent_emo.csv").unlink()

    corpus = read_meld_corpus(tmp_path)

    assert [d.id for d in corpus.dialogues] == ["meld/train/0", "meld/test/0"]
    assert [len(d.utterances) for d in corpus.dialogues] == [2, 2]
    assert len(corpus.warnings) == 3
    assert "dev_sent_emo.csv is missing" in corpus.warnings[1]
    assert "train_sent_emo.csv, line 4 is no utterance ('bored')" in corpus.warnings[0]
    with pytest.raises(CorpusError, match="is missing"):
        read_meld_corpus(tmp_path / "nowhere")


def test_a_folder_tells_which_corpus_it_holds(tmp_path: Path) -> None:
    (tmp_path / "meld").mkdir()
    small_meld(tmp_path / "meld")
    write_copy(tmp_path / "release" / "IEMOCAP_full_release")
    write_derived(tmp_path / "derived")
    write_wav_file(tmp_path / "clips" / "bob" / "sad.wav", np.zeros((RATE_HZ, 1)))
    write_wav_file(tmp_path / "clips" / "sad" / "x.wav", np.zeros((RATE_HZ, 1)))

    kinds = {
        name: open_any_corpus(tmp_path / name) for name in ("meld", "release", "derived", "clips")
    }

    assert [c.kind for c in kinds.values()] == ["meld", "raw", "derived", "acted"]
    (dialogue,) = kinds["clips"].dialogues
    assert [(u.id, u.label) for u in dialogue.utterances] == [("sad/x", "sadness")]
    assert "1 recordings whose name says no emotion" in kinds["clips"].warnings[0]
    first = kinds["release"].dialogues[0]
    assert first.utterances[0].words, "opened with the words' times"
    assert modalities(first, first.utterances[0]) >= {"speech", "text", "words", "mocap", "votes"}
    assert count_modalities(kinds["meld"].dialogues)["scales"] == 0
    for folder in (tmp_path / "nowhere", tmp_path / "derived" / "x"):
        with pytest.raises(CorpusError, match="is no folder"):
            open_any_corpus(folder)


def test_clips_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    (tmp_path / "sad").mkdir()
    (tmp_path / "sad" / "x.wav").write_bytes(b"RIFF")
    with pytest.raises(CorpusError, match="no clip that can be read"):
        read_acted(tmp_path)
    (tmp_path / "sad" / "x.wav").rename(tmp_path / "x.wav")
    with pytest.raises(CorpusError, match=r"labels\.csv"):
        read_acted(tmp_path)


def test_clips_of_one_name_and_two_kinds_are_two_utterances(tmp_path: Path) -> None:
    for name in ("a.wav", "a.flac"):
        write_wav_file(tmp_path / "sad" / name, np.zeros((RATE_HZ, 1)))  # read as what it holds

    (dialogue,) = read_acted(tmp_path).dialogues

    assert [u.id for u in dialogue.utterances] == ["sad/a", "sad/a.wav"]
    assert [u.start_ns for u in dialogue.utterances] == [0, 1_000_000_000]


def test_the_real_clips_are_opened_whole(data_folder: Path) -> None:
    corpus = open_any_corpus(data_folder / "ravdess16k")
    assert len(corpus.dialogues) == 24
    assert sum(len(d.utterances) for d in corpus.dialogues) == 672
    assert corpus.warnings == ()
    length_s = sum(d.utterances[-1].end_ns for d in corpus.dialogues) / 1e9
    assert length_s == pytest.approx(2487.5, abs=0.1)
