"""Features of utterances on disk, one file per dialogue and front end.

A file is an npz without compression. ``about`` is JSON in bytes: a key that says what the features
were made of, the utterances, what is missing, and notes. ``values`` holds the utterances' arrays
one after the other along the first axis, float32. ``rows`` says how many rows are each utterance's;
where each has one vector, a row is an utterance. A file is written beside its place and moved
there, so that it is whole or not there; its checksums are those of zip.
"""

from __future__ import annotations

import json
import os
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from affectstream_tools.corpora.features.extraction import DialogueFeatures

_LEFT_OVER_S = 3600.0
_BROKEN = (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile)


@dataclass(frozen=True, slots=True)
class StoredAbout:
    """What a file says of itself.

    Attributes:
        utterances: those that have features, in order.
        missing: utterance -> why it has none.
    """

    key: str
    utterances: tuple[str, ...]
    missing: dict[str, str]
    notes: tuple[str, ...]


class FeatureStore:
    """A folder of features."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, front_end: str, dialogue: str) -> Path:
        """Return where a dialogue's features lie, whether they are there or not."""
        return self.folder / front_end / f"{quote(dialogue, safe='')}.npz"

    def write(self, path: Path, key: str, found: DialogueFeatures) -> None:
        """Write features to ``path``; another process may do the same meanwhile."""
        arrays = list(found.features.values())
        vectors = bool(arrays) and arrays[0].ndim == 1
        arrays = [array[None] for array in arrays] if vectors else arrays
        about = {
            "key": key,
            "utterances": list(found.features),
            "missing": found.missing,
            "notes": found.notes,
            "vectors": vectors,
        }
        values = np.concatenate(arrays) if arrays else np.empty((0, 0), np.float32)
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_suffix(f".{os.getpid()}.tmp")
        with beside.open("wb") as file:
            np.savez(
                file,
                about=np.frombuffer(json.dumps(about).encode(), np.uint8),
                rows=np.array([len(array) for array in arrays], np.int64),
                values=values.astype(np.float32, copy=False),
            )
        beside.replace(path)

    def about(self, path: Path, key: str) -> StoredAbout | None:
        """Return what a file says of itself, None where it is absent, broken or has another key.

        All of the file is read, and its checksums are compared.
        """
        try:
            with zipfile.ZipFile(path) as file:
                if file.testzip() is not None:
                    return None
            return _about(_load(path, "about")["about"], key)
        except _BROKEN:
            return None

    def read(self, path: Path, key: str) -> dict[str, NDArray[np.float32]]:
        """Return utterance -> features, views of one array that cannot be written to.

        Raises:
            ValueError: the file is not there, broken, or has another key by now.
        """
        try:
            arrays = _load(path, "about", "rows", "values")
            about = _about(arrays["about"], key)
            values = arrays["values"]
            ends = np.cumsum(arrays["rows"])
            vectors = json.loads(arrays["about"].tobytes())["vectors"]
        except _BROKEN as error:
            raise ValueError(f"{path} is broken ({error}); prepare the corpus again") from error
        if about is None:
            raise ValueError(f"{path} was prepared of other recordings; prepare the corpus again")
        values.flags.writeable = False
        parts = values if vectors else np.split(values, ends[:-1]) if len(ends) else []
        return dict(zip(about.utterances, parts, strict=True))

    def clear_left_overs(self) -> None:
        """Remove what writers that were killed an hour ago and more have left."""
        for path in self.folder.glob("*/*.[0-9]*.tmp"):
            try:
                if path.stat().st_mtime < time.time() - _LEFT_OVER_S:
                    path.unlink()
            except FileNotFoundError:
                continue  # its writer was alive, and has moved it


def _load(path: Path, *names: str) -> dict[str, NDArray[Any]]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in names}


def _about(stored: NDArray[Any], key: str) -> StoredAbout | None:
    about = json.loads(stored.tobytes())
    if about["key"] != key:
        return None
    return StoredAbout(key, tuple(about["utterances"]), about["missing"], tuple(about["notes"]))
