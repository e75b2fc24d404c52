"""A sentence encoder's vectors, computed once and kept in a file.

Many trainings read the same corpus, and the encoder takes far longer for it than any of them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from affectstream.corpus.dialogues import CorpusDialogue
from affectstream_models.text.sentence_encoder import SentenceEncoder, changes_of, sentence_encoder

_AT_ONCE = 256


class KeptSentences:
    """A sentence encoder that keeps the vectors of texts it has read.

    Args:
        path: the ``.npz`` in which it is kept.
        make: gives the encoder itself; it is called only if a text is new.
    """

    def __init__(self, path: Path, name: str, make: Callable[[], SentenceEncoder]) -> None:
        self.name = name
        self._path, self._make = path, make
        self._encoder: SentenceEncoder | None = None
        self._known: dict[int, NDArray[np.float32]] = {}
        if self._path.is_file():
            with suppress(OSError, ValueError, KeyError, BadZipFile):  # broken: made anew
                with self._path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                    self._known = dict(zip(kept["texts"].tolist(), kept["vectors"], strict=True))

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors (N, S) of N texts."""
        keys = [_key(text) for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if new:
            self._encoder = self._encoder or self._make()
            vectors = self._encoder.encode(list(new.values()))
            self._known |= zip(new, vectors, strict=True)
        return np.stack([self._known[key] for key in keys])

    def keep(self, texts: Iterable[str], on_done: Callable[[int, int], None]) -> None:
        """Compute the vectors of texts and write them; ``on_done`` is told how many, of how many.

        A run that is interrupted goes on where it was.
        """
        wanted = {_key(text): text for text in texts}
        new = [text for key, text in wanted.items() if key not in self._known]
        for first in range(0, len(new), _AT_ONCE):
            self.encode(new[first : first + _AT_ONCE])
            self._write()
            on_done(min(first + _AT_ONCE, len(new)), len(new))

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        texts = np.array(list(self._known), dtype=np.uint64)
        vectors = np.stack(list(self._known.values()))
        part = self._path.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as file:
            np.savez(file, texts=texts, vectors=vectors)
        os.replace(part, self._path)  # whole or not at all


def keep_sentences(folder: Path, name: str) -> KeptSentences:
    """Return the encoder of that name, with its vectors kept in a folder.

    Raises:
        ValueError: there is no encoder of that name.
    """
    return KeptSentences(file_of(folder, name), name, lambda: sentence_encoder(name))


def file_of(folder: Path, name: str) -> Path:
    """Return the file of an encoder's vectors; it is another one if its adapter is trained again.

    Raises:
        ValueError: there is no encoder of that name.
    """
    changes = changes_of(name)
    version = f"-{hashlib.sha256(changes).hexdigest()[:12]}" if changes else ""
    return folder / f"{name}{version}.npz"


def texts_of(dialogues: Sequence[CorpusDialogue]) -> list[str]:
    """Return every text of the dialogues, and the empty one, for utterances without words."""
    return ["", *(u.text for d in dialogues for u in d.utterances if u.text)]


def _key(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")
