"""Transcripts as 500 token numbers, and as word vectors, after Tripathi and Beigi (2018).

Knows: how a text is cut into the tokens that GloVe's vocabularies have, which number a token has,
and the files that word vectors come in.
Refuses to know: networks, and who recognised the words.

Number 0 fills up, number 1 is a word that is not known; both have a vector of zeros. What fills up
comes first, so that a recurrent network ends on the last word; of longer texts, the last 500
tokens are kept. The numbers index a learned embedding (128 columns in the paper), or the rows of
``WordVectors``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TOKENS = 500
PADDING_ID, UNKNOWN_ID = 0, 1
_FIRST = 2

# As Penn Treebank has it, and so GloVe: do|n't, she|'s. Marks such as [LAUGHTER] are tokens.
_TOKEN = re.compile(
    r"\[[a-z]+\]|[a-z]+?(?=n't\b)|n't\b|'(?:s|m|d|re|ve|ll)\b|[a-z]+|\d+(?:[.,]\d+)*|\.\.\.|[.,?!]"
)
_APOSTROPHES = str.maketrans("\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}", "''")


def words_of(text: str) -> list[str]:
    """Return the tokens of a text: lower-case words, numbers, marks and punctuation."""
    return _TOKEN.findall(text.lower().translate(_APOSTROPHES))


def learn_vocabulary(texts: Iterable[str], *, least: int = 1) -> dict[str, int]:
    """Return the tokens that occur at least ``least`` times, most frequent first, numbered."""
    counts = Counter(token for text in texts for token in words_of(text))
    kept = sorted((-count, token) for token, count in counts.items() if count >= least)
    return {token: _FIRST + number for number, (_, token) in enumerate(kept)}


def token_ids(text: str, vocabulary: Mapping[str, int], length: int = TOKENS) -> NDArray[np.int64]:
    """Return the numbers (length,) of a text's last tokens, filled up in front."""
    return _padded([vocabulary.get(token, UNKNOWN_ID) for token in words_of(text)], length)


class TranscriptTokens:
    """The same, while a transcript grows and its tail is revised.

    Only the words from the first one that changed are cut into tokens again.
    """

    def __init__(self, vocabulary: Mapping[str, int], length: int = TOKENS) -> None:
        self._vocabulary = vocabulary
        self._length = length
        self._words: list[str] = []
        self._ids: list[list[int]] = []
        self.cut = 0
        """Words that were cut into tokens so far."""

    def update(self, text: str) -> NDArray[np.int64]:
        """Return the numbers (length,) of the whole transcript as it is now."""
        words = text.split()
        same = takewhile(lambda pair: pair[0] == pair[1], zip(words, self._words, strict=False))
        kept = sum(1 for _ in same)
        del self._ids[kept:]
        for word in words[kept:]:
            self._ids.append([self._vocabulary.get(token, UNKNOWN_ID) for token in words_of(word)])
        self.cut += len(words) - kept
        self._words = words
        return _padded([number for ids in self._ids for number in ids], self._length)


@dataclass(frozen=True, slots=True)
class WordVectors:
    """Word vectors of a file.

    Attributes:
        vocabulary: the row of each word.
        table: (rows, d) float32; rows 0 and 1 are zeros.
    """

    vocabulary: dict[str, int]
    table: NDArray[np.float32]

    def embed(self, text: str, length: int = TOKENS) -> NDArray[np.float32]:
        """Return a text as (length, d)."""
        vectors: NDArray[np.float32] = self.table[token_ids(text, self.vocabulary, length)]
        return vectors


def read_word_vectors(path: Path, wanted: Container[str] | None = None) -> WordVectors:
    """Read word vectors: GloVe's text, a word and its numbers in a line, or JSON, word -> list.

    Args:
        path: such as ``glove.6B.300d.txt``, or a ``.json``.
        wanted: only these words are kept; all 400,000 of GloVe's 300 columns take 480 MB.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is neither, or its vectors differ in length.
    """
    rows = _json_rows(path) if path.suffix.lower() == ".json" else _text_rows(path, wanted)
    vocabulary: dict[str, int] = {}
    vectors: list[NDArray[np.float32]] = []
    for word, vector in rows:
        if word in vocabulary or (wanted is not None and word not in wanted):
            continue
        if vectors and len(vector) != len(vectors[0]):
            raise ValueError(
                f"{path}: {word!r} has {len(vector)} numbers, words before it {len(vectors[0])}"
            )
        vocabulary[word] = _FIRST + len(vectors)
        vectors.append(vector)
    if not vectors:
        raise ValueError(f"{path} holds no vector of any word that is wanted")
    return WordVectors(vocabulary, np.stack([np.zeros_like(vectors[0])] * _FIRST + vectors))


def _text_rows(
    path: Path, wanted: Container[str] | None
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    width = 0
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            fields = line.rstrip().split(" ")
            if number == 1 and len(fields) == 2 and all(field.isdigit() for field in fields):
                continue  # how many words and columns there are, as word2vec's text says
            width = width or len(fields) - 1
            # The largest of GloVe's files has words with spaces in them.
            spaces = max(1, len(fields) - width)
            word = " ".join(fields[:spaces])
            if wanted is None or word in wanted:
                yield word, _vector(fields[spaces:], f"{path}, line {number}")


def _json_rows(path: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error
    if not isinstance(entries, dict):
        raise ValueError(f"{path} must map words to lists of numbers")
    for word, values in entries.items():
        yield word, _vector(values, f"{path}, {word!r}")


def _vector(values: Sequence[object], where: str) -> NDArray[np.float32]:
    try:
        vector = np.array(values, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: expected a word and its numbers") from error
    if vector.ndim != 1 or not len(vector) or not np.isfinite(vector).all():
        raise ValueError(f"{where}: expected a word and its numbers")
    return vector


def _padded(ids: Sequence[int], length: int) -> NDArray[np.int64]:
    padded = np.full(length, PADDING_ID, dtype=np.int64)
    kept = ids[-length:] if length else []
    padded[length - len(kept) :] = kept
    return padded
