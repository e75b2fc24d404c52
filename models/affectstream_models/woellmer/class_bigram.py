"""A bigram of classes: how likely each class of utterance follows each other one in a dialogue.

Knows: labels of dialogues, and the best path of classes through a dialogue (Viterbi).
Refuses to know: where the utterances' own scores come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from affectstream_models.woellmer.inputs import UNLABELLED, Floats, Labels


@dataclass(frozen=True, slots=True, eq=False)
class ClassBigram:
    """A first-order language model of classes, with add-one smoothing.

    Attributes:
        start: (C,), log probabilities of the first utterance's class.
        follow: (C, C), log probabilities of a class (column) after another (row).
    """

    start: Floats
    follow: Floats

    @classmethod
    def fit(cls, labels: Sequence[Labels], classes: int) -> ClassBigram:
        """Return the bigram of dialogues with these labels; pairs with no label are not counted."""
        start = np.ones(classes)
        follow = np.ones((classes, classes))
        for dialogue in labels:
            if len(dialogue) and dialogue[0] != UNLABELLED:
                start[dialogue[0]] += 1
            known = (dialogue[:-1] != UNLABELLED) & (dialogue[1:] != UNLABELLED)
            np.add.at(follow, (dialogue[:-1][known], dialogue[1:][known]), 1)
        return cls(np.log(start / start.sum()), np.log(follow / follow.sum(axis=1, keepdims=True)))

    def best_paths(self, scores: Floats, weight: float) -> Floats:
        """Return, for each utterance and class, the score of the best path through it, (U, C).

        The highest one of each row lies on the best path of all. It is computed by Viterbi's
        algorithm in both directions.

        Args:
            scores: (U, C), log likelihoods.
            weight: what the bigram's logarithms are multiplied by.
        """
        start, follow = weight * self.start, weight * self.follow
        there, back = np.zeros_like(scores), np.zeros_like(scores)
        for row in range(len(scores)):
            before = (there[row - 1][:, None] + follow).max(axis=0) if row else start
            there[row] = before + scores[row]
        for row in range(len(scores) - 2, -1, -1):
            back[row] = (follow + scores[row + 1] + back[row + 1]).max(axis=1)
        best: Floats = there + back
        return best
