"""A running score of emotion estimates against a corpus's labels.

Knows: confusion counts, and the three scores that are usual for IEMOCAP.
Refuses to know: where labels and estimates come from.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from affectstream.core.dialogue.model import CLASSES
from affectstream.corpus.dialogues import CorpusUtterance
from affectstream.messages import Emotion


def _no_counts() -> NDArray[np.int64]:
    return np.zeros((len(CLASSES), len(CLASSES)), dtype=np.int64)


@dataclass(slots=True)
class Confusion:
    """Counts of true (rows) against estimated (columns) classes, shape (4, 4)."""

    counts: NDArray[np.int64] = field(default_factory=_no_counts)

    def add(self, true: str, estimated: str) -> None:
        """Count one utterance."""
        self.counts[CLASSES.index(true), CLASSES.index(estimated)] += 1

    @property
    def utterances(self) -> int:
        """How many utterances were counted."""
        return int(self.counts.sum())

    @property
    def uar(self) -> float:
        """Unweighted average recall: the mean recall of the classes that occur.

        Chance is 0.25 where all four do.
        """
        true = self.counts.sum(axis=1)
        recalls = np.diag(self.counts)[true > 0] / true[true > 0]
        return float(recalls.mean()) if recalls.size else 0.0

    @property
    def weighted_accuracy(self) -> float:
        """Share of the utterances that were right, called weighted accuracy in the field."""
        return float(np.trace(self.counts) / max(1, self.utterances))

    @property
    def weighted_f1(self) -> float:
        """F1 of each class, weighted by how often the class is true."""
        true, estimated = self.counts.sum(axis=1), self.counts.sum(axis=0)
        f1 = 2 * np.diag(self.counts) / np.maximum(1, true + estimated)
        return float((f1 * true).sum() / max(1, self.utterances))

    def as_dict(self) -> dict[str, float]:
        """Return the three scores by their short names."""
        return {
            "uar": round(self.uar, 4),
            "wa": round(self.weighted_accuracy, 4),
            "weighted_f1": round(self.weighted_f1, 4),
        }


class LiveScore:
    """Scores first estimates, final ones, and those after 0, 1, 2, 4 and 8 later utterances.

    Each is scored twice: over all dialogues and over the improvised ones.

    Attributes:
        utterances: how many are final, labelled or not.
        changed: how many of these changed their label after the first estimate.
    """

    look_aheads = (0, 1, 2, 4, 8)

    def __init__(self) -> None:
        self.utterances = 0
        self.changed = 0
        self._tables: dict[tuple[str, bool], Confusion] = defaultdict(Confusion)
        self._first: dict[tuple[str, str], str] = {}
        self._history: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)

    def add(self, emotion: Emotion, utterance: CorpusUtterance, improvised: bool) -> None:
        """Take one estimate of ``utterance``.

        Partial estimates do not count, and neither do utterances that have none of the four
        labels.
        """
        if emotion.status == "partial":
            return
        key = (emotion.session, emotion.utterance)
        if key not in self._history:  # without look-ahead the first estimate may be final at once
            self._first[key] = emotion.label
            self._count("provisional", emotion.label, utterance, improvised)
        history = self._history[key]
        history[emotion.look_ahead] = emotion.label
        if emotion.status == "final":
            self.utterances += 1
            self.changed += self._first.pop(key) != emotion.label
            self._count("final", emotion.label, utterance, improvised)
            for look_ahead in self.look_aheads:
                label = _at(history, look_ahead)
                self._count(f"look-ahead {look_ahead}", label, utterance, improvised)
            del self._history[key]

    def _count(self, row: str, label: str, utterance: CorpusUtterance, improvised: bool) -> None:
        if utterance.label is None:
            return
        self._tables[(row, False)].add(utterance.label, label)
        if improvised:
            self._tables[(row, True)].add(utterance.label, label)

    def row(self, name: str, *, improvised: bool = False) -> Confusion:
        """Return the counts of ``provisional``, ``final`` or ``look-ahead 0`` to ``8``."""
        return self._tables[(name, improvised)]

    def as_dict(self) -> dict[str, object]:
        """Return the summary that ``affectstream replay --json`` prints."""
        both = ("provisional", "final")
        return {
            "utterances": self.utterances,
            "labelled": self.row("final").utterances,
            **{name: self.row(name).as_dict() for name in both},
            "improvised": {name: self.row(name, improvised=True).as_dict() for name in both},
            "top_label_changed": round(self.changed / max(1, self.utterances), 4),
        }


def _at(history: dict[int, str], look_ahead: int) -> str:
    """Return the label after ``look_ahead`` later utterances, or as many as the dialogue has."""
    seen = [known for known in history if known <= look_ahead]
    return history[max(seen, default=min(history))]
