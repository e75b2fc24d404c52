"""The word vectors that lie beside the corpora: GloVe's 5,000 commonest words, 50 numbers each."""

from __future__ import annotations

from pathlib import Path

from affectstream.corpus.dialogues import CorpusError
from affectstream.features.text import WordVectors, read_word_vectors

GLOVE_FILE = Path("glove-50d-5k") / "glove-50d-5k.json"
"""Where the vectors lie in the folder that holds the corpora."""


def read_glove(folder: Path) -> WordVectors:
    """Read the vectors in a folder of corpora.

    Raises:
        CorpusError: they cannot be read.
    """
    path = folder / GLOVE_FILE
    try:
        return read_word_vectors(path)
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"the word vectors {path} cannot be read ({error}); put glove-50d-5k beside the corpus"
        ) from error


def read_glove_by_word(folder: Path) -> dict[str, list[float]]:
    """Read the vectors as word -> 50 numbers; raises as :func:`read_glove` does."""
    found = read_glove(folder)
    return {word: found.table[row].tolist() for word, row in found.vocabulary.items()}
