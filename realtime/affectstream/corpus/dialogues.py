"""A corpus as dialogues of utterances, and IEMOCAP's derived set in that shape.

Knows: what an utterance and a dialogue are, whatever corpus they come from; the derived set
(statistics and transcripts in two files) and its labels.
Refuses to know: models, the bus, what is done with the labels, and IEMOCAP's own layout
(``iemocap_raw``, ``iemocap_texts``, ``iemocap_media``).
"""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from warnings import catch_warnings

import numpy as np
from numpy.typing import NDArray

from affectstream.errors import brief
from affectstream.messages import Word
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


_LONGEST_DIALOGUE_S = 86_400.0
_NO_ARRAY = (
    SyntaxError,
    OSError,
    ValueError,
    EOFError,
    TokenError,
    OverflowError,
    MemoryError,
    UserWarning,
)


class CorpusError(SourceError):
    """A corpus that cannot be read, said in one sentence with a remedy."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One emotion that one annotator heard in an utterance; some name several.

    Attributes:
        annotator: such as ``E2``; ``F1`` and ``M1`` are the actors, judging themselves.
        emotion: as in ``CorpusUtterance``.
    """

    annotator: str
    emotion: str


@dataclass(frozen=True, slots=True)
class CorpusUtterance:
    """One labelled utterance.

    Attributes:
        emotion: the annotators' majority (``neu``, ``fru``, ..., ``xxx`` where they disagree).
        valence, activation, dominance: the annotators' means, clipped to 1..5; NaN where a raw
            copy lacks the annotations (``emotion`` is ``xxx`` then).
        acoustic: 47 eGeMAPS statistics, float32, or None.
        words: the words with their times, where the corpus was aligned and that was asked for.
        votes: of the single annotators, where the corpus tells them.
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
    words: tuple[Word, ...] = ()
    votes: tuple[Vote, ...] = ()

    @property
    def label(self) -> str | None:
        """One of ``CLASSES``, or None where the utterance is context only."""
        return _FOUR_CLASSES.get(self.emotion)

    def vote_counts(self) -> dict[str, int]:
        """How often each emotion was heard: a soft label; the actors' own votes do not count.

        They do not enter the corpus's majority and means either.
        """
        return dict(Counter(v.emotion for v in self.votes if v.annotator.startswith("E")))


@dataclass(frozen=True, slots=True)
class DialogueRecording:
    """The files of one dialogue; ``iemocap_media`` reads those of the whole dialogue.

    Attributes:
        wav: both speakers, one channel each, or None where the copy lacks it.
        mocap: those of the rotated, hand and head files that are there, in this order.
        mocap_speaker: who wore the markers; empty where nobody did.
        clips: utterance -> a recording of it alone, where there is no ``wav``.
        mocap_clips: utterance -> its own motion files, as ``mocap``, where that is empty.
    """

    wav: Path | None
    mocap: tuple[Path, ...]
    mocap_speaker: str
    clips: Mapping[str, Path] = field(default_factory=dict, repr=False)
    mocap_clips: Mapping[str, tuple[Path, ...]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class CorpusDialogue:
    """One dialogue; ``utterances`` are ordered by the end of the utterance.

    That is the order in which a stream can know them: an utterance exists once it has ended.
    ``recording`` is None where there are texts and statistics only.
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


@dataclass(frozen=True, slots=True)
class Corpus:
    """A corpus that was opened.

    Attributes:
        kind: ``derived`` or ``raw`` (IEMOCAP); the lab has others.
        warnings: what a copy lacks or what in it could not be read, one sentence each.
    """

    path: Path
    kind: str
    dialogues: tuple[CorpusDialogue, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()


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
    statistics, rows = _statistics(statistics_path), _table(table_path)
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
        except (KeyError, ValueError, TypeError, IndexError, OverflowError) as error:
            raise CorpusError(
                f"{table_path}, line {line} is no utterance ({brief(error)}); copy both files "
                "again from the same source"
            ) from error
        dialogues[utterance.dialogue].append(utterance)
    return [
        CorpusDialogue(name, sessions[name], tuple(sorted(utterances, key=dialogue_order)))
        for name, utterances in sorted(dialogues.items())
    ]


def _statistics(path: Path) -> NDArray[np.float32]:
    """Return the statistics, (n, 47). Nothing is made room for that the file does not hold."""
    try:
        with path.open("rb") as file:
            np.lib.format.read_magic(file)  # an archive of arrays is none
        with catch_warnings(action="error"):  # such as of headers that no current numpy writes
            found = np.load(path, mmap_mode="r", allow_pickle=False)
        if found.ndim != 2 or found.dtype.kind != "f":
            raise ValueError("no table of numbers")
        with np.errstate(over="ignore"):  # what is too large is infinite, and refused below
            statistics = np.array(found, np.float32)
        if not (finite := np.isfinite(statistics).all(axis=1)).all():
            raise ValueError(f"row {int(np.argmin(finite))} is not finite")
        return statistics
    except _NO_ARRAY as error:
        raise CorpusError(
            f"{path} holds no statistics ({brief(error)}); copy it again from the same source"
        ) from error


def _table(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8") as table:
            return list(csv.DictReader(table))
    except (OSError, ValueError, csv.Error) as error:
        raise CorpusError(
            f"{path} is no table of utterances ({brief(error)}); copy it again from the same source"
        ) from error


def _derived_utterance(row: dict[str, str], statistics: NDArray[np.float32]) -> CorpusUtterance:
    def scale(name: str) -> float:
        return min(5.0, max(1.0, float(row[name])))

    _check_row(row, len(statistics))
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


def _check_row(row: dict[str, str], statistics: int) -> None:
    """Refuse what could not be said on the wire, or would be another row's."""
    for name in ("id", "dialog", "speaker"):
        if not re.match(r"[^/\s]{1,120}\Z", row[name]):
            raise ValueError(f"{brief(row[name], 60)!r} is no {name}")
    if len(row["text"]) > 16_384:
        raise ValueError(f"{len(row['text'])} characters of text")
    if not 0 <= int(row["row"]) < statistics:
        raise ValueError(f"there is no row {brief(row['row'], 60)} of statistics")
    start_s, end_s = float(row["start"]), float(row["end"])
    if not 0 <= start_s <= end_s <= _LONGEST_DIALOGUE_S:
        raise ValueError(f"it lasts from {start_s} s to {end_s} s")
