"""An utterance's words as numbers: known n-grams, pooled word vectors, and a sentence vector.

Knows: how a transcript is cut into tokens, and which n-grams and words a checkpoint knows.
Refuses to know: networks, dialogues, and the training texts: n-grams are kept as 32-bit hashes, so
that a checkpoint contains no text of a corpus.
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
    """The features of one transcript.

    Attributes:
        ngrams: (K,) int64, rows of the n-gram table; empty if no n-gram is known.
        words: (2 D,) float32, mean and maximum of the known words' vectors; zeros without any.
        empty: whether it has no token at all and counts as missing.
        sentence: (S,) float32, the sentence encoder's vector; S is 0 without one.
    """

    ngrams: NDArray[np.int64]
    words: NDArray[np.float32]
    empty: bool
    sentence: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))


def text_tokens(text: str) -> list[str]:
    """Return a text's tokens: lower-case words, marks such as ``[laughter]``, ``?`` and ``!``."""
    return _TOKEN.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))


def ngrams_of(tokens: Sequence[str]) -> list[str]:
    """Return the unigrams and bigrams; in bigrams, ``<`` and ``>`` mark the utterance's ends."""
    ends = ["<", *tokens, ">"]
    return [*tokens, *(f"{a} {b}" for a, b in pairwise(ends))]


def hash_of(ngram: str) -> int:
    """Return the 32-bit hash of an n-gram or a word: the CRC-32 of its UTF-8."""
    return zlib.crc32(ngram.encode())


def count_ngrams(texts: Iterable[str], *, least: int) -> NDArray[np.int64]:
    """Return the sorted hashes (V,) of the n-grams that occur in ``least`` texts or more."""
    counts: Counter[int] = Counter()
    for text in texts:
        counts.update({hash_of(ngram) for ngram in ngrams_of(text_tokens(text))})
    return np.array(sorted(h for h, count in counts.items() if count >= least), dtype=np.int64)


class TextEncoder:
    """Turns transcripts into ``TextFeatures``.

    Args:
        ngram_hashes: (V,), of the known n-grams; a hash's place is its row in the n-gram table.
        word_hashes: (W,), of the words that have a vector.
        vectors: (W, D) float32, word vectors (GloVe: Pennington et al. 2014).
        sentences: the sentence encoder, or None.
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
        """Return the features of one transcript; None is an empty one."""
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
    """Return the words' hashes (W,), sorted, and their vectors (W, D) in the same order.

    Args:
        vectors: word -> vector.

    Raises:
        ValueError: there is no word in it.
    """
    if not vectors:
        raise ValueError("a word table needs at least one word")
    by_hash = {hash_of(word): vector for word, vector in vectors.items()}
    hashes = sorted(by_hash)
    table = np.array([by_hash[h] for h in hashes], dtype=np.float32)
    return np.array(hashes, dtype=np.int64), table
