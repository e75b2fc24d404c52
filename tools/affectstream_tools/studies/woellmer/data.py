"""What the classifiers of Woellmer et al. (2010) are given of the derived IEMOCAP set.

The derived set has no frames and no faces. In place of the voice's frames an utterance has one:
its 47 eGeMAPS statistics, so an HMM over them is a mixture of Gaussians. In place of the face
there are the words: their vectors in order for HMMs, numbers of the whole utterance for the others.
The voice is normalised by speaker, over all that the speaker says in the corpus. This needs no
label, but a stream could not do it: it does not know a speaker's later utterances.
"""

from __future__ import annotations

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
from affectstream.features.text import words_of
from affectstream.sources.text_files import table_rows
from affectstream_tools.corpora.speaker_statistics import speaker_normalised
from affectstream_tools.corpora.word_vectors import read_glove

FoldArray = NDArray[np.float64]

_TOPICS = 64
_LEAST_TEXTS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Talk:
    """A dialogue as the classifiers see it.

    Attributes:
        functionals: (U, D) of each utterance, for the SVM and the networks.
        streams: for the HMMs, U arrays (n_i, D') of each utterance's frames: ``v`` of the voice,
            ``f`` of the face or of what stands in its place, and ``v+f`` of both where their
            frames are in step.
    """

    dialogue: CorpusDialogue
    functionals: FoldArray
    streams: Mapping[str, Sequence[FoldArray]]


class FoldFeatures(Protocol):
    """Features of a corpus; some are determined by the training part."""

    @property
    def dialogues(self) -> Sequence[CorpusDialogue]:
        """The dialogues, whole, in the corpus's order."""
        ...

    @property
    def data(self) -> Mapping[str, str]:
        """What a row of a table says of the data of ``v``, ``f`` and ``v+f``."""
        ...

    def fit(self, learned: Sequence[CorpusDialogue], seed: int) -> Callable[[CorpusDialogue], Talk]:
        """Learn from the training part; return a function that describes any dialogue."""
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
        self._vectors = read_glove(data.parent)
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
        """Return the vectors (n, 50) of the words that have one, in order."""
        rows = [self._vectors.vocabulary.get(token) for token in words_of(text)]
        known = [row for row in rows if row is not None]
        return self._vectors.table[known].astype(np.float64)


def _ngrams(text: str) -> list[str]:
    tokens = words_of(text)
    return [*tokens, *(f"{a} {b}" for a, b in pairwise(tokens))]


def _sentence_embeddings(path: Path, table: Path) -> dict[str, FoldArray]:
    try:
        rows = np.load(path, allow_pickle=False)
        ids = [row["id"] for row in table_rows(table)]
    except (OSError, ValueError) as error:
        raise CorpusError(f"{path} cannot be read ({error}); make it again") from error
    if rows.ndim != 2 or len(rows) != len(ids):
        raise CorpusError(
            f"{path} is {rows.shape}, not a row for each of {len(ids)} utterances; make it again"
        )
    return dict(zip(ids, rows.astype(np.float64), strict=True))
