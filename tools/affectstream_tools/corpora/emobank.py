"""EmoBank's sentences with valence, arousal and dominance (Buechel & Hahn 2017)."""

from __future__ import annotations

from pathlib import Path

from affectstream.corpus.dialogues import CorpusError
from affectstream.sources.text_files import table_rows
from affectstream_tools.corpora.sentences import UNKNOWN_EMOTION, Sentence

_PARTS = ("train", "dev", "test")


def read_emobank(folder: Path) -> list[Sentence]:
    """Read all sentences; scales are 1 to 5, as IEMOCAP's, but ratings keep nearer the middle.

    Raises:
        CorpusError: the table is missing, or a row is no sentence.
    """
    path = folder / "emobank.csv"
    if not path.is_file():
        raise CorpusError(f"{path} is missing; EmoBank is one table, emobank.csv")
    sentences = []
    for line, row in enumerate(table_rows(path), 2):
        try:
            scales = (float(row["V"]), float(row["A"]), float(row["D"]))
            part = _PARTS[_PARTS.index(row["split"])]
            sentences.append(Sentence(row["text"], UNKNOWN_EMOTION, scales, part))
        except (KeyError, ValueError, TypeError) as error:
            raise CorpusError(
                f"{path}, line {line} is no sentence ({error}); copy the table again"
            ) from error
    return sentences
