"""Features and targets of labelled dialogues, and what a training fold determines.

Knows: labels, the vocabulary and the normalisation fitted on a fold.
Refuses to know: networks and losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from affectstream.sources.iemocap import CLASSES, CorpusDialogue, CorpusUtterance
from affectstream_models.context_features import normalise
from affectstream_models.context_network import CLASS_COUNT
from affectstream_models.text_encoder import TextEncoder, TextFeatures, count_ngrams, word_table

_OTHER = {"fru": 0, "sur": 1, "fea": 2, "dis": 3, "oth": 3}
_NONE = -1


@dataclass(frozen=True, slots=True)
class Prepared:
    """One dialogue as features and targets.

    Attributes:
        emotion: (N,) int64, the four classes then the training-only ones; -1 where masked.
        scales: (N, 3) float32, valence, activation and dominance on 1..5.
    """

    speakers: tuple[str, ...]
    acoustic: tuple[NDArray[np.float32] | None, ...]
    text: tuple[TextFeatures, ...]
    emotion: NDArray[np.int64]
    scales: NDArray[np.float32]

    def part(self, start: int, end: int) -> Prepared:
        """The utterances ``start`` to ``end`` (exclusive)."""
        return Prepared(
            self.speakers[start:end],
            self.acoustic[start:end],
            self.text[start:end],
            self.emotion[start:end],
            self.scales[start:end],
        )


def emotion_target(utterance: CorpusUtterance) -> int:
    """Index of the utterance's emotion among the network's class outputs, -1 where masked."""
    if utterance.label is not None:
        return CLASSES.index(utterance.label)
    other = _OTHER.get(utterance.emotion)
    return _NONE if other is None else CLASS_COUNT + other


def level_of(scales: Tensor) -> Tensor:
    """Level 0, 1 or 2 of annotators' means: below 2.25, below 3.75, and above."""
    return (scales >= 2.25).long() + (scales >= 3.75).long()


@dataclass(frozen=True, slots=True)
class Fitted:
    """What the training fold determines before any network is trained."""

    ngram_hashes: NDArray[np.int64]
    word_hashes: NDArray[np.int64]
    vectors: NDArray[np.float32]
    acoustic_mean: NDArray[np.float32]
    acoustic_sd: NDArray[np.float32]

    def prepare(self, dialogue: CorpusDialogue, encoder: TextEncoder) -> Prepared:
        """Features and targets of one dialogue."""
        said = dialogue.utterances
        return Prepared(
            tuple(u.speaker for u in said),
            tuple(normalise(u.acoustic, self.acoustic_mean, self.acoustic_sd) for u in said),
            tuple(encoder.features(u.text) for u in said),
            np.array([emotion_target(u) for u in said], dtype=np.int64),
            np.array([[u.valence, u.activation, u.dominance] for u in said], dtype=np.float32),
        )


def fit(
    dialogues: Sequence[CorpusDialogue],
    vectors: Mapping[str, Sequence[float]],
    *,
    least_ngrams: int = 2,
) -> Fitted:
    """Vocabulary and normalisation of a training fold."""
    said = [u for dialogue in dialogues for u in dialogue.utterances]
    statistics = np.stack([u.acoustic for u in said if u.acoustic is not None])
    word_hashes, table = word_table(vectors)
    return Fitted(
        count_ngrams((u.text or "" for u in said), least=least_ngrams),
        word_hashes,
        table.astype(np.float16).astype(np.float32),  # as the checkpoint stores them
        statistics.mean(axis=0),
        np.maximum(statistics.std(axis=0), 1e-6),
    )
