"""Corpora beside IEMOCAP, read whole and refused when broken."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from affectstream.sources.iemocap import CorpusError
from affectstream_tools.corpora.acted import acted_dialogues
from affectstream_tools.corpora.emobank import read_emobank
from affectstream_tools.corpora.meld import read_meld
from affectstream_tools.labelled_clips import Clip, find_clips

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
    other = Clip(Path(shutil.copy(chosen[0].path, tmp_path / "x.flac")), "other", "a/1")
    assert acted_dialogues([other], seed=0) == []
