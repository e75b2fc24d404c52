"""Transcripts as 500 token numbers, and word vectors, after Tripathi and Beigi (2018).

Knows: how a text is cut into tokens as GloVe's vocabularies have them, which number each gets, and
the formats of files of word vectors.
Refuses to know: networks, and how the words were recognised.

Number 0 is padding and number 1 an unknown word; the vectors of both are zeros. Padding comes
first, so that a recurrent network ends with the last word. Of a longer text, the last 500 tokens
are kept. The numbers are rows of a learned embedding or of ``WordVectors.table``.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TOKENS = 500
PADDING_ID, UNKNOWN_ID = 0, 1
_FIRST = 2

# As in the Penn Treebank, and so in GloVe: do|n't, she|'s. Marks such as [LAUGHTER] are tokens.
_TOKEN = re.compile(
    r"\[[a-z]+\]|[a-z]+?(?=n't\b)|n't\b|'(?:s|m|d|re|ve|ll)\b|[a-z]+|\d+(?:[.,]\d+)*|\.\.\.|[.,?!]"
)
_APOSTROPHES = str.maketrans("\N{RIGHT SINGLE QUOTATION MARK}\N{MODIFIER LETTER APOSTROPHE}", "''")


def words_of(text: str) -> list[str]:
    """Return the tokens of a text: lower-case words, numbers, marks and punctuation."""
    return _TOKEN.findall(text.lower().translate(_APOSTROPHES))


def learn_vocabulary(texts: Iterable[str], *, least: int = 1) -> dict[str, int]:
    """Return token -> number, from 2, of the tokens that occur at least ``least`` times.

    The most frequent one comes first.
    """
    counts = Counter(token for text in texts for token in words_of(text))
    kept = sorted((-count, token) for token, count in counts.items() if count >= least)
    return {token: _FIRST + number for number, (_, token) in enumerate(kept)}


def token_ids(text: str, vocabulary: Mapping[str, int], length: int = TOKENS) -> NDArray[np.int64]:
    """Return the numbers (length,) of a text's last tokens, after as much padding as needed."""
    return _padded([vocabulary.get(token, UNKNOWN_ID) for token in words_of(text)], length)


@dataclass(frozen=True, slots=True)
class WordVectors:
    """The word vectors of a file.

    Attributes:
        vocabulary: word -> row.
        table: (rows, d) float32; rows 0 (padding) and 1 (unknown words) are zeros.
    """

    vocabulary: dict[str, int]
    table: NDArray[np.float32]


def read_word_vectors(path: Path, wanted: Container[str] | None = None) -> WordVectors:
    """Read a file of word vectors: GloVe's text (a word and its numbers per line), or JSON.

    Args:
        path: such as ``glove.6B.300d.txt``; a ``.json`` maps words to lists of numbers.
        wanted: the words to keep, None for all. All of GloVe's 400,000 vectors of 300 numbers take
            480 MB.

    Raises:
        OSError: the file cannot be read.
        ValueError: it has neither format, has no wanted word, or its vectors differ in length.
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
                continue  # word2vec's text begins with the numbers of words and columns
            width = width or len(fields) - 1
            # In the largest of GloVe's files, some words have spaces in them.
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
