"""Words of an utterance as numbers: known n-grams, pooled word vectors, a sentence's vector.

Knows: how a transcript is cut into tokens, which n-grams and words a checkpoint knows.
Refuses to know: networks, dialogues, and the plain text of what was learned from: n-grams are
kept as 32-bit hashes, so that a checkpoint carries no corpus text.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from affectstream_models.text.sentence_encoder import SentenceEncoder

_TOKEN = re.compile(r"\[[a-z]+\]|[a-z]+(?:'[a-z]+)*|[?!]")


@dataclass(frozen=True, slots=True)
class TextFeatures:
    """One transcript: rows of the n-gram table, and its pooled word vectors.

    Attributes:
        ngrams: (K,) int64 row numbers; empty where no n-gram is known.
        words: (2 D,) float32, mean and maximum over the known words; zeros where none is known.
        empty: whether the transcript has no token at all, so that the modality is masked.
        sentence: (S,) float32, the sentence encoder's vector; S is 0 without one.
    """

    ngrams: NDArray[np.int64]
    words: NDArray[np.float32]
    empty: bool
    sentence: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))


def text_tokens(text: str) -> list[str]:
    """Lower-case words, ``[laughter]``-like marks, question and exclamation marks."""
    return _TOKEN.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def ngrams_of(tokens: Sequence[str]) -> list[str]:
    """Unigrams and bigrams, with the utterance's two ends marked in the bigrams."""
    ends = ["<", *tokens, ">"]
    return [*tokens, *(f"{a} {b}" for a, b in pairwise(ends))]


def hash_of(ngram: str) -> int:
    """The 32-bit hash under which an n-gram or a word is known (CRC-32 of its UTF-8)."""
    return zlib.crc32(ngram.encode())


def count_ngrams(texts: Iterable[str], *, least: int) -> NDArray[np.int64]:
    """Sorted hashes (V,) of the n-grams that occur in at least ``least`` utterances."""
    counts: Counter[int] = Counter()
    for text in texts:
        counts.update({hash_of(ngram) for ngram in ngrams_of(text_tokens(text))})
    return np.array(sorted(h for h, count in counts.items() if count >= least), dtype=np.int64)


class TextEncoder:
    """Turns transcripts into ``TextFeatures`` with fixed tables.

    Args:
        ngram_hashes: (V,) hashes; the position of a hash is its row number.
        word_hashes: (W,) hashes of the words that have a vector.
        vectors: (W, D) float32 word vectors (GloVe: Pennington et al. 2014).
        sentences: what gives each transcript's vector (S,), or None.
    """

    def __init__(
        self,
        ngram_hashes: NDArray[np.int64],
        word_hashes: NDArray[np.int64],
        vectors: NDArray[np.float32],
        sentences: SentenceEncoder | None = None,
    ) -> None:
        self._sentences = sentences
        self._ngram_rows = {h: row for row, h in enumerate(ngram_hashes.tolist())}
        self._word_rows = {h: row for row, h in enumerate(word_hashes.tolist())}
        self._vectors = vectors
        self._no_words = np.zeros(2 * vectors.shape[1], dtype=np.float32)

    def features(self, text: str | None) -> TextFeatures:
        """Features of one transcript; None and "" are empty."""
        tokens = text_tokens(text or "")
        known = (self._ngram_rows.get(hash_of(ngram)) for ngram in ngrams_of(tokens))
        ngrams = np.array([row for row in known if row is not None], dtype=np.int64)
        found = (self._word_rows.get(hash_of(token)) for token in tokens)
        rows = [row for row in found if row is not None]
        words = self._no_words
        if rows:
            vectors = self._vectors[rows]  # (R, D)
            words = np.concatenate((vectors.mean(axis=0), vectors.max(axis=0)))
        if self._sentences is None:
            return TextFeatures(ngrams, words, empty=not tokens)
        sentence = self._sentences.encode([text or ""])[0]
        return TextFeatures(ngrams, words, empty=not tokens, sentence=sentence)


def word_table(
    vectors: Mapping[str, Sequence[float]],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Hashes (W,) and vectors (W, D) of a word -> vector mapping, sorted by hash.

    Raises:
        ValueError: there is no word in it.
    """
    if not vectors:
        raise ValueError("a word table needs at least one word")
    by_hash = {hash_of(word): vector for word, vector in vectors.items()}
    hashes = sorted(by_hash)
    table = np.array([by_hash[h] for h in hashes], dtype=np.float32)
    return np.array(hashes, dtype=np.int64), table
