"""What a recipe is learned from, read from the folders of the corpora."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from affectstream.corpus.derived import read_derived
from affectstream.corpus.dialogues import CorpusDialogue, CorpusError
from affectstream_models.context.network import SCALES
from affectstream_tools.corpora.acted import acted_dialogues
from affectstream_tools.corpora.emobank import read_emobank
from affectstream_tools.corpora.labelled_clips import LabelledClip, find_clips
from affectstream_tools.corpora.meld import read_meld
from affectstream_tools.corpora.sentences import Sentence, sentences_of
from affectstream_tools.corpora.word_vectors import read_glove_by_word
from affectstream_tools.train.recipes import ACTED_COPIES, ACTED_SPEAKERS
from affectstream_tools.train.trainer import Sources, TrainingRecipe


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the corpora are.

    Attributes:
        derived: IEMOCAP's derived set.
        beside: the folder of ``glove-50d-5k``, ``meld-text``, ``emobank`` and ``ravdess16k``.
    """

    derived: Path
    beside: Path


def read_sources(
    folders: Folders,
    recipe: TrainingRecipe,
    *,
    seed: int,
) -> Sources:
    """Read what ``recipe`` needs.

    Raises:
        CorpusError: a corpus is missing or broken.
    """
    dialogues = read_derived(folders.derived)
    sources = Sources(dialogues, read_glove_by_word(folders.beside))
    others: list[CorpusDialogue] = []
    if "meld" in recipe.schedule.parts or recipe.text is not None:
        meld = read_meld(folders.beside / "meld-text")
        others += meld if "meld" in recipe.schedule.parts else []
        if recipe.text is not None:
            rated = _as_rated_here(read_emobank(folders.beside / "emobank"), dialogues)
            sources = replace(sources, sentences=[*sentences_of(meld), *rated])
    if "ravdess" in recipe.schedule.parts:
        others += acted_dialogues(
            _chosen_clips(folders.beside / "ravdess16k"),
            seed=seed,
            copies=ACTED_COPIES,
        )
    return replace(sources, others=others)


def emotional_sentences(beside: Path) -> dict[str, list[Sentence]]:
    """Return MELD's and EmoBank's sentences by part: ``train``, ``dev`` and ``test``.

    Raises:
        CorpusError: one of them is missing or broken.
    """
    parts: dict[str, list[Sentence]] = {"train": [], "dev": [], "test": []}
    for dialogue in read_meld(beside / "meld-text"):
        parts[dialogue.id.split("/")[1]] += sentences_of([dialogue])
    for sentence in read_emobank(beside / "emobank"):
        parts[sentence.part].append(sentence)
    return parts


def _chosen_clips(folder: Path) -> list[LabelledClip]:
    if not folder.is_dir():
        raise CorpusError(f"{folder} is missing; name the folder it is in with --others")
    return [clip for clip in find_clips(folder)[0] if clip.speaker in ACTED_SPEAKERS]


def _as_rated_here(sentences: list[Sentence], dialogues: list[CorpusDialogue]) -> list[Sentence]:
    """Bring sentences' scales to the mean and deviation of the dialogues' ratings."""
    here = np.array([[getattr(u, s) for s in SCALES] for d in dialogues for u in d.utterances])
    there = np.array([sentence.scales for sentence in sentences])
    moved = (there - there.mean(0)) / there.std(0) * here.std(0) + here.mean(0)
    return [
        replace(sentence, scales=tuple(row))
        for sentence, row in zip(sentences, moved.clip(1.0, 5.0).tolist(), strict=True)
    ]
