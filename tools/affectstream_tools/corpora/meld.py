"""MELD's transcripts as dialogues (Poria et al. 2019): television dialogue with seven emotions.

Its audio and video are not read.
"""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

from affectstream.corpus.dialogues import Corpus, CorpusDialogue, CorpusError, CorpusUtterance
from affectstream.sources.text_files import table_rows
from affectstream.timebase import NS_PER_S

_EMOTIONS = {
    "anger": "ang",
    "joy": "hap",
    "neutral": "neu",
    "sadness": "sad",
    "surprise": "sur",
    "fear": "fea",
    "disgust": "dis",
}
"""From MELD's names to IEMOCAP's."""

_TABLES = ("train_sent_emo.csv", "dev_sent_emo.csv", "test_sent_emo.csv")
_WINDOWS_1252 = str.maketrans({0x85: " ", 0x91: "'", 0x92: "'", 0x93: '"', 0x94: '"', 0x97: " "})
"""Punctuation that stands in the tables as characters of Windows-1252, although they are UTF-8."""


def is_meld(folder: Path) -> bool:
    """Return whether a folder holds one of the three tables."""
    return any((folder / name).is_file() for name in _TABLES)


def read_meld_corpus(folder: Path) -> Corpus:
    """Read what is there: tables and rows that are missing or broken are named and left out.

    Raises:
        CorpusError: there is no dialogue.
    """
    problems: list[str] = []
    dialogues = tuple(d for name in _TABLES for d in _table(folder / name, problems))
    if not dialogues:
        raise CorpusError(problems[0])
    return Corpus(folder, "meld", dialogues, tuple(problems))


def read_meld(folder: Path) -> list[CorpusDialogue]:
    """Read all dialogues, in order. Each turn is given a second; scales are NaN, the session is 0.

    Raises:
        CorpusError: a table is missing, or a row is no utterance.
    """
    corpus = read_meld_corpus(folder)
    if corpus.warnings:
        raise CorpusError(corpus.warnings[0])
    return list(corpus.dialogues)


def _table(path: Path, problems: list[str]) -> list[CorpusDialogue]:
    if not path.is_file():
        problems.append(f"{path} is missing; MELD's text is {', '.join(_TABLES)}")
        return []
    rows: dict[str, list[tuple[int, CorpusUtterance]]] = defaultdict(list)
    part = path.name.partition("_")[0]
    for line, row in enumerate(table_rows(path), 2):
        try:
            turn, utterance = _utterance(part, row)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            problems.append(f"{path}, line {line} is no utterance ({error}); copy the table again")
            continue
        rows[utterance.dialogue].append((turn, utterance))
    return [
        CorpusDialogue(name, 0, tuple(u for _, u in sorted(said, key=lambda item: item[0])))
        for name, said in rows.items()
    ]


def _utterance(part: str, row: dict[str, str]) -> tuple[int, CorpusUtterance]:
    """Return an utterance's place in its dialogue, and the utterance."""
    name, turn = f"meld/{part}/{int(row['Dialogue_ID'])}", int(row["Utterance_ID"])
    utterance = CorpusUtterance(
        id=f"{name}/{turn}",
        dialogue=name,
        speaker=row["Speaker"],
        start_ns=turn * NS_PER_S,
        end_ns=(turn + 1) * NS_PER_S,
        emotion=_EMOTIONS[row["Emotion"]],
        valence=math.nan,
        activation=math.nan,
        dominance=math.nan,
        text=row["Utterance"].translate(_WINDOWS_1252),
    )
    return turn, utterance
