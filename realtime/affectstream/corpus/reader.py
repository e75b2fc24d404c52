"""Opens IEMOCAP, whether the folder holds the derived set or a raw copy.

Knows: how to tell the two apart.
Refuses to know: how either is read.
"""

from __future__ import annotations

from pathlib import Path

from affectstream.corpus.derived import is_derived, read_derived
from affectstream.corpus.dialogues import Corpus
from affectstream.corpus.raw import read_raw


def open_corpus(path: Path) -> Corpus:
    """Open the derived set or the raw copy in the folder ``path``.

    Raises:
        CorpusError: the folder holds neither, or what it holds cannot be read.
    """
    if is_derived(path):
        return Corpus(path, "derived", tuple(read_derived(path)))
    return read_raw(path)
