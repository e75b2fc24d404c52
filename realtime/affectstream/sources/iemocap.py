"""IEMOCAP as dialogues of utterances.

Knows: the derived set (statistics and transcripts in two files) and its labels.
Refuses to know: models, the bus, what is done with the labels, and the corpus's own layout
(``iemocap_raw``, ``iemocap_media``).
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectstream.sources.errors import SourceError
from affectstream.timebase import seconds_to_ns

CLASSES = ("anger", "happiness", "neutral", "sadness")
"""The four classes of the literature, in the order of every probability vector here."""

_FOUR_CLASSES = {
    "ang": "anger",
    "hap": "happiness",
    "exc": "happiness",  # merged by nearly everyone; Tripathi & Beigi use it alone
    "neu": "neutral",
    "sad": "sadness",
}


class CorpusError(SourceError):
    """A corpus that cannot be read, said in one sentence with a remedy."""


@dataclass(frozen=True, slots=True)
class CorpusUtterance:
    """One labelled utterance.

    Attributes:
        emotion: the annotators' majority (``neu``, ``fru``, ..., ``xxx`` where they disagree).
        valence, activation, dominance: the annotators' means, clipped to 1..5; NaN where a raw
            copy lacks the annotations (``emotion`` is ``xxx`` then).
        acoustic: 47 eGeMAPS statistics, float32, or None.
    """

    id: str
    dialogue: str
    speaker: str
    start_ns: int
    end_ns: int
    emotion: str
    valence: float
    activation: float
    dominance: float
    text: str | None = None
    acoustic: NDArray[np.float32] | None = None

    @property
    def label(self) -> str | None:
        """One of ``CLASSES``, or None where the utterance is context only."""
        return _FOUR_CLASSES.get(self.emotion)


@dataclass(frozen=True, slots=True)
class DialogueRecording:
    """The files of one dialogue of a raw copy; ``iemocap_media`` reads them.

    Attributes:
        wav: both speakers, one channel each, or None where the copy lacks it.
        mocap: those of the rotated, hand and head files that are there, in this order.
        mocap_speaker: who wore the markers.
    """

    wav: Path | None
    mocap: tuple[Path, ...]
    mocap_speaker: str


@dataclass(frozen=True, slots=True)
class CorpusDialogue:
    """One dialogue; ``utterances`` are ordered by the end of the utterance.

    That is the order in which a stream can know them: an utterance exists once it has ended.
    ``recording`` is None in the derived set.
    """

    id: str
    session: int
    utterances: tuple[CorpusUtterance, ...] = field(repr=False)
    recording: DialogueRecording | None = None

    @property
    def improvised(self) -> bool:
        """Whether the actors improvised (the rest are read from plays)."""
        return "impro" in self.id

    @property
    def scenario(self) -> str:
        """The scenario that recurs in every session, such as ``impro03`` or ``script01``."""
        match = re.search(r"(impro\d\d|script\d\d)", self.id)
        if match is None:
            raise CorpusError(
                f"dialogue {self.id!r} names no scenario; expected impro.. or script.."
            )
        return match.group(1)


def dialogue_order(utterance: CorpusUtterance) -> tuple[int, int, str]:
    """Sort key of utterances within a dialogue: by end, then start, then speaker."""
    return (utterance.end_ns, utterance.start_ns, utterance.speaker)


def read_derived(path: Path) -> list[CorpusDialogue]:
    """Read the derived set: ``utterances.csv`` and ``egemaps47.npy`` in the folder ``path``.

    Raises:
        CorpusError: a file is missing, the two files have different numbers of rows, or a row
            is no utterance.
    """
    table_path, statistics_path = path / "utterances.csv", path / "egemaps47.npy"
    for needed in (table_path, statistics_path):
        if not needed.is_file():
            raise CorpusError(
                f"{needed} is missing; a derived set has utterances.csv and egemaps47.npy"
            )
    statistics = np.load(statistics_path, allow_pickle=False)
    with table_path.open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))
    if len(rows) != len(statistics):
        raise CorpusError(
            f"{table_path.name} has {len(rows)} rows but {statistics_path.name} has "
            f"{len(statistics)}; copy both files again from the same source"
        )
    dialogues: dict[str, list[CorpusUtterance]] = defaultdict(list)
    sessions: dict[str, int] = {}
    for line, row in enumerate(rows, 2):
        try:
            utterance = _derived_utterance(row, statistics)
            sessions[utterance.dialogue] = int(row["session"])
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise CorpusError(
                f"{table_path}, line {line} is no utterance ({error}); copy both files again "
                "from the same source"
            ) from error
        dialogues[utterance.dialogue].append(utterance)
    return [
        CorpusDialogue(name, sessions[name], tuple(sorted(utterances, key=dialogue_order)))
        for name, utterances in sorted(dialogues.items())
    ]


def _derived_utterance(row: dict[str, str], statistics: NDArray[np.float32]) -> CorpusUtterance:
    def scale(name: str) -> float:
        return min(5.0, max(1.0, float(row[name])))

    return CorpusUtterance(
        id=row["id"],
        dialogue=row["dialog"],
        speaker=row["speaker"],
        start_ns=seconds_to_ns(float(row["start"])),
        end_ns=seconds_to_ns(float(row["end"])),
        emotion=row["emotion"],
        valence=scale("valence"),
        activation=scale("activation"),
        dominance=scale("dominance"),
        text=row["text"],
        acoustic=statistics[int(row["row"])],
    )
