"""What the classifiers of Woellmer et al. (2010) are given of the derived IEMOCAP set.

Knows: the voice's statistics and the words, and what of the words a training part determines.
Refuses to know: labels, folds and classifiers.

The derived set has no frames and no faces. In place of the voice's frames an utterance has one:
its 47 eGeMAPS statistics, so an HMM over them is a mixture of Gaussians. In place of the face
there are the words: for HMMs their vectors in order, for the others as numbers of the whole
utterance. The voice is normalised by speaker, over all that the speaker says in the corpus, which
needs no label, but is no stream's: an utterance has its speaker's later ones in its scale.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from affectstream.corpus.derived import read_derived
from affectstream.corpus.dialogues import CorpusDialogue, CorpusError
from affectstream.features.text import WordVectors, read_word_vectors, words_of

FoldArray = NDArray[np.float64]

_FAR = 4.0  # deviations beyond which a value says only "far out"
_TOPICS = 64
_LEAST_TEXTS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Talk:
    """A dialogue as the classifiers see it.

    Attributes:
        functionals: (U, D) of each utterance, for the SVM and the networks.
        streams: ``v`` the voice's, ``f`` the face's or what stands in its place, and where frames
            are in step ``v+f``: U arrays (n_i, D') of each utterance's frames, for the HMMs.
    """

    dialogue: CorpusDialogue
    functionals: FoldArray
    streams: Mapping[str, Sequence[FoldArray]]


class FoldFeatures(Protocol):
    """Features of a corpus; some are determined by the training part."""

    @property
    def dialogues(self) -> Sequence[CorpusDialogue]:
        """Whole, in the corpus's order."""
        ...

    @property
    def data(self) -> Mapping[str, str]:
        """What a row of a table says of ``v``, ``f`` and ``v+f``."""
        ...

    def fit(self, learned: Sequence[CorpusDialogue], seed: int) -> Callable[[CorpusDialogue], Talk]:
        """Learn from the training part; return what describes any dialogue."""
        ...


class DerivedFeatures:
    """Voice and words of the derived set.

    Args:
        data: the derived set; ``glove-50d-5k`` lies beside it.
        sentences: a ``.npy`` (utterances, d) of sentence embeddings in the order of
            ``utterances.csv``, which is added to the numbers of the words; None adds none.

    Raises:
        CorpusError: a file is missing, or cannot be read.
    """

    def __init__(self, data: Path, sentences: Path | None = None) -> None:
        known = "" if sentences is None else "; sentence embeddings"
        self.data = {
            "v": "IEMOCAP, derived set: the voice's statistics as one frame",
            "f": "IEMOCAP, derived set: words in place of the face",
            "v+f": "IEMOCAP, derived set: voice statistics; words in place of the face" + known,
        }
        self.dialogues = read_derived(data)
        self._vectors = _glove(data.parent / "glove-50d-5k" / "glove-50d-5k.json")
        self._voices = speaker_normalised(
            self.dialogues,
            {u.id: u.acoustic for d in self.dialogues for u in d.utterances},
        )
        self._sentences: dict[str, FoldArray] = {}
        if sentences is not None:
            self._sentences = _sentence_embeddings(sentences, data / "utterances.csv")

    def fit(self, learned: Sequence[CorpusDialogue], seed: int) -> Callable[[CorpusDialogue], Talk]:
        """Learn the n-grams of the words, their weights and 64 topics of them."""
        texts = [u.text or "" for dialogue in learned for u in dialogue.utterances]
        # A small corpus has few n-grams that recur.
        least = _LEAST_TEXTS if len(texts) > 100 else 1
        ngrams = TfidfVectorizer(
            analyzer=_ngrams, min_df=least, sublinear_tf=True, dtype=np.float64
        )
        weights = ngrams.fit_transform(texts)
        topics = TruncatedSVD(min(_TOPICS, weights.shape[1] - 1), random_state=seed)
        topics.fit(weights)

        def describe(dialogue: CorpusDialogue) -> Talk:
            texts = [u.text or "" for u in dialogue.utterances]
            voices = [self._voices[u.id] for u in dialogue.utterances]
            words = [self._words(text) for text in texts]
            means = [rows.mean(axis=0) if len(rows) else np.zeros(rows.shape[1]) for rows in words]
            columns = [np.stack(voices), topics.transform(ngrams.transform(texts)), np.stack(means)]
            if self._sentences:
                columns.append(np.stack([self._sentences[u.id] for u in dialogue.utterances]))
            streams = {"v": [voice[None] for voice in voices], "f": words}
            return Talk(dialogue, np.concatenate(columns, axis=1), streams)

        return describe

    def _words(self, text: str) -> FoldArray:
        """Vectors (n, 50) of the words that have one, in order."""
        rows = [self._vectors.vocabulary.get(token) for token in words_of(text)]
        known = [row for row in rows if row is not None]
        return self._vectors.table[known].astype(np.float64)


def speaker_normalised(
    dialogues: Sequence[CorpusDialogue],
    statistics: Mapping[str, NDArray[np.floating] | None],
) -> dict[str, FoldArray]:
    """Bring statistics (d,) by utterance to each speaker's mean 0 and deviation 1, clipped to 4.

    What is not finite, or not there, becomes 0.

    Raises:
        CorpusError: no utterance has any.
    """
    by_speaker: dict[str, list[str]] = defaultdict(list)
    for dialogue in dialogues:
        for said in dialogue.utterances:
            by_speaker[said.speaker].append(said.id)
    width = max((len(one) for one in statistics.values() if one is not None), default=0)
    if not width:
        raise CorpusError("no utterance has statistics; choose a corpus that has them")
    missing = np.full(width, np.nan)
    found: dict[str, FoldArray] = {}
    for ids in by_speaker.values():
        given = [statistics.get(id) for id in ids]
        rows = np.stack([missing if one is None else one for one in given]).astype(np.float64)
        found |= zip(ids, _standardised(rows), strict=True)
    return found


def _standardised(rows: FoldArray) -> FoldArray:
    known = np.isfinite(rows)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, rows, 0.0).sum(axis=0) / count
    centred = np.where(known, rows - mean, 0.0)
    deviation = np.sqrt(np.square(centred).sum(axis=0) / count)
    clipped: FoldArray = np.clip(centred / np.where(deviation > 1e-9, deviation, 1.0), -_FAR, _FAR)
    return clipped


def _ngrams(text: str) -> list[str]:
    tokens = words_of(text)
    return [*tokens, *(f"{a} {b}" for a, b in pairwise(tokens))]


def _glove(path: Path) -> WordVectors:
    try:
        return read_word_vectors(path)
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"the word vectors {path} cannot be read ({error}); put glove-50d-5k beside the corpus"
        ) from error


def _sentence_embeddings(path: Path, table: Path) -> dict[str, FoldArray]:
    try:
        rows = np.load(path, allow_pickle=False)
        with table.open(newline="", encoding="utf-8") as lines:
            ids = [row["id"] for row in csv.DictReader(lines)]
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path} cannot be read ({error}); make it again") from error
    if rows.ndim != 2 or len(rows) != len(ids):
        raise CorpusError(
            f"{path} is {rows.shape}, not a row for each of {len(ids)} utterances; make it again"
        )
    return dict(zip(ids, rows.astype(np.float64), strict=True))
