"""What a corpus is read into: dialogues of labelled utterances, whatever corpus they come from.

Knows: the values that hold a corpus, a dialogue, an utterance and its labels.
Refuses to know: files, models, and what is done with the labels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from affectstream.errors import SourceError
from affectstream.messages import Word

_FOUR_CLASSES = {
    "ang": "anger",
    "hap": "happiness",
    "exc": "happiness",  # merged by nearly everyone; Tripathi & Beigi use it alone
    "neu": "neutral",
    "sad": "sadness",
}


class CorpusError(SourceError):
    """A corpus that cannot be read; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One emotion that one annotator gave an utterance. An annotator may give several.

    Attributes:
        annotator: ``E1``, ``E2``, ...; ``F1`` and ``M1`` are the actors, who judged themselves.
        emotion: written as in ``CorpusUtterance.emotion``.
    """

    annotator: str
    emotion: str


@dataclass(frozen=True, slots=True)
class CorpusUtterance:
    """One labelled utterance.

    Attributes:
        start_ns, end_ns: since the start of the dialogue.
        emotion: what most annotators chose (``neu``, ``fru``, ...); ``xxx`` where none has the
            majority, or where a raw copy lacks the annotations.
        valence, activation, dominance: the annotators' means, clipped to 1..5; NaN where a raw
            copy lacks the annotations.
        acoustic: the 47 eGeMAPS statistics, float32, shape (47,); None where the corpus has none.
        words: the words with their times; empty unless they were read from the forced alignment.
        votes: what each annotator chose; empty where the corpus does not say.
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
        """One of ``core.dialogue.model.CLASSES``; None where the emotion is none of the four.

        An utterance without a label is not scored, but belongs to the context of the others.
        """
        return _FOUR_CLASSES.get(self.emotion)


@dataclass(frozen=True, slots=True)
class DialogueRecording:
    """The files of one dialogue. ``raw_media`` reads ``wav`` and ``mocap``.

    Attributes:
        wav: both speakers, one channel each; None where the copy lacks it.
        mocap: the rotated, hand and head files, in this order, without those that are missing.
        mocap_speaker: who wore the markers; empty where nobody did.
        clips: utterance -> its own recording. Filled only where ``wav`` is None.
        mocap_clips: utterance -> its own motion files. Filled only where ``mocap`` is empty.
    """

    wav: Path | None
    mocap: tuple[Path, ...]
    mocap_speaker: str
    clips: Mapping[str, Path] = field(default_factory=dict, repr=False)
    mocap_clips: Mapping[str, tuple[Path, ...]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class CorpusDialogue:
    """One dialogue.

    Attributes:
        session: number of the recording session.
        utterances: ordered by their ends, which is the order in which a stream gets to know them.
        recording: None where the corpus has texts and statistics only.
    """

    id: str
    session: int
    utterances: tuple[CorpusUtterance, ...] = field(repr=False)
    recording: DialogueRecording | None = None

    @property
    def improvised(self) -> bool:
        """Whether the actors improvised; the other dialogues are scenes from plays."""
        return "impro" in self.id

    @property
    def scenario(self) -> str:
        """The scenario, such as ``impro03`` or ``script01``. Every session plays the same ones.

        Raises:
            CorpusError: the dialogue's id names none.
        """
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
        kind: ``derived`` or ``raw``, the two forms of IEMOCAP; the laboratory adds others.
        warnings: what is missing or could not be read, one sentence each.
    """

    path: Path
    kind: str
    dialogues: tuple[CorpusDialogue, ...] = field(repr=False)
    warnings: tuple[str, ...] = ()


def dialogue_order(utterance: CorpusUtterance) -> tuple[int, int, str]:
    """Return the sort key of an utterance in its dialogue: end, then start, then speaker."""
    return (utterance.end_ns, utterance.start_ns, utterance.speaker)
