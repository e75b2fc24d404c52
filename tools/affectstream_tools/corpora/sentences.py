"""Single sentences with an emotion or with ratings, which text encoders learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from affectstream.corpus.dialogues import CorpusDialogue

SENTENCE_EMOTIONS = ("ang", "hap", "neu", "sad", "sur", "fea", "dis")
UNKNOWN_EMOTION = -1


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and what is known of it.

    Attributes:
        emotion: index of ``SENTENCE_EMOTIONS``, or ``UNKNOWN_EMOTION``.
        scales: valence, activation, dominance on 1..5, or None.
        part: ``train``, ``dev`` or ``test``, where its corpus has parts.
    """

    text: str
    emotion: int
    scales: tuple[float, float, float] | None = None
    part: str = ""


def sentences_of(dialogues: Sequence[CorpusDialogue]) -> list[Sentence]:
    """Return the utterances that have words, each as a sentence with its emotion."""
    return [
        Sentence(
            u.text,
            SENTENCE_EMOTIONS.index(u.emotion)
            if u.emotion in SENTENCE_EMOTIONS
            else UNKNOWN_EMOTION,
        )
        for dialogue in dialogues
        for u in dialogue.utterances
        if u.text
    ]
