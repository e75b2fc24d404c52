"""How classes of utterances follow one another in a dialogue.

Knows: labels of dialogues, and the best path of classes through one (Viterbi).
Refuses to know: what the utterances' own scores come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from affectstream_models.woellmer.inputs import UNLABELLED, Floats, Labels


@dataclass(frozen=True, slots=True, eq=False)
class ClassBigram:
    """The first-order language model of classes over a dialogue, add-one smoothed.

    Attributes:
        start: (C,), log probabilities of the first utterance's class.
        follow: (C, C), log probabilities of a class (column) after a class (row).
    """

    start: Floats
    follow: Floats

    @classmethod
    def fit(cls, labels: Sequence[Labels], classes: int) -> ClassBigram:
        """Count the first classes and the pairs of neighbours, those of no class left out."""
        start = np.ones(classes)
        follow = np.ones((classes, classes))
        for dialogue in labels:
            if len(dialogue) and dialogue[0] != UNLABELLED:
                start[dialogue[0]] += 1
            known = (dialogue[:-1] != UNLABELLED) & (dialogue[1:] != UNLABELLED)
            np.add.at(follow, (dialogue[:-1][known], dialogue[1:][known]), 1)
        return cls(np.log(start / start.sum()), np.log(follow / follow.sum(axis=1, keepdims=True)))

    def best_paths(self, scores: Floats, weight: float) -> Floats:
        """(U, C), of the best path of classes that passes each class at each utterance.

        Viterbi there and back. The highest of each row is on the best path of all.

        Args:
            scores: (U, C), log likelihoods.
            weight: of the language model's logarithms.
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
