"""Features and targets of labelled dialogues, and what a training fold determines of them.

A fold determines the vocabulary, the population that statistics are normalised by, and the clusters
of the ratings. For training, an utterance has alternatives: the same with another room's sound or a
recogniser's mistakes.
"""

from __future__ import annotations

import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from affectstream.core.dialogue.model import CLASSES
from affectstream.core.dialogue.normalisation import NOBODY, SpeakerNormaliser
from affectstream.corpus.dialogues import CorpusDialogue, CorpusUtterance
from affectstream_models.context.network import CONTEXT_CLASS_COUNT
from affectstream_models.text.sentence_encoder import SentenceEncoder
from affectstream_models.text.word_encoder import (
    TextEncoder,
    TextFeatures,
    count_ngrams,
    word_table,
)
from affectstream_tools.corpora.annotations import LEVEL_BORDERS, Classes, annotations_of
from affectstream_tools.train.augmentation import (
    UtteranceRows,
    as_recognised,
    heard_before,
    in_another_room,
    normalised,
)

_OTHER = {"fru": 0, "sur": 1, "fea": 2, "dis": 3, "oth": 3}
_NONE = -1
_MISTAKES = ((0.0, 0.0), (0.08, 0.08), (0.15, 0.15))
"""For each alternative of a text: the chances that a word is dropped, and that it is another."""


@dataclass(frozen=True, slots=True)
class PreparedDialogue:
    """One dialogue as features and targets. The first alternative is the one without changes.

    Attributes:
        corpus: its corpus, within which classes are balanced.
        acoustic: alternatives of the dialogue's normalised statistics, one row per utterance.
        text: per utterance, alternatives of its features.
        emotion: (N,) int64, the four classes then the training-only ones; -1 where masked.
        scales: (N, 3) float32, valence, activation and dominance on 1..5; NaN where unknown.
        clusters: (N, K) int64, the cluster of each of K clusterings; -1 where unknown.
    """

    corpus: str
    speakers: tuple[str, ...]
    acoustic: tuple[tuple[UtteranceRows | None, ...], ...]
    text: tuple[tuple[TextFeatures, ...], ...]
    emotion: NDArray[np.int64]
    scales: NDArray[np.float32]
    clusters: NDArray[np.int64]

    def chosen(self, order: Sequence[int]) -> PreparedDialogue:
        """Return the dialogue of the utterances with these numbers, in this order."""
        rows = list(order)
        return PreparedDialogue(
            self.corpus,
            tuple(self.speakers[i] for i in rows),
            tuple(tuple(one[i] for i in rows) for one in self.acoustic),
            tuple(self.text[i] for i in rows),
            self.emotion[rows],
            self.scales[rows],
            self.clusters[rows],
        )


@dataclass(frozen=True, slots=True)
class DrawnDialogue:
    """A dialogue as one training step sees it: one of its alternatives, whole or in part."""

    corpus: str
    speakers: tuple[str, ...]
    acoustic: tuple[UtteranceRows | None, ...]
    text: tuple[TextFeatures, ...]
    emotion: NDArray[np.int64]
    scales: NDArray[np.float32]
    clusters: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Which alternatives a dialogue is given for training.

    Attributes:
        alternatives: how many there are of the acoustic statistics; 1 is no change.
        heard_before: chance that an alternative's speakers are already known.
        room: strength of the random room, in standard deviations, of the other alternatives.
        mistakes: whether texts have alternatives with a recogniser's mistakes.
    """

    alternatives: int = 4
    heard_before: float = 0.5
    room: float = 0.5
    mistakes: bool = True


NO_AUGMENTATION = Augmentation(alternatives=1, mistakes=False)


def emotion_target(utterance: CorpusUtterance) -> int:
    """Return the index of an utterance's emotion among the network's class outputs, -1 for none."""
    if utterance.label is not None:
        return CLASSES.index(utterance.label)
    other = _OTHER.get(utterance.emotion)
    return _NONE if other is None else CONTEXT_CLASS_COUNT + other


def level_of(scales: Tensor) -> Tensor:
    """Return level 0, 1 or 2 of annotators' means: below 2.25, below 3.75, and above."""
    low, high = LEVEL_BORDERS
    return (scales >= low).long() + (scales >= high).long()


@dataclass(frozen=True, slots=True)
class Fitted:
    """What the training fold determines before any network is trained.

    Attributes:
        words: words that may stand for others in a recogniser's mistakes.
        recordings: speaker -> all their statistics in the fold.
        sentences: what reads whole sentences, or None.
        clusterings: of the fold's valence and activation.
    """

    ngram_hashes: NDArray[np.int64]
    word_hashes: NDArray[np.int64]
    vectors: NDArray[np.float32]
    acoustic_mean: NDArray[np.float32]
    acoustic_sd: NDArray[np.float32]
    speaker_prior: float
    words: tuple[str, ...]
    recordings: Mapping[str, Sequence[UtteranceRows]]
    sentences: SentenceEncoder | None = None
    clusterings: tuple[Classes, ...] = ()

    def text_encoder(self) -> TextEncoder:
        """Return the encoder of these tables."""
        return TextEncoder(self.ngram_hashes, self.word_hashes, self.vectors, self.sentences)

    def cluster_centres(self) -> NDArray[np.float32]:
        """Return the centres of all clusterings, one below the other, (sum of clusters, 2)."""
        centres = [one.centres for one in self.clusterings if one.centres is not None]
        return np.concatenate([np.zeros((0, 2)), *centres]).astype(np.float32)

    def normaliser(self) -> SpeakerNormaliser:
        """Return the normaliser of this population."""
        return SpeakerNormaliser(self.acoustic_mean, self.acoustic_sd, self.speaker_prior)

    def prepare(
        self,
        dialogue: CorpusDialogue,
        encoder: TextEncoder,
        augmentation: Augmentation = NO_AUGMENTATION,
        seed: int = 0,
    ) -> PreparedDialogue:
        """Return a dialogue's features and targets; the same arguments give the same."""
        rng = np.random.default_rng((seed, zlib.crc32(dialogue.id.encode())))
        said = dialogue.utterances
        rows = [(u.valence, u.activation, u.dominance) for u in said]
        return PreparedDialogue(
            dialogue.id.partition("/")[0] if dialogue.session == 0 else "iemocap",
            tuple(u.speaker for u in said),
            self._acoustic(dialogue, augmentation, rng),
            tuple(self.alternatives(u.text, encoder, augmentation, rng) for u in said),
            np.array([emotion_target(u) for u in said], dtype=np.int64),
            np.array(rows, dtype=np.float32),
            np.stack([one.of(np.array(rows)[:, :2]) for one in self.clusterings], axis=1)
            if self.clusterings
            else np.zeros((len(said), 0), dtype=np.int64),
        )

    def alternatives(
        self,
        text: str | None,
        encoder: TextEncoder,
        augmentation: Augmentation,
        rng: np.random.Generator,
    ) -> tuple[TextFeatures, ...]:
        """Return a text's features as it is written, and as recognisers may write it."""
        as_written = encoder.features(text)
        if not text or not augmentation.mistakes:
            return (as_written,)
        mistaken = (
            as_recognised(text, self.words, rng, drop=drop, substitute=substitute)
            for drop, substitute in _MISTAKES
        )
        return (as_written, *(encoder.features(one) for one in mistaken))

    def _acoustic(
        self, dialogue: CorpusDialogue, augmentation: Augmentation, rng: np.random.Generator
    ) -> tuple[tuple[UtteranceRows | None, ...], ...]:
        raw: list[UtteranceRows | None] = [u.acoustic for u in dialogue.utterances]
        speakers = [u.speaker for u in dialogue.utterances]
        normaliser = self.normaliser()
        in_use = tuple(normalised(raw, speakers, normaliser))
        if all(one is None for one in raw):
            return (in_use,)
        others = []
        for _ in range(augmentation.alternatives - 1):
            moved, known = raw, NOBODY
            if rng.random() < augmentation.heard_before:
                known = heard_before(speakers, self.recordings, normaliser, rng)
            else:
                moved = in_another_room(raw, speakers, self.acoustic_sd, rng, augmentation.room)
            others.append(tuple(normalised(moved, speakers, normaliser, known)))
        return (in_use, *others)


def fit(
    dialogues: Sequence[CorpusDialogue],
    vectors: Mapping[str, Sequence[float]],
    *,
    texts: Sequence[str] | None = None,
    least_ngrams: int = 2,
    speaker_prior: float = float("inf"),
    sentences: SentenceEncoder | None = None,
    clusters: Sequence[int] = (),
) -> Fitted:
    """Return the vocabulary, the population and the clusters of a training fold.

    Args:
        dialogues: IEMOCAP's among them (session 1 and up) are the population.
        texts: the texts whose n-grams are known; None takes what is said in the dialogues.
        clusters: how many clusters each clustering of valence and activation has.
    """
    recordings: dict[str, list[UtteranceRows]] = defaultdict(list)
    for utterance in (u for d in dialogues for u in d.utterances):
        if utterance.acoustic is not None:
            recordings[utterance.speaker].append(utterance.acoustic)
    population = [u.acoustic for d in dialogues if d.session for u in d.utterances]
    statistics = np.stack([one for one in population if one is not None])
    if texts is None:
        texts = [u.text or "" for dialogue in dialogues for u in dialogue.utterances]
    word_hashes, table = word_table(vectors)
    return Fitted(
        count_ngrams(texts, least=least_ngrams),
        word_hashes,
        table.astype(np.float16).astype(np.float32),  # as the checkpoint stores them
        np.nanmean(statistics, axis=0),
        np.maximum(np.nanstd(statistics, axis=0), 1e-6),
        speaker_prior,
        tuple(sorted(vectors)),
        recordings,
        sentences,
        clusterings_of(dialogues, clusters),
    )


def clusterings_of(
    dialogues: Sequence[CorpusDialogue], sizes: Sequence[int]
) -> tuple[Classes, ...]:
    """Return the clusters of a fold's valence and activation, for each number of clusters."""
    if not sizes:
        return ()
    rated = np.concatenate([annotations_of(d) for d in dialogues if d.session])
    return tuple(Classes.fit(f"clusters-{size}", rated, 0) for size in sizes)
